"""The text that Prometheus reads: its own format 0.0.4, and OpenMetrics 1.0. A strict and bounded parser, and escapes.

What does not parse is refused whole, with the number of its line: half a page would look like a host that lost half of
its disks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from sysmon.errors import MalformedInput
from sysmon.frame import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from sysmon.frame import Number

TEXT = "text/plain"
"""Media type of Prometheus' own format."""
OPENMETRICS = "application/openmetrics-text"
"""Media type of OpenMetrics."""

MAX_PAGE = 16 << 20
"""Bytes of a page at most; a node_exporter's has 60 to 500 kB."""
MAX_LINE = 64 << 10
"""Characters of a line at most."""
MAX_SAMPLES = 100_000
"""Samples of a page at most."""

TYPES: Final = {
    False: frozenset({"counter", "gauge", "histogram", "summary", "untyped"}),
    True: frozenset(
        {"counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset", "unknown"},
    ),
}
"""Types of a family, by whether it is OpenMetrics."""

_SUFFIXES: Final[dict[str, tuple[str, ...]]] = {
    "counter": ("_total", "_created"),
    "info": ("_info",),
    "histogram": ("_bucket", "_count", "_sum", "_created"),
    "gaugehistogram": ("_bucket", "_gcount", "_gsum"),
    "summary": ("", "_count", "_sum", "_created"),
}
"""Endings of the samples of an OpenMetrics family; others have none."""

_NAME = r"[A-Za-z_:][A-Za-z0-9_:]*"
_LABEL = r'[A-Za-z_][A-Za-z0-9_]*[ \t]*=[ \t]*"(?:[^"\\]|\\["\\n])*"'
_LABELS = rf"\{{[ \t]*(?:{_LABEL}[ \t]*(?:,[ \t]*{_LABEL}[ \t]*)*(?:,[ \t]*)?)?\}}"
_NUMBER = (
    r"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?|[nN][aA][nN])"
)
_EXEMPLAR = rf" # {_LABELS} {_NUMBER}(?: [+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)?"

_SAMPLE: Final = {
    # Every part can match in one way only: a line made to be slow is no slower than its length.
    False: re.compile(
        rf"[ \t]*({_NAME})(?:[ \t]*({_LABELS})[ \t]*|[ \t]+)({_NUMBER})(?:[ \t]+(-?[0-9]{{1,18}}))?[ \t]*"
    ),
    True: re.compile(rf"({_NAME})({_LABELS})? ({_NUMBER})(?: ([+-]?[0-9]+(?:\.[0-9]*)?))?({_EXEMPLAR})?"),
}
_PAIR: Final = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\["\\n])*)"')
_COMMENT: Final = re.compile(rf"[ \t]*#[ \t]+(HELP|TYPE|UNIT)[ \t]+({_NAME})(?:[ \t](.*))?", re.DOTALL)
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,30}")
_ESCAPES: Final = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


class Sample(NamedTuple):
    """One line with a value. `timestamp`: Unix seconds, where the line has one."""

    name: str
    labels: dict[str, str]
    value: Number
    timestamp: float | None = None


class Page(NamedTuple):
    """What a page holds: its samples in order, and of each family its type and its help."""

    samples: list[Sample]
    types: dict[str, str]
    helps: dict[str, str]


def parse(
    text: str | bytes,
    *,
    openmetrics: bool = False,
    grouped: bool | None = None,
    wanted: Callable[[str], bool] | None = None,
    max_samples: int = MAX_SAMPLES,
) -> Page:
    """Parses a page.

    Args:
        text: the whole page, as UTF-8 where bytes.
        openmetrics: it is OpenMetrics 1.0, else Prometheus' text format 0.0.4.
        grouped: whether lines of one family must stand together; by default where it is OpenMetrics.
        wanted: given a sample's name, whether it is returned; all lines are checked.
        max_samples: samples at most.

    Raises:
        MalformedInput: a line has not the documented form, a series is there twice, the page is cut off or too large.

    Source: prometheus.io/docs/instrumenting/exposition_formats, OpenMetrics 1.0.0.
    """
    if len(text) > MAX_PAGE:
        raise MalformedInput(f"the page is longer than {MAX_PAGE} bytes")
    if isinstance(text, bytes):
        text = _decoded(text)
    if text and not text.endswith("\n"):
        raise MalformedInput("the page does not end with a line's end: it is cut off")
    reader = _Reader(openmetrics, openmetrics if grouped is None else grouped, wanted, max_samples)
    lines = text.split("\n")
    lines.pop()
    for number, line in enumerate(lines, 1):
        try:
            if len(line) > MAX_LINE:
                raise MalformedInput(f"longer than {MAX_LINE} characters")
            reader.take(line)
        except MalformedInput as error:
            raise MalformedInput(f"line {number}: {error.message}: {_shown(line)}") from None
    if openmetrics and not reader.ended:
        raise MalformedInput("the page has no '# EOF': it is cut off")
    return Page(reader.samples, reader.types, reader.helps)


