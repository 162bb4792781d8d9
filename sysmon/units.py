"""Numbers and times as people read and write them.

Formatting never invents: None is shown as a dash. Bytes are shown in powers of 1024.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sysmon.errors import UsageError

if TYPE_CHECKING:
    from datetime import tzinfo

MISSING = "–"
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_SHORT = ("B", "K", "M", "G", "T", "P", "E")
_SI = ("", "k", "M", "G", "T", "P", "E")
_BITS = ("bit", "kbit", "Mbit", "Gbit", "Tbit", "Pbit", "Ebit")
_DURATION_UNITS = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "y": 31_557_600.0,
}
_SIZES = {"": 1, "b": 1} | {
    name: base**power
    for power, letter in enumerate("kmgtpe", start=1)
    for name, base in ((letter, 1024), (f"{letter}ib", 1024), (f"{letter}b", 1000))
}
_EXAMPLES = {"ratio": "90 %", "bytes": "2 GiB", "bytes/s": "10 MiB/s", "celsius": "80 °C", "hertz": "2 GHz"}
_SUFFIX = {
    "celsius": "°C",
    "watts": "W",
    "joules": "J",
    "hertz": "Hz",
    "rpm": "rpm",
    "volts": "V",
    "dbm": "dBm",
    "/s": "/s",
}


def format_value(value: float | None, unit: str = "", *, short: bool = False) -> str:
    """Formats a value of a base unit, such as `1.5 GiB`, `37.0 %`, `3d 04:12`; short: `1.5G`, `37%`, `3d`."""
    if value is None or not math.isfinite(value):
        return MISSING
    if unit == "ratio":
        return f"{value * 100:.0f}%" if short else f"{value * 100:.1f} %"
    if unit in ("bytes", "bytes/s"):
        return format_bytes(value, per_second=unit == "bytes/s", short=short)
    if unit == "seconds":
        return format_duration(value, short=short)
    if unit == "hertz":
        return _scaled(value, 1000, _SI, "" if short else " ") + "Hz"
    if unit == "":
        return _plain(value)
    return f"{_plain(value)}{'' if short else ' '}{_SUFFIX.get(unit, unit)}"


def format_bytes(value: float | None, *, per_second: bool = False, short: bool = False) -> str:
    """Formats bytes in powers of 1024: `1.5 GiB`, `12.0 KiB/s`; short: `1.5G`, `12.0K`."""
    if value is None or not math.isfinite(value):
        return MISSING
    text = _scaled(value, 1024, _SHORT if short else _BINARY, "" if short else " ")
    return text if short or not per_second else text + "/s"


def format_bits(value: float | None, *, per_second: bool = False, short: bool = False) -> str:
    """Formats bytes as bits in powers of 1000, as link speeds are given: `1.5 Gbit`, `9.8 Mbit/s`; short: `9.8M`."""
    if value is None or not math.isfinite(value):
        return MISSING
    if short:
        return _scaled(8 * value, 1000, ("b", *_SI[1:]), "")
    return _scaled(8 * value, 1000, _BITS, " ") + ("/s" if per_second else "")


def format_duration(seconds: float | None, *, short: bool = False) -> str:
    """Formats a duration: `450 ms`, `12.5 s`, `4m 05s`, `3h 12m`, `12d 04h`; short: the larger unit alone."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 0:
        return "-" + format_duration(-seconds, short=short)
    gap = "" if short else " "
    if seconds < 1:
        return f"{seconds * 1000:.0f}{gap}ms"
    if seconds < 60:
        return f"{seconds:.0f}s" if short else f"{seconds:.1f} s"
    whole = int(seconds)
    for size, name, lower, lower_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            if short:
                return f"{whole // size}{name}"
            return f"{whole // size}{name} {whole % size // lower:02d}{lower_name}"
    return f"{whole}s"


def plain_duration(seconds: float) -> str:
    """Says a duration as people do, in its larger unit: `41 s`, `4 min`, `3 h`, `1 day`, `12 days`."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 2 * 3600:
        return f"{round(seconds / 60)} min"
    if round(seconds / 3600) < 24:
        return f"{round(seconds / 3600)} h"
    days = round(seconds / 86400)
    return "1 day" if days == 1 else f"{days} days"


def format_time(milliseconds: int, zone: tzinfo | None = None, *, date: bool = True) -> str:
    """Formats Unix milliseconds as local `2026-11-21 03:12:05` (or the time alone)."""
    moment = datetime.fromtimestamp(milliseconds / 1000, zone)
    return moment.strftime("%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S")


def rfc3339(milliseconds: int) -> str:
    """Formats Unix milliseconds as RFC 3339 in UTC, milliseconds included where they are not zero."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    text = moment.isoformat(timespec="milliseconds" if milliseconds % 1000 else "seconds")
    return text.replace("+00:00", "Z")


