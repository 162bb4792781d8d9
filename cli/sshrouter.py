"""What a box is asked for beside its files: commands that only read, one at a time, each laid out as a text.

vnStat is asked of any box, the rest of routers.

A command that hangs costs its deadline once, and is then left alone for a while, as is one that prints without end;
what the router says otherwise comes as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from collectors import vnstat
from collectors._router.commands import COMMANDS
from remote.liveness import SECOND
from remote.ssh.faults import SshFault
from remote.ssh.frames import Output
from remote.ssh.script import COMMAND_SECONDS, MOST_OUTPUT, OVERDUE
from sysmon.errors import MalformedInput

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cli.sshtree import Tree
    from remote.ssh.box import Ask
    from sysmon.clock import Clock

REST: Final = 60.0
MOST_REST: Final = 600.0
"""Seconds for which a command is left alone that hung or printed without end: doubled each time, up to the second."""

PLAIN: Final = {"vnstat": vnstat.COMMAND}
"""What is handed to the script of any box."""

TEXTS: Final = {**PLAIN, **{name: command.text for name, command in COMMANDS.items()}}
"""What is handed to the script of a router."""


class RouterTexts:
    """Asks one router.

    Args:
        tree: where the texts go.
        clock: this side's.
    """

    def __init__(self, tree: Tree, clock: Clock) -> None:
        self._tree = tree
        self._clock = clock
        self._rests: dict[str, int] = {}
        self._until: dict[str, int] = {}
        self._why: dict[str, str] = {}

    async def take(self, ask: Ask, names: Iterable[str]) -> None:
        """Asks for these texts and lays them out; of one that rests it is said why.

        Raises:
            SysmonError: the connection ended. Where one of the commands is to blame for that, it rests from now on.
        """
        for name in names:
            if self._clock.boottime() < self._until.get(name, 0):
                self._tree.tell(name, Output(status=OVERDUE), self._why[name])
                continue
            try:
                sample = await ask([f"run.{name}"])
            except SshFault as fault:
                if fault.kind == "silent":
                    self._rest(name, "the router fell silent over it")
                raise
            except MalformedInput as error:
                self._rest(name, error.message)
                raise
            self._lay_out(name, sample.outputs.get(name))

    def _lay_out(self, name: str, output: Output | None) -> None:
        if output is None:
            self._tree.tell(name, Output(), "the router did not answer to it")
            return
        said = output.said.decode("utf-8", "replace")
        if output.overdue:
            said = f"no answer within {COMMAND_SECONDS} s"
            self._rest(name, said)
            # What it printed until then is no answer.
            output = Output(status=OVERDUE)
        elif output.cut:
            said = f"it prints more than {MOST_OUTPUT >> 20} MiB"
            self._rest(name, said)
        else:
            self._rests.pop(name, None)
        self._tree.tell(name, output, said)

    def _rest(self, name: str, why: str) -> None:
        count = self._rests[name] = self._rests.get(name, 0) + 1
        seconds = min(MOST_REST, REST * 2 ** (min(count, 10) - 1))
        self._until[name] = self._clock.boottime() + int(seconds * SECOND)
        self._why[name] = why
