"""What the terminal can do, found out before anything is drawn. Imports no Textual.

Most of it is said by the environment (TERM, COLORTERM, NO_COLOR, the locale) and by terminfo. Whether the background is
light is asked of the terminal itself (OSC 11), followed by a question that every terminal answers (DA1), so that one
which does not know the first is not waited for.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import termios
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

ANSWER_SECONDS: Final = 0.1
"""How long the terminal is given to answer; a slower answer is filtered out of the input (`ReplyFilter`)."""

ColorDepth = Literal["none", "16", "256", "truecolor"]
Background = Literal["dark", "light"]

_QUESTION: Final = b"\x1b]11;?\x1b\\\x1b[c"
_BACKGROUND: Final = re.compile(r"\x1b\]11;(?P<color>[^\x07\x1b]*)(?:\x07|\x1b\\)")
_ATTRIBUTES: Final = re.compile(r"\x1b\[\?[\d;]*c")
_BEGINNING: Final = re.compile(r"\x1b(?:\](?:1(?:1(?:;[^\x07\x1b]*\x1b?)?)?)?|\[(?:\?[\d;]*)?)?\Z")
"""What may be the beginning of an answer, at the end of what was read."""

_terminfo_of: str | None = None
"""The terminal that curses was set up for, which works once per process."""

_DUMB: Final = frozenset({"", "dumb", "unknown"})
_TRUECOLOR_TERMS: Final = ("kitty", "ghostty", "alacritty", "foot", "wezterm", "contour", "-direct")
_ATTRIBUTES_TERMS: Final = ("vt100", "vt102", "vt220", "vt320", "-mono", "-m")


@dataclass(frozen=True, slots=True)
class TerminalCapabilities:
    """What is known about the terminal."""

    interactive: bool
    """Both ends are a terminal that can draw: a screen is possible."""
    dumb: bool
    """TERM is missing, `dumb` or `unknown`: no cursor motion."""
    utf8: bool
    """The locale is UTF-8; otherwise only ASCII may be drawn."""
    braille: bool
    """Braille dots can be expected in its font: not on the Linux console."""
    color_depth: ColorDepth
    """What the terminal shows, NO_COLOR aside."""
    no_color: bool
    """The user wants no colour (NO_COLOR is set and not empty)."""
    background: Background | None
    """As the terminal or COLORFGBG says it; None is not known."""
    linux_console: bool
    """TERM=linux: 16 colours, bright ones shown by the bold attribute."""
    erases_with_background: bool
    """terminfo `bce`."""
    multiplexer: Literal["tmux", "screen"] | None
    typed_ahead: str = field(default="", repr=False)
    """What the user typed while the terminal was asked: to be handed on to the screen."""
    reply_pending: bool = False
    """The answer did not come in time, and may still arrive among the input."""

    @property
    def color_system(self) -> str | None:
        """The name Rich and Textual have for the depth (`TEXTUAL_COLOR_SYSTEM`); None is no colour."""
        return {"none": None, "16": "standard", "256": "256", "truecolor": "truecolor"}[self.color_depth]


class ReplyFilter:
    """Takes late answers of the terminal out of what is typed.

    Textual would pass their characters on as keys. After a while, or when both answers came, everything passes.
    """

    SECONDS: Final = 30.0
    PATIENCE: Final = 1.0
    """Seconds that the rest of an answer may take to come: a slow line breaks it anywhere."""
    KEY_PATIENCE: Final = 0.05
    """The same where what came is still a key that people press: Escape, or Alt with a bracket."""

    def __init__(self) -> None:
        self._until = time.monotonic() + self.SECONDS
        self._expected = [_BACKGROUND, _ATTRIBUTES]
        self._held = ""

    def feed(self, text: str) -> str:
        """What was typed; the beginning of a possible answer is held back until the next call."""
        text, self._held = self._held + text, ""
        for pattern in self._expected[:]:
            text, found = pattern.subn("", text, count=1)
            if found:
                self._expected.remove(pattern)
        if self._expected and time.monotonic() < self._until:
            match = _BEGINNING.search(text)
            if match:
                text, self._held = text[: match.start()], match.group()
        return text

    @property
    def holds(self) -> bool:
        """Whether something is held back."""
        return bool(self._held)

    def flush(self, waited: float = PATIENCE) -> str:
        """What was held back and is no answer: nothing followed it for `waited` seconds, which is long enough."""
        if waited < (self.KEY_PATIENCE if len(self._held) <= 2 else self.PATIENCE):
            return ""
        held, self._held = self._held, ""
        return held


def detect(
    stdin: TextIO | None, stdout: TextIO | None, env: Mapping[str, str], question: Question | None = None
) -> TerminalCapabilities:
    """Find out what the terminal can do.

    Args:
        stdin: where keys come from; None where the process has none.
        stdout: where it is drawn to.
        env: the environment; `os.environ` is corrected for what Python itself put there.
        question: what `ask` returned, some time ago; None asks now. It is waited for until `ANSWER_SECONDS` after it
            was asked.

    Returns:
        The capabilities. Never raises for an odd terminal: what is not known is left at its safe value.
    """
    term = env.get("TERM", "").lower()
    dumb = term in _DUMB
    keys, screen = _terminal(stdin), _terminal(stdout)
    interactive = keys is not None and screen is not None and not dumb
    linux_console = _is_linux_console(term)
    utf8 = is_utf8(env)
    question = question or ask(stdin, stdout, env)
    answer = question.close() if question is not None else Answer()
    return TerminalCapabilities(
        interactive=interactive,
        dumb=dumb,
        utf8=utf8,
        braille=utf8 and not linux_console,
        color_depth="none" if dumb else _color_depth(term, env, screen),
        no_color=bool(env.get("NO_COLOR")),
        background=answer.background or _from_colorfgbg(env.get("COLORFGBG", "")),
        linux_console=linux_console,
        erases_with_background=_terminfo_number("bce", term, screen) == 1,
        multiplexer="tmux" if env.get("TMUX") else "screen" if env.get("STY") or term.startswith("screen") else None,
        typed_ahead=answer.typed_ahead,
        reply_pending=answer.pending,
    )


def is_utf8(env: Mapping[str, str]) -> bool:
    """Whether the locale's encoding is UTF-8, by LC_ALL, LC_CTYPE and LANG.

    Python sets LC_CTYPE=C.UTF-8 where the user has LANG=C (PEP 538); for `os.environ` that is looked through.
    """
    coerced = env is os.environ and _was_coerced(env)
    names = ("LC_ALL", "LANG") if coerced else ("LC_ALL", "LC_CTYPE", "LANG")
    locale = next((env[name] for name in names if env.get(name)), "")
    return "utf8" in locale.lower().replace("-", "")


def _was_coerced(env: Mapping[str, str]) -> bool:
    if env.get("LC_CTYPE") not in ("C.UTF-8", "C.utf8", "UTF-8"):
        return False
    try:
        with open("/proc/self/environ", "rb") as file:
            return not any(entry.startswith(b"LC_CTYPE=") and entry[9:] for entry in file.read().split(b"\0"))
    except OSError:
        return False


def _terminal(stream: TextIO | None) -> int | None:
    """The stream's descriptor, if it is a terminal."""
    if stream is not None:
        with contextlib.suppress(OSError, ValueError):
            if os.isatty(stream.fileno()):
                return stream.fileno()
    return None


