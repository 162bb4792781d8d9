"""A screen from its start to the end of the process: signals, a terminal that vanishes, suspending, crashes.

Exit status: what the application returned (0, or 1 after a crash); 128 + the signal's number when a signal ended it
(143 for SIGTERM, 129 for SIGHUP, 130 for SIGINT, 131 for SIGQUIT); 129 too when the terminal went away. However it
ends, the terminal is restored. What does not end by itself within `GRACE_SECONDS` is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import threading
from typing import TYPE_CHECKING, Any, Final

from tui.ttyfile import TerminalFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from textual.app import App

    from tui.terminal import TerminalCapabilities

GRACE_SECONDS: Final = 2.0
"""What the program has to end by itself, once it was told to."""

HANGUP_STATUS: Final = 128 + signal.SIGHUP

_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)

_RESTORE: Final = (
    "\x1b[?2026l\x1b[?2004l\x1b[?7h\x1b[?2048l\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l\x1b[<u"
    "\x1b[m\x1b]8;;\x1b\\\x1b[?1049l\x1b[?25h\x1b[?1004l"
)
"""Undoes all that Textual's driver and this program set."""


class TerminalSession:
    """One run of an application in a terminal.

    Args:
        app: not yet running. Its driver class is replaced, unless it is to run elsewhere (in a browser, headless).
        capabilities: what `tui.terminal.detect` found; typed-ahead keys, a late answer and the output's options are
            taken from it.
        grace_seconds: see `GRACE_SECONDS`.
    """

    def __init__(
        self, app: App[Any], capabilities: TerminalCapabilities | None = None, grace_seconds: float = GRACE_SECONDS
    ) -> None:
        self.app = app
        self.typed_ahead = capabilities.typed_ahead if capabilities is not None else ""
        self.reply_pending = capabilities is not None and capabilities.reply_pending
        self.attributes: list[Any] | None = None
        """The terminal's modes from before, once the driver has read them."""
        self.status: int | None = None
        """The exit status, once something from outside ended the run."""
        self.reason = ""
        self._grace_seconds = grace_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = threading.Event()
        self._alarm_read, self._alarm_write = os.pipe()
        os.set_blocking(self._alarm_write, False)
        _use_driver(app, self)
        if capabilities is not None and hasattr(app, "CELL_DIFF"):
            app.ERASES_WITH_BACKGROUND = capabilities.erases_with_background  # type: ignore[attr-defined]
            app.BRIGHT_IS_BOLD = capabilities.linux_console  # type: ignore[attr-defined]

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """While entered: signals end the application, and a watchdog ends the process if that takes too long.

        Only in the main thread, from which the signals are handled.
        """
        # Textual's driver sets these and leaves them.
        before = {number: signal.getsignal(number) for number in (signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH)}
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            # Under nohup SIGHUP stays ignored; the terminal's end is noticed by itself.
            if handler is not signal.SIG_IGN:
                before[number] = handler
                signal.signal(number, self._on_signal)
        watchdog = threading.Thread(target=self._watch, name="terminal-watchdog", daemon=True)
        watchdog.start()
        try:
            yield
        finally:
            self._ended.set()
            os.write(self._alarm_write, b"x")
            watchdog.join()
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self._alarm_read)
            os.close(self._alarm_write)

    async def run(self, **options: Any) -> int:
        """Run the application in the running loop.

        Args:
            options: for `App.run_async`, such as `mouse`.

        Returns:
            The exit status.
        """
        self._loop = asyncio.get_running_loop()
        if self.status is None:
            await self.app.run_async(**options)
        return self._exit_status()

    def _exit_status(self) -> int:
        return self.status if self.status is not None else self.app.return_code or 0

    def terminal_lost(self, reason: str) -> None:
        """End the run because the terminal is gone; from any thread."""
        self._end(HANGUP_STATUS, f"the terminal went away: {reason}")

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._end(128 + number, f"received {signal.Signals(number).name}")

    def _end(self, status: int, reason: str) -> None:
        # This may run between any two instructions of the main thread: no lock is taken here but the loop's own.
        if self.status is None:
            self.status, self.reason = status, reason
        with contextlib.suppress(OSError):
            os.write(self._alarm_write, b"x")
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._exit_app)

    def _exit_app(self) -> None:
        self.app.exit(return_code=self.status or 0)

    def _watch(self) -> None:
        """In a thread of its own: after the alarm, wait for the end, then bring it about."""
        os.read(self._alarm_read, 1)
        if not self._ended.wait(self._grace_seconds):
            restore_terminal(self.attributes)
            os._exit(self.status if self.status is not None else HANGUP_STATUS)


def install(app: App[Any], capabilities: TerminalCapabilities | None = None) -> TerminalSession:
    """Prepare an application for `TerminalSession.run`, for a caller that has a loop of its own.

    session = install(app, detect(sys.stdin, sys.stdout, os.environ))
    with session.guard():
        status = await session.run()
    """
    return TerminalSession(app, capabilities)


def run(app: App[Any], capabilities: TerminalCapabilities | None = None, **options: Any) -> int:
    """Run an application in the terminal, and return the exit status for the process.

    Args:
        app: not yet running.
        capabilities: see `TerminalSession`.
        options: for `App.run_async`.
    """
    session = install(app, capabilities)
    with session.guard():
        return asyncio.run(session.run(**options))


def restore_terminal(attributes: list[Any] | None) -> None:
    """Undo the screen's modes without the driver's help; takes a second at most."""
    for stream in (sys.__stderr__, sys.__stdout__):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            descriptor = stream.fileno()  # type: ignore[union-attr]
            if os.isatty(descriptor):
                terminal = TerminalFile(descriptor)
                terminal.hurry()
                terminal.write(_RESTORE)
                terminal.flush()
                if attributes is not None:
                    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
                return


def _use_driver(app: App[Any], session: TerminalSession) -> None:
    """Give the application a driver bound to the session, where it would run Textual's Linux driver."""
    if sys.platform == "win32":
        return
    from textual.drivers.linux_driver import LinuxDriver

    if issubclass(app.driver_class, LinuxDriver):
        from tui.driver import TerminalDriver

        app.driver_class = type("SessionDriver", (TerminalDriver,), {"session": session})
