"""Writing to stdout: JSON as UTF-8 whatever the locale, text in what the locale can show."""

from __future__ import annotations

import codecs
import os
import sys
from typing import Any

from tui.terminal import is_utf8

_PLAIN = {
    "–": "-",
    "…": "~",
    "°": "",
    "→": "->",
    "×": "x",
    "−": "-",
    "≥": ">=",
    "≤": "<=",
    "µ": "u",
    "█": "#",
    "▒": ":",
}


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(character, "?") for character in error.object[error.start : error.end]), error.end


def adapt() -> None:
    """Makes stdout and stderr survive a locale that lacks some of our characters."""
    codecs.register_error("sysmon-plain", _plain)
    _fill_closed()
    # Python makes UTF-8 of the C locale by itself; the terminal behind it still shows ASCII alone.
    encoding = None if is_utf8(os.environ) else "ascii"
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding=encoding, errors="sysmon-plain")


def _fill_closed() -> None:
    """Puts /dev/null where stdin, stdout or stderr was closed: a socket or a database must not take its number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)


def write_json(value: Any, *, indent: bool = False, sort: bool = False) -> None:
    """Writes one JSON value and a newline to stdout, in UTF-8."""
    import msgspec

    data = msgspec.json.encode(value, order="deterministic" if sort else None)
    if indent:
        data = msgspec.json.format(data)
    write_bytes(data + b"\n")


def write_bytes(data: bytes) -> None:
    """Writes bytes to stdout behind what was printed before."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