def _is_linux_console(term: str) -> bool:
    return term == "linux" or term.startswith("linux-")


def _color_depth(term: str, env: Mapping[str, str], screen: int | None) -> ColorDepth:
    if _is_linux_console(term):
        return "16"
    if env.get("COLORTERM", "").lower() in ("truecolor", "24bit") or any(name in term for name in _TRUECOLOR_TERMS):
        return "truecolor"
    if "256color" in term:
        return "256"
    if term.startswith("vt") or term.endswith(_ATTRIBUTES_TERMS):
        return "none"
    colors = _terminfo_number("colors", term, screen)
    if colors is None:
        return "16"
    if colors > 256:
        return "truecolor"
    return "256" if colors == 256 else "16" if colors >= 8 else "none"


def _terminfo_number(name: str, term: str, screen: int | None) -> int | None:
    """A terminfo number or flag; None without terminfo, without this terminal or capability in it."""
    global _terminfo_of
    try:
        import curses

        if _terminfo_of is None:
            curses.setupterm(term, screen if screen is not None else 1)
            _terminfo_of = term
        if _terminfo_of != term:
            return None  # curses knows the first terminal only, whatever it is told later
        number = max(curses.tigetnum(name), curses.tigetflag(name))
    except Exception:
        # Python may be built without curses; curses.error is raised for an unknown TERM. Nothing else depends on it.
        return None
    return number if number >= 0 else None


