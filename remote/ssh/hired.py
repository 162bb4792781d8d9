"""An agent started on a box where sysmon is installed and none runs: it lives as long as this side holds on to it.

It runs in a second session of the same connection and ends with that session's input (`sysmon --agent --tied`), also
where this side or the line was killed. Its history stays on the box for the next time.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from remote.liveness import SECOND
from remote.ssh.faults import SSH_FAILED
from sysmon.frame import clean_text

if TYPE_CHECKING:
    from remote.ssh.frames import Sample
    from remote.ssh.line import SshLine
    from remote.ssh.session import Session
    from sysmon.clock import Clock

VERSION_SECONDS = 5.0
"""Seconds in which the program there must say its version."""
START_SECONDS = 12.0
"""Seconds in which the agent must serve; a small box needs some to load Python."""
BEAT_SECONDS = 20.0
"""Seconds between signs of life to it; it ends after 90 without."""
AGAIN_SECONDS = 600.0
"""Seconds until it is tried again where it did not come up. One that ended by itself is left alone for a tenth."""
ASK_SECONDS = 10.0
"""Seconds in which the box must say what else came up."""

_PROGRAM = re.compile(r"/[A-Za-z0-9_./+-]{1,200}/sysmon")
_VERSION = re.compile(r"sysmon [0-9][0-9A-Za-z.+-]*\s*")
_SERVING = re.compile(r" on unix://(/[^\s,]+)")
_SAID = 4096


class Hired:
    """What starts an agent on one box.

    Args:
        clock: this side's.

    Attributes:
        note: why there is none, or ''.
    """

    def __init__(self, clock: Clock) -> None:
        self.note = ""
        self._clock = clock
        self._until = 0
        self._session: Session | None = None
        self._tending: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether one was started and is held on to."""
        return self._tending is not None

    def due(self, hello: Sample) -> bool:
        """Whether an agent is to be started, by what the box says: sysmon is there, and none runs that is in use."""
        program = hello.facts.get("program", "")
        if not program or self._session is not None:
            return False
        if hello.facts.get("foreign"):
            self.note = "the agent there is another user's, and its socket is not ours to use"
            return False
        return self._clock.boottime() >= self._until

    async def start(self, line: SshLine, hello: Sample) -> list[str]:
        """Starts an agent where one is due.

        Args:
            line: the connection.
            hello: what the box says of itself.

        Returns:
            Its socket on the box; where it did not come up, those of another that did meanwhile.

        Raises:
            SshFault: there is no ssh here, or the connection ended.
        """
        if not self.due(hello):
            return []
        self.note = ""
        self._until = self._clock.boottime() + int(AGAIN_SECONDS * SECOND)
        program = hello.facts["program"]
        if not _PROGRAM.fullmatch(program):
            self.note = f"the sysmon there is at '{clean_text(program, 60)}', a place that is not run from here"
            return []
        # Something else may bear that name, and would not know what is meant by the options.
        status, said = await self._once(line, f"exec {program} --version")
        if status != 0 or not _VERSION.fullmatch(said):
            self.note = f"the sysmon there does not tell its version: {_last(said) or f'status {status}'}"
            return []
        session = self._session = await line.beside(f"exec {program} --agent --listen none --tied")
        said = ""
        try:
            async with asyncio.timeout(START_SECONDS):
                while not (found := _SERVING.search(said)) and (piece := await session.output.read(_SAID)):
                    said = (said + piece.decode("utf-8", "replace"))[-_SAID:]
        except TimeoutError:
            found = None
            said += f"\nit did not serve within {START_SECONDS:g} s"
        except BaseException:
            await self.stop()
            raise
        if found is None:
            await self.stop()
            self.note = f"the sysmon there could not be started: {_last(said) or 'it ended without a word'}"
            return (await line.ask(("agent",), ASK_SECONDS)).agents
        self._tending = asyncio.create_task(self._tend(session), name="agent on a box")
        return [found[1]]

    async def stop(self) -> None:
        """Ends it, if it runs."""
        session, self._session = self._session, None
        tending, self._tending = self._tending, None
        if tending is not None and session is not None:
            # One that has run is wanted again at once, unless it ended by itself.
            by_itself = session.status not in (None, SSH_FAILED)
            self._until = self._clock.boottime() + int(AGAIN_SECONDS / 10 * SECOND) if by_itself else 0
            tending.cancel()
            await asyncio.gather(tending, return_exceptions=True)
        if session is not None:
            await session.close()

    async def _tend(self, session: Session) -> None:
        """Lets it know that this side is there, and reads what it says so that it is never held up."""
        while True:
            try:
                async with asyncio.timeout(BEAT_SECONDS):
                    while await session.output.read(_SAID):
                        continue
                    await session.wait()
                    return
            except TimeoutError:
                session.write(b"\n")

    async def _once(self, line: SshLine, command: str) -> tuple[int, str]:
        session = await line.beside(command)
        said = b""
        try:
            session.end_input()
            async with asyncio.timeout(VERSION_SECONDS):
                while len(said) < _SAID and (piece := await session.output.read(_SAID)):
                    said += piece
                status = await session.wait()
        except TimeoutError:
            return -1, f"no answer within {VERSION_SECONDS:g} s"
        finally:
            await session.close()
        return status, said.decode("utf-8", "replace")


def _last(said: str) -> str:
    """The last line of what was said, as people may read it."""
    lines = [line for line in said.splitlines() if line.strip()]
    return clean_text(lines[-1].removeprefix("sysmon: "), 160) if lines else ""
