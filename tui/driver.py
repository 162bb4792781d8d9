"""The terminal as Textual's Linux driver runs it, with what a long-lived monitor needs besides.

- A terminal that went away (end of input, an input error, a hang-up) is told to the session instead of being read again
  and again.
- Output goes to the terminal itself, in whole writes that cannot block for ever, and the screen is told when they are
  done.
- ^Z and SIGTSTP stop the whole foreground job with the terminal restored, from the event loop and not from within a
  signal handler; when it continues, the screen is drawn again. A SIGCONT after SIGSTOP sets the modes again.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
import termios
import threading
import time
from codecs import getincrementaldecoder
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual import constants
from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

from tui.terminal import ReplyFilter
from tui.ttyfile import TerminalFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import App
    from textual.message import Message

    from tui.lifecycle import TerminalSession

IDLE_SECONDS: Final = 10.0
"""How long the input thread sleeps when nothing is typed; it is woken by input and by the end."""

_EMPTY_READS: Final = 3
"""Empty reads in a row after which a terminal that still answers counts as gone."""


class TerminalDriver(LinuxDriver):
    """Textual's Linux driver for one terminal session."""

    session: ClassVar[TerminalSession | None] = None
    """Is told when the terminal goes away; set in a subclass by `tui.lifecycle`."""

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._output = TerminalFile(_output_descriptor(), on_drained=self._on_drained)
        # Our own widgets draw with the glyphs chosen; Textual's, and names of processes, hold anything.
        self._output.ascii = lambda: getattr(app.__dict__.get("_sysmon_glyphs"), "ascii", False)
        # Textual's writer thread writes to `_file`.
        self._file = self._output  # type: ignore[assignment]
        self._when_drained: Callable[[], None] | None = None
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self.exit_event = _WakingEvent(self._wake)
        self._active = False
        self._typed_ahead = "" if self.session is None else self.session.typed_ahead

    # --- output

    def write(self, data: str) -> None:
        """Queue data for the terminal."""
        self._output.expect()
        super().write(data)

    def call_when_drained(self, callback: Callable[[], None]) -> bool:
        """Whether anything is still on its way; then `callback` is called in the event loop once, when it has gone."""
        self._when_drained = callback
        if self._output.drained:
            self._when_drained = None
            return False
        return True

    def _on_drained(self) -> None:
        # In the writer thread.
        callback, self._when_drained = self._when_drained, None
        if callback is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(callback)

    def _get_terminal_size(self) -> tuple[int, int]:
        # Not from COLUMNS and LINES: exported once, they would hide every resize.
        with contextlib.suppress(OSError):
            width, height = os.get_terminal_size(self._output.fileno())
            if width > 0 and height > 0:
                return width, height
        width, height = super()._get_terminal_size()
        return width, height

    # --- modes

    def start_application_mode(self) -> None:
        """Enter the alternate screen and start reading."""
        before = self.attrs_before
        self._output.reopen()
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._active = True
        if before is not None and self.attrs_before is not None and not self.attrs_before[3] & termios.ICANON:
            # Started a second time from raw mode: what was there first is what has to come back.
            self.attrs_before = before
        if self.session is not None:
            self.session.attributes = self.attrs_before
        if self._typed_ahead:
            text, self._typed_ahead = self._typed_ahead, ""
            for message in XTermParser().feed(text):
                self.process_message(message)

    def stop_application_mode(self) -> None:
        """Leave the alternate screen and restore the terminal."""
        self._active = False
        if self._mouse_pixels:
            self.write("\x1b[?1016l")
        super().stop_application_mode()

    def close(self) -> None:
        """Write what is left, but do not wait for a terminal that reads nothing."""
        self._output.hurry()
        super().close()

    # --- input

    def run_input_thread(self) -> None:
        """Turn what is typed into messages until the input ends or is disabled."""
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        late = ReplyFilter() if self.session is not None and self.session.reply_pending else None
        empty_reads = 0
        busy_until = 0.0
        last_input = time.monotonic()
        # A SelectSelector where poll() does not know terminals.
        selector = selectors.PollSelector() if sys.platform == "linux" else selectors.SelectSelector()
        selector.register(self.fileno, selectors.EVENT_READ)
        selector.register(self._wake_read, selectors.EVENT_READ)
        try:
            while not self.exit_event.is_set():
                # The parser knows a lone escape key by what does not follow it, so it wants ticks for a while.
                busy = time.monotonic() < busy_until or (late is not None and late.holds)
                ready = {key.fd for key, _ in selector.select(0.05 if busy else IDLE_SECONDS)}
                if self._wake_read in ready:
                    self._drain_wake()
                if self.fileno in ready:
                    last_input = time.monotonic()
                    busy_until = last_input + constants.ESCAPE_DELAY + 0.2
                    try:
                        data = os.read(self.fileno, 4096)
                    except BlockingIOError:
                        continue
                    except OSError as error:
                        self._lost(error.strerror or str(error))
                        return
                    if not data:
                        empty_reads += 1
                        if empty_reads > _EMPTY_READS or not self._is_terminal():
                            self._lost("end of input")
                            return
                        continue
                    empty_reads = 0
                    text = decode(data)
                    if late is not None:
                        text = late.feed(text)
                    self._dispatch(parser, text)
                elif late is not None:
                    self._dispatch(parser, late.flush(time.monotonic() - last_input))
                for message in parser.tick():
                    self.process_message(message)
        finally:
            selector.close()
            with contextlib.suppress(EOFError, ParseError):
                for _ in parser.feed(""):
                    pass

    def _dispatch(self, parser: XTermParser, text: str) -> None:
        if text:  # an empty feed would end the parser
            for message in parser.feed(text):
                self.process_message(message)

    def _is_terminal(self) -> bool:
        try:
            termios.tcgetattr(self.fileno)
        except termios.error:
            return False
        return True

    def _lost(self, reason: str) -> None:
        """In the input thread: the terminal is gone."""
        if self.exit_event.is_set():
            return
        if self.session is not None:
            self.session.terminal_lost(reason)
        else:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(lambda: self._app.exit(return_code=129))

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"x")

    def _drain_wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)

    # --- stopping and continuing the job

    def _sigtstp_application(self, *_: object) -> None:
        # Textual's own handler stops here and now. It may have interrupted a queue's lock, which stopping needs.
        with contextlib.suppress(RuntimeError):  # the loop is closed: the program is about to end
            self._loop.call_soon_threadsafe(self._suspend)

    def _sigcont_application(self, *_: object) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._continued)

    def _suspend(self) -> None:
        """Restore the terminal, stop, and come back."""
        if not self._auto_restart or not self._active:
            # Another program has the terminal, or nobody yet.
            os.kill(os.getpid(), signal.SIGSTOP)
            return
        self.suspend_application_mode()
        self._must_signal_resume = True
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTSTP, signal.SIGCONT, signal.SIGTTOU)}
        try:
            # Continuing is seen by coming back from the stop; the handler would do it all twice.
            signal.signal(signal.SIGCONT, signal.SIG_DFL)
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
            self._stop_job()
            # Continued by `bg`: this stops the process again, until it has the terminal.
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self.fileno, termios.TCSANOW, termios.tcgetattr(self.fileno))
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        self.resume_application_mode()
        self._repaint()

    def _stop_job(self) -> None:
        """Stop this process and, as ^Z does in a cooked terminal, those in front of it (`make`, `sudo`).

        In a process group that no shell watches, the kernel ignores the signal, and the program goes on at once.
        """
        with contextlib.suppress(OSError):
            if os.tcgetpgrp(self.fileno) == os.getpgrp():
                signal.signal(signal.SIGTSTP, signal.SIG_IGN)
                os.kill(0, signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        # To this thread, so that it is stopped before the call returns.
        signal.pthread_kill(threading.get_ident(), signal.SIGTSTP)

    def _continued(self) -> None:
        """Set the modes again after a SIGSTOP, of which nobody was told, or after a bare SIGCONT."""
        if self._auto_restart and self._active:
            self.disable_input()
            self.close()
            self.resume_application_mode()
            self._repaint()

    def _repaint(self) -> None:
        repaint = getattr(self._app, "full_repaint", None)
        if repaint is not None:
            repaint()
        else:
            self._app.refresh(layout=True)

    def process_message(self, message: Message) -> None:
        """Pass a message on; none once the loop is closed."""
        with contextlib.suppress(RuntimeError):
            super().process_message(message)


class _WakingEvent(threading.Event):
    """Tells the input thread to end, and wakes it for that."""

    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__()
        self._wake = wake

    def set(self) -> None:
        super().set()
        self._wake()


def _output_descriptor() -> int:
    """Standard error, where Textual draws, if it is a terminal; else standard output."""
    for stream in (sys.__stderr__, sys.__stdout__):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                if os.isatty(stream.fileno()):
                    return stream.fileno()
    return 2
