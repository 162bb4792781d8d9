"""Writing to stdout: JSON as UTF-8 whatever the locale, text in what the locale can show."""

from __future__ import annotations

import codecs
import sys
from typing import Any

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
}


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(character, "?") for character in error.object[error.start : error.end]), error.end


def adapt() -> None:
    """Makes stdout and stderr survive a locale that lacks some of our characters."""
    codecs.register_error("sysmon-plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="sysmon-plain")


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