def _from_colorfgbg(value: str) -> Background | None:
    """The background by rxvt's and Konsole's variable: `15;0` is light on dark."""
    last = value.rpartition(";")[2]
    if not last.isdigit():
        return None
    return "light" if int(last) in (7, *range(9, 16)) else "dark"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking the terminal."""

    background: Background | None = None
    typed_ahead: str = ""
    pending: bool = False


class Question:
    """The terminal, asked for its background colour. The question is written at once, the answer read by `close`.

    Whoever has something else to do meanwhile, such as to import what draws, waits for nothing in between. What is
    typed is neither shown nor lost. A process in the background does not ask.

    Args:
        keys: descriptor to read the answer from.
        screen: descriptor to write the question to.
    """

    def __init__(self, keys: int, screen: int) -> None:
        self._keys = keys
        self._before: list[Any] | None = None
        self._asked = time.monotonic()
        try:
            if os.tcgetpgrp(keys) != os.getpgrp():
                return
            before, raw = termios.tcgetattr(keys), termios.tcgetattr(keys)
            raw[3] &= ~(termios.ICANON | termios.ECHO)
            raw[6][termios.VMIN], raw[6][termios.VTIME] = 0, 0
            # TCSANOW, here and back: the flushing kinds would throw away what was typed.
            termios.tcsetattr(keys, termios.TCSANOW, raw)
            self._before = before
            os.write(screen, _QUESTION)
        except (OSError, termios.error):
            self.close(0.0)

    def close(self, seconds: float = ANSWER_SECONDS) -> Answer:
        """Reads the answer and puts the terminal's modes back; a second call finds nothing.

        Args:
            seconds: how long after the question to wait for the whole answer.

        Returns:
            The background, what else was read meanwhile, and whether the answer is still to come.
        """
        if self._before is None:
            return Answer()
        received = b""
        poller = select.poll()
        poller.register(self._keys, select.POLLIN)
        deadline = self._asked + seconds
        try:
            while poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
                data = os.read(self._keys, 4096)
                received += data
                if not data or _ATTRIBUTES.search(received.decode("utf-8", "replace")):
                    break
        except OSError:
            return Answer()
        finally:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._keys, termios.TCSANOW, self._before)
            self._before = None
        text = received.decode("utf-8", "replace")
        color = _BACKGROUND.search(text)
        answered = _ATTRIBUTES.search(text) is not None
        typed = _ATTRIBUTES.sub("", _BACKGROUND.sub("", text))
        return Answer(_brightness(color["color"]) if color else None, typed, not answered)


def ask(stdin: TextIO | None, stdout: TextIO | None, env: Mapping[str, str]) -> Question | None:
    """Asks the terminal for its background, to be read by `detect`; None for one that is not to be asked."""
    keys, screen = _terminal(stdin), _terminal(stdout)
    term = env.get("TERM", "").lower()
    if keys is None or screen is None or term in _DUMB or _is_linux_console(term):
        return None
    return Question(keys, screen)


def _brightness(color: str) -> Background | None:
    """Light or dark, of an X11 colour such as `rgb:1e1e/1e1e/2e2e` or `#1e1e2e`."""
    if color.startswith("#") and len(color) % 3 == 1:
        size = len(color) // 3
        parts = [color[1 + size * index : 1 + size * (index + 1)] for index in range(3)]
    else:
        parts = color.partition(":")[2].split("/")[:3]
    try:
        red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in parts)
    except (ValueError, ZeroDivisionError):
        return None
    return "light" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5 else "dark"


def attach_input() -> bool:
    """Read keys from the controlling terminal where standard input is something else (`sysmon < file`).

    Returns:
        Whether standard input is a terminal now.
    """
    if _terminal(sys.__stdin__) is not None:
        return True
    try:
        descriptor = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    os.dup2(descriptor, 0)
    os.close(descriptor)
    # `sys.__stdin__` reads descriptor 0; a process started without one has none to be read by.
    return sys.__stdin__ is not None
