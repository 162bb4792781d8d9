"""The layer in a running application: the terminal shows what was composed, for few bytes."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, ClassVar

import pytest
from rich.cells import cell_len
from textual.app import App
from textual.driver import Driver
from textual.widgets import Input, Static

from tests.tui.pty_app import PtyApp
from tests.tui.reference import ReferenceTerminal
from tui.output import CellDiffMixin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from textual.app import ComposeResult

TICKER = ("-m", "tests.tui.apps.ticker")


class RecordingDriver(Driver):
    """Keeps what it is given; says that it is busy where a test wants that."""

    written: ClassVar[list[str]] = []
    busy = False
    waiting: Callable[[], None] | None = None

    def write(self, data: str) -> None:
        type(self).written.append(data)

    def start_application_mode(self) -> None:
        from textual import events
        from textual.geometry import Size

        size = Size(*(self._size or (40, 6)))
        self.send_message(events.Resize(size, size))

    def disable_input(self) -> None:
        pass

    def stop_application_mode(self) -> None:
        pass

    def call_when_drained(self, callback: Callable[[], None]) -> bool:
        if self.busy:
            self.waiting = callback
        return self.busy


class Small(CellDiffMixin, App[None]):
    """A line that changes, and an input."""

    CSS = "Screen {background: black;} Static {height: 1;}"

    def compose(self) -> ComposeResult:
        yield Static("start", id="line")
        yield Static("日本語", id="wide")
        yield Input(id="input")


class Session:
    """A running application on a recording driver, and the terminal behind it."""

    def __init__(self, app: Small) -> None:
        self.app = app
        self.terminal = ReferenceTerminal(40, 6)
        self.position = 0

    @property
    def driver(self) -> RecordingDriver:
        driver = self.app._driver
        assert isinstance(driver, RecordingDriver)
        return driver

    def frame(self) -> str:
        """What was written since the last call; the terminal shows it."""
        data = drawn_by_app("".join(RecordingDriver.written[self.position :]))
        self.position = len(RecordingDriver.written)
        self.terminal.feed(data)
        return data

    async def update(self, text: str, widget: str = "line") -> None:
        """Change the line, and wait until it was drawn."""
        self.app.query_one(f"#{widget}", Static).update(text)
        await self.drawn()

    async def drawn(self) -> None:
        """Wait until what is dirty was composed."""
        import asyncio

        for _ in range(3):
            await asyncio.sleep(0.03)

    def composed(self) -> list[str]:
        """What Textual means to show."""
        return [strip.text for strip in self.app.screen._compositor.render_strips()]


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(RecordingDriver, "written", [])
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Session(Small(driver_class=RecordingDriver))


async def running(session: Session, script: Callable[[Session], object]) -> None:
    """Run the application until the script is done; what the script raises is raised here."""
    import asyncio

    async def play() -> None:
        try:
            await session.drawn()
            session.frame()
            result = script(session)
            assert result is not None
            await result  # type: ignore[misc]
        finally:
            session.app.exit()

    async with asyncio.TaskGroup() as group:
        group.create_task(session.app.run_async(size=(40, 6)))
        while not session.app._running or session.app._driver is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        group.create_task(play())


@pytest.mark.anyio
async def test_a_changed_digit_costs_a_position_and_a_digit(session: Session) -> None:
    async def script(session: Session) -> None:
        await session.update("load 1.25")
        session.frame()
        await session.update("load 1.35")
        # The position, the colours of the line, the digit, and the cursor back in the input.
        frame = session.frame()
        assert frame == "\x1b[;8H\x1b[38;2;255;255;255;48;2;0;0;0m3\x1b[m\x1b[2;5H".replace("255", "224")
        assert session.terminal.text() == session.composed()
        stats = session.app.output_stats
        assert stats.fallback is None
        assert stats.bytes_written == len(drawn_by_app("".join(RecordingDriver.written)).encode())
        assert stats.frames_written > 1 and stats.cells_written >= 240
        await session.update("load 1.35")
        assert session.frame() == ""

    await running(session, script)


@pytest.mark.anyio
async def test_frozen_output_waits_for_a_word(session: Session) -> None:
    async def script(session: Session) -> None:
        session.app.output_frozen = True
        await session.update("one")
        await session.update("two")
        assert session.frame() == ""
        session.app.present_output()
        session.frame()
        assert session.terminal.text()[0].startswith("two")
        await session.update("three")
        assert session.frame() == ""
        session.app.output_frozen = False
        session.frame()
        assert session.terminal.text() == session.composed()
        assert session.terminal.text()[0].startswith("three")

    await running(session, script)


@pytest.mark.anyio
async def test_a_slow_terminal_gets_the_newest_state_only(session: Session) -> None:
    async def script(session: Session) -> None:
        session.driver.busy = True
        frames = session.app.output_stats.frames_written
        for number in range(10):
            await session.update(f"number {number}")
        assert session.frame() == ""
        assert session.app.output_stats.frames_skipped >= 9
        session.driver.busy = False
        assert session.driver.waiting is not None
        session.driver.waiting()
        assert "number 9" in session.frame()
        assert session.app.output_stats.frames_written == frames + 1
        assert session.terminal.text() == session.composed()

    await running(session, script)


@pytest.mark.anyio
async def test_full_repaint_heals_what_others_wrote(session: Session) -> None:
    async def script(session: Session) -> None:
        session.terminal.feed("\x1b[Hgarbage\x1b[3Hgarbage")
        session.app.full_repaint()
        session.frame()
        assert session.terminal.text() == session.composed()

    await running(session, script)


@pytest.mark.anyio
async def test_a_resize_to_and_fro_is_distrusted(session: Session) -> None:
    from textual import events
    from textual.geometry import Size

    async def script(session: Session) -> None:
        session.terminal = ReferenceTerminal(40, 6)  # as a terminal that lost its lines
        session.app.post_message(events.Resize(Size(40, 6), Size(40, 6)))
        await session.drawn()
        session.frame()
        assert session.terminal.text() == session.composed()

    await running(session, script)


@pytest.mark.anyio
async def test_any_failure_leaves_the_rest_to_textual(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(session: Session) -> None:
        def broken(*_: object) -> str:
            raise AttributeError("renamed in this version")

        monkeypatch.setattr("tui.celldiff.CellDiff.flush", broken)
        await session.update("after")
        await session.drawn()
        assert session.app.output_stats.fallback == "AttributeError: renamed in this version"
        written = "".join(RecordingDriver.written[session.position :])
        assert "after" in written and "日本語" in written  # all of the screen, by Textual
        session.position = len(RecordingDriver.written)
        session.app.output_frozen = True
        await session.update("unseen")
        assert len(RecordingDriver.written) == session.position
        session.app.output_frozen = False
        await session.drawn()
        assert "unseen" in "".join(RecordingDriver.written[session.position :])
        session.app.full_repaint()

    await running(session, script)


@pytest.mark.anyio
async def test_mode_2026_encloses_each_frame_when_the_terminal_has_it(session: Session) -> None:
    from textual import messages

    async def script(session: Session) -> None:
        session.app.post_message(messages.TerminalSupportsSynchronizedOutput())
        await session.update("synchronized")
        frame = session.frame()
        assert frame.startswith("\x1b[?2026h") and frame.endswith("\x1b[?2026l")
        assert frame.count("\x1b[?2026") == 2

    await running(session, script)


@pytest.mark.anyio
async def test_the_cursor_rests_in_the_input(session: Session) -> None:
    async def script(session: Session) -> None:
        session.app.query_one(Input).value = "ab"
        await session.drawn()
        session.frame()
        position = session.app.cursor_position
        assert (session.terminal.x, session.terminal.y) == (position.x, position.y) != (0, 0)

    await running(session, script)


@pytest.mark.anyio
async def test_headless_runs_are_left_alone() -> None:
    app = Small()
    async with app.run_test(size=(40, 6)) as pilot:
        await pilot.pause()
        app.full_repaint()
        app.output_frozen = True
        await pilot.pause()
        app.output_frozen = False
        assert app.output_stats.bytes_written == 0


# --- in a real terminal


def composed_text(path: Path) -> list[str]:
    """The dumped screen, as cells without the second halves."""
    return path.read_text(encoding="utf-8").split("\n")


def test_the_terminal_shows_what_was_composed(tmp_path: Path) -> None:
    dump = tmp_path / "screen"
    with PtyApp(*TICKER, "ticks=40", "interval=0.02", f"dump={dump}", width=100, height=40) as app:
        app.read_until(dump.exists, "the dump")
        app.settle()
        reference = ReferenceTerminal(100, 40)
        reference.feed(drawn_by_app(app.output.decode()))
        assert reference.text() == composed_text(dump)
        # Bounded for all time: the content is the same in every run. Stock output takes ten times as much.
        frames = app.output.decode().split("\x1b[?1049h", 1)[1]
        assert len(frames.encode()) < 90_000
        # ... and pyte, where it agrees about widths.
        for y, line in enumerate(composed_text(dump)):
            if line.isascii():
                assert app.screen.display[y] == line
        dump.unlink()
        for turn in range(50):
            app.resize(30 + turn * 37 % 150, 8 + turn * 13 % 40)
            app.read(0.002)
        app.resize(90, 30)
        size = (90, 30)

        def settled() -> bool:
            if not dump.exists():
                return False
            lines = composed_text(dump)
            return (cell_len(lines[0]), len(lines)) == size

        app.read_until(settled, "the last size")
        app.settle()
        place = len(app.output)
        app.write(b"\x0c")
        app.wait_for("▊".encode(), place)
        app.settle()
        reference = ReferenceTerminal(90, 30)
        reference.feed(drawn_by_app(app.output[place:].decode()))
        assert reference.text() == composed_text(dump)
        for y, line in enumerate(composed_text(dump)):
            if line.isascii():
                assert app.screen.display[y] == line
        app.write(b"\x11")
        assert app.wait() == 0


def drawn_by_app(output: str) -> str:
    """The frames, without the modes that Textual sets (mode 2026 excepted) and its pointer shapes."""
    return re.sub(r"\x1b\[[?>](?!2026[hl])[\d;]*(\$p|[hlu])|\x1b\]22;[^\x07]*\x07", "", output)


def test_a_pty_that_nobody_reads_gets_the_newest_screen_when_it_is_read_again(tmp_path: Path) -> None:
    dump = tmp_path / "screen"
    with PtyApp(*TICKER, "interval=0.005", "stats", "ticks=300", f"dump={dump}", width=180, height=50) as app:
        app.wait_for(b"\x1b[?1049h")
        app.wait_for("▊".encode())
        while not dump.exists():  # it goes on though its output is stuck
            time.sleep(0.05)
        app.settle()
        reference = ReferenceTerminal(180, 50)
        reference.feed(drawn_by_app(app.output.decode()))
        assert reference.text() == composed_text(dump)
        app.write(b"\x11")
        assert app.wait() == 0
        match = re.search(rb"frames (\d+) skipped (\d+) bytes (\d+) None", app.output)
        assert match
        assert int(match[2]) > 0
