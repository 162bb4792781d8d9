"""A host whose processes a test writes down, and the Processes screen on it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from textual.widgets import Input

from sysmon.config import ScreenSettings
from sysmon.errors import SysmonError
from sysmon.frame import ProcessRow
from tests.tui.scripted import Rig, Script, ScriptedHistory, rig
from tui.app import SysmonApp
from tui.glyphs import UNICODE, Glyphs
from tui.screens.processes import ProcessesScreen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from textual.pilot import Pilot

    from sysmon.ports import Actions
    from tui.processtree import Item

FIRST = 100
"""Second of the script at which a test begins."""


def process(pid: int, ppid: int = 1, **values: Any) -> ProcessRow:
    """A process; `cpu` is set as its derived use, so that tests say what is shown."""
    given: dict[str, Any] = {
        "pid": pid, "ppid": ppid, "started": 5.0, "name": f"p{pid}", "command": f"/usr/bin/p{pid} --flag",
        "user": "root", "state": "S", "memory": 1 << 20, "threads": 1, "cpu": 0.0,
    }  # fmt: skip
    return ProcessRow(**(given | values))


HOUSEHOLD = [
    process(1, 0, name="systemd", command="/sbin/init", memory=12 << 20),
    process(2, 0, name="kthreadd", command="", kernel=True),
    process(10, name="nginx", command="nginx: master process", unit="nginx.service", cpu=0.01),
    process(11, 10, name="nginx", command="nginx: worker process", user="www", unit="nginx.service", cpu=0.30),
    process(12, 10, name="nginx", command="nginx: worker process", user="www", unit="nginx.service", cpu=0.10),
    process(
        20, name="postgres", command="postgres -D /data", user="postgres", memory=900 << 20, cpu=0.2, cpu_time=99.0
    ),
    process(30, name="node", command="node server.js", user="app", container="web", cpu=0.9, memory=300 << 20),
]


@dataclass
class Household(Script):
    """A host with the processes given."""

    rows: Sequence[ProcessRow] = field(default_factory=lambda: list(HOUSEHOLD))

    def process_rows(self, second: int) -> list[ProcessRow]:
        """Those of now, whichever second is asked for."""
        return list(self.rows)


class FakeActions:
    """Remembers what it was asked for; `failures` says what goes wrong, by pid."""

    def __init__(self, failures: dict[int, str] | None = None, dangers: dict[int, str] | None = None) -> None:
        self.calls: list[tuple[str, int, float, int]] = []
        self.failures = failures or {}
        self.dangers = dangers or {}

    def _do(self, what: str, pid: int, started: float, value: int) -> None:
        if pid in self.failures:
            raise SysmonError(self.failures[pid])
        self.calls.append((what, pid, started, value))

    def signal(self, pid: int, started: float, signum: int) -> None:
        """Remembers a signal."""
        self._do("signal", pid, started, signum)

    def renice(self, pid: int, started: float, nice: int) -> None:
        """Remembers a nice value."""
        self._do("renice", pid, started, nice)

    def dangerous(self, row: ProcessRow) -> str | None:
        """As told."""
        return self.dangers.get(row.pid)


@dataclass
class Stage:
    """The app on its Processes screen, and the host behind it."""

    pilot: Pilot[int]
    app: SysmonApp
    rig: Rig
    script: Household
    second: int = FIRST

    @property
    def screen(self) -> ProcessesScreen:
        """The screen, be it under a dialog."""
        screen = self.app.host_screen
        assert isinstance(screen, ProcessesScreen)
        return screen

    @property
    def items(self) -> Sequence[Item]:
        """The lines of the list."""
        return self.screen.table.rows

    @property
    def pids(self) -> list[int]:
        """The pids of the lines of the list."""
        return [item.row.pid for item in self.items]

    @property
    def cursor(self) -> int:
        """The pid under the cursor."""
        row = self.screen.table.cursor_row
        assert row is not None
        return row.row.pid

    @property
    def text(self) -> str:
        """What is on screen."""
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())

    async def until(self, wanted: Callable[[], bool]) -> None:
        """Lets the app work until something holds."""
        for _ in range(200):
            await self.pilot.pause()
            if wanted():
                return
            await asyncio.sleep(0.005)
        raise AssertionError(f"it never came true:\n{self.text}")

    async def tick(self, rows: Sequence[ProcessRow] | None = None, *, seconds: int = 1, wait: bool = True) -> None:
        """Lets the host speak, perhaps of other processes, and the screen show it."""
        if rows is not None:
            self.script.rows = list(rows)
        self.second += seconds
        frame = self.rig.push(self.second)
        if wait:
            await self.until(lambda: self.screen.view is not None and self.screen.view.time == frame.time)
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        """Presses keys, one after another."""
        for key in keys:
            await self.pilot.press(key)
        await self.pilot.pause()

    async def write(self, text: str) -> None:
        """Types a text into the input that has the focus, in one stroke: keys one by one take long."""
        field = self.app.focused
        assert isinstance(field, Input)
        field.insert_text_at_cursor(text)
        await self.pilot.pause()

    async def go_to(self, pid: int) -> None:
        """Puts the cursor on a process."""
        assert self.screen.table.move_cursor(
            key=next((row.pid, row.started) for row in self.script.rows if row.pid == pid)
        )
        await self.pilot.pause()


@asynccontextmanager
async def stage(
    rows: Sequence[ProcessRow] | None = None,
    *,
    size: tuple[int, int] = (120, 40),
    actions: Actions | None = None,
    history: bool = False,
    glyphs: Glyphs = UNICODE,
    theme: str = "sysmon-dark",
    readonly: bool = False,
    start: bool = True,
    **script: Any,
) -> AsyncIterator[Stage]:
    """The Processes screen of a host with these processes."""
    made = Household(gpus=0, mounts=1, rows=list(HOUSEHOLD if rows is None else rows), **script)
    past = ScriptedHistory(made, range(FIRST - 60, FIRST)) if history else None
    given = rig(made, history=past, screen=ScreenSettings(start="processes", readonly=readonly))
    given.services.actions = lambda host: actions if host == made.host else None
    app = SysmonApp(given.services, theme_name=theme, glyphs=glyphs, depth="none" if theme == "sysmon-mono" else None)
    async with app.run_test(size=size) as pilot:
        ready = Stage(pilot, app, given, made)
        await pilot.pause()
        if start:
            await ready.tick()
        yield ready