class _Reader:
    def __init__(
        self, openmetrics: bool, grouped: bool, wanted: Callable[[str], bool] | None, max_samples: int
    ) -> None:
        self.samples: list[Sample] = []
        self.types: dict[str, str] = {}
        self.helps: dict[str, str] = {}
        self.ended = False
        self._open = openmetrics
        self._grouped = grouped
        self._wanted = wanted
        self._left = max_samples
        self._series: set[tuple[str, str] | tuple[str, frozenset[tuple[str, str]]]] = set()
        self._family = ""
        self._done: set[str] = set()
        self._sampled: set[str] = set()

    def take(self, line: str) -> None:
        if self.ended:
            raise MalformedInput("there is something behind '# EOF'")
        if line.startswith("#") or (not self._open and line.lstrip(" \t").startswith("#")):
            self._comment(line)
            return
        if not self._open and not line.strip(" \t"):
            return
        match = _SAMPLE[self._open].fullmatch(line)
        if match is None:
            raise MalformedInput("not a name, labels and a number")
        name, labels, value, stamp = match[1], match[2], match[3], match[4]
        family = self._family_of(name)
        self._enter(family)
        self._sampled.add(name)
        self._left -= 1
        if self._left < 0:
            raise MalformedInput("more samples than are allowed")
        number = _number(value)
        if self._open:
            self._check(name, family, number, bool(match[5]))
        if self._wanted is not None and not self._wanted(name):
            return
        pairs = _pairs(labels) if labels else {}
        series = (name, frozenset(pairs.items()))
        if series in self._series:
            raise MalformedInput("a series that was there before")
        self._series.add(series)
        when = None if stamp is None else float(stamp) / (1 if self._open else 1000)
        self.samples.append(Sample(name, pairs, number, when))

    def _comment(self, line: str) -> None:
        if self._open and line == "# EOF":
            self.ended = True
            return
        match = _COMMENT.fullmatch(line)
        if match is None:
            # '# HELPER …' is a comment like any other, but a TYPE that says nothing is a mistake.
            if self._open or re.match(r"[ \t]*#[ \t]+(TYPE|HELP)([ \t]|$)", line):
                raise MalformedInput("not HELP, TYPE or UNIT of a name")
            return
        kind, name, rest = match[1], match[2], match[3] or ""
        if kind == "UNIT" and not self._open:
            return
        self._enter(name)
        if kind == "TYPE":
            given = rest.strip(" \t") if not self._open else rest
            if given not in TYPES[self._open]:
                raise MalformedInput("not a type")
            if name in self.types:
                raise MalformedInput("a second TYPE of a name")
            if name in self._sampled:
                raise MalformedInput("a TYPE behind samples of its name")
            self.types[name] = given
        elif kind == "HELP":
            if name in self.helps:
                raise MalformedInput("a second HELP of a name")
            self.helps[name] = _unescaped_help(rest)
        elif rest and not name.endswith(f"_{rest}"):
            raise MalformedInput("a UNIT that its name does not end with")

    def _family_of(self, name: str) -> str:
        """Name of the family that a sample belongs to."""
        if name in self.types and self.types[name] != "counter":
            return name
        for family in (self._family, *_stems(name)):
            kind = self.types.get(family)
            if kind is not None and name.startswith(family):
                endings = _SUFFIXES.get(kind, ()) if self._open or kind in ("histogram", "summary") else ()
                if name[len(family) :] in endings:
                    return family
        return name

    def _enter(self, family: str) -> None:
        if family == self._family:
            return
        if family in self._done and self._grouped:
            raise MalformedInput("lines of one name are not together")
        self._done.add(self._family)
        self._family = family

    def _check(self, name: str, family: str, number: Number, exemplar: bool) -> None:
        kind = self.types.get(family, "unknown")
        ending = name[len(family) :]
        if ending not in _SUFFIXES.get(kind, ("",)):
            raise MalformedInput(f"not a sample of a {kind}")
        if kind == "counter" and not number >= 0:
            raise MalformedInput("a counter below 0, or none")
        if exemplar and not (ending == "_bucket" or (kind == "counter" and ending == "_total")):
            raise MalformedInput("an exemplar where none may be")


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise MalformedInput(f"line {number} is not UTF-8") from None


def _stems(name: str) -> tuple[str, ...]:
    head, underscore, _ = name.rpartition("_")
    return (head,) if underscore and head else ()


def _pairs(labels: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _PAIR.finditer(labels):
        name, value = match[1], match[2]
        if name in found:
            raise MalformedInput("a label that was there before")
        found[name] = re.sub(r'\\["\\n]', lambda escape: _ESCAPES[escape[0]], value) if "\\" in value else value
    return found


def _number(text: str) -> Number:
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text)


def _unescaped_help(text: str) -> str:
    if "\\" not in text:
        return text
    return re.sub(r"\\[\\n\"]", lambda escape: _ESCAPES[escape[0]], text)


def _shown(line: str) -> str:
    shown = clean_text(line, 100)
    return f"'{shown}'" if len(line) <= 100 else f"'{shown}...'"


def escape_label(value: str) -> str:
    """Escapes a label's value; control, bidi and zero-width characters are made harmless first."""
    if value.isprintable() and "\\" not in value and '"' not in value:
        return value
    return clean_text(value, 1024).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def escape_help(text: str, *, openmetrics: bool) -> str:
    """Escapes the words of a HELP line."""
    escaped = clean_text(text, 1024).replace("\\", "\\\\").replace("\n", "\\n")
    return escaped.replace('"', '\\"') if openmetrics else escaped


def write_number(value: Number) -> str:
    """Writes a value so that reading it gives the same: whole numbers with all digits, others with those needed."""
    if isinstance(value, int):
        return str(int(value))
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)