def parse_duration(text: str) -> float:
    """Parses `5m`, `1h30m`, `90`, `2.5 s`, `7d` into seconds.

    Raises:
        ValueError: not a duration.
    """
    found = re.fullmatch(r"\s*((?:\d+(?:\.\d+)?\s*(?:ms|min|[smhdwy])\s*)+|\d+(?:\.\d+)?)\s*", text)
    if not found:
        raise ValueError(f'\'{text}\' is not a duration; write "5m", "1h30m" or "90s"')
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(ms|min|[smhdwy])?", found[1])
    return sum(float(number) * _DURATION_UNITS[unit or "s"] for number, unit in parts)


def parse_quantity(text: str | float, unit: str) -> float:
    """Parses a value with its unit into the base unit: `90 %` of ratio, `2 GiB`, `10 MB/s`, `80 °C`, `5m`.

    Raises:
        ValueError: not such a quantity; the message names an example.
    """
    if isinstance(text, int | float):
        return float(text)
    if unit == "seconds":
        return parse_duration(text)
    found = re.fullmatch(r"\s*([-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)\s*(\S*?)\s*(/\s*s)?\s*", text, re.IGNORECASE)
    if found:
        number, suffix = float(found[1]), found[2].lower()
        if unit == "ratio" and suffix in ("%", ""):
            return number / 100 if suffix else number
        if unit in ("bytes", "bytes/s"):
            bits = re.fullmatch(r"([kmgt]?)bit", suffix)
            if bits:
                return number * float(1000 ** " kmgt".index(bits[1] or " ")) / 8
            if suffix in _SIZES:
                return number * float(_SIZES[suffix])
        if unit == "celsius" and suffix in ("", "c", "°c"):
            return number
        if unit == "hertz" and suffix in ("", "hz", "khz", "mhz", "ghz"):
            return number * {"": 1.0, "h": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}[suffix[:1]]
        if suffix in ("", unit.lower(), _SUFFIX.get(unit, "").lower()):
            return number
    example = _EXAMPLES.get(unit, "12")
    raise ValueError(f"'{text}' is not a value of unit {unit or 'number'}; write \"{example}\"")


def parse_time(text: str, now: int, zone: tzinfo | None = None) -> int:
    """Parses a moment into Unix milliseconds.

    Knows `now`, `3h ago`, `3h` or `-3h` (back from now), `03:12[:05]` (the last such time of day), `yesterday 03:12`,
    `2026-11-20`, `2026-11-20 03:12`, RFC 3339, and Unix seconds of at least nine digits.

    Raises:
        UsageError: not a moment.
    """
    given = text.strip()
    low = given.lower()
    if low in ("", "now"):
        return now
    if re.fullmatch(r"\d{9,11}(\.\d+)?", low):
        return int(float(low) * 1000)
    back = re.fullmatch(r"-?\s*((?:\d+(?:\.\d+)?\s*(?:ms|min|[smhdwy])\s*)+)(ago)?", low)
    if back:
        # Before 1970 nothing was counted: it is as good as the beginning.
        return max(0, now - int(min(parse_duration(back[1]), 1e12) * 1000))
    here = datetime.fromtimestamp(now / 1000, zone)
    clock = re.fullmatch(r"(yesterday\s+|today\s+)?(\d{1,2}):(\d{2})(?::(\d{2}))?", low)
    try:
        if clock:
            moment = here.replace(hour=int(clock[2]), minute=int(clock[3]), second=int(clock[4] or 0), microsecond=0)
            if (clock[1] or "").startswith("yesterday") or (not clock[1] and moment > here):
                moment -= timedelta(days=1)
            return int(moment.timestamp() * 1000)
        if low in ("yesterday", "today"):
            moment = here.replace(hour=0, minute=0, second=0, microsecond=0)
            return int((moment - timedelta(days=low == "yesterday")).timestamp() * 1000)
        moment = datetime.fromisoformat(given)
        if moment.tzinfo is None and zone is not None:
            moment = moment.replace(tzinfo=zone)
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"'{text}' is not a moment", "write 03:12, '3h ago', '2026-11-20 03:12' or an RFC 3339 time"
        ) from None


def _scaled(value: float, base: int, names: tuple[str, ...], gap: str) -> str:
    size = abs(value)
    step = 0
    while step < len(names) - 1 and (size >= base or round(size, 1) >= base):
        size /= base
        step += 1
    sign = "-" if value < 0 else ""
    if step == 0:
        return f"{sign}{size:.0f}{gap}{names[0]}"
    return f"{sign}{size:.{0 if round(size, 1) >= 100 else 1}f}{gap}{names[step]}"


def _plain(value: float) -> str:
    if value == int(value) and abs(value) < 1e7:
        return str(int(value))
    if abs(value) >= 1e6:
        return _scaled(value, 1000, _SI, " ")
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.1f}"
