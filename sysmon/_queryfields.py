"""The fields of a process that a query may name, and the tests on their values: pure."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, NamedTuple

from sysmon._regex import compile_bounded
from sysmon.errors import UsageError
from sysmon.units import parse_duration, parse_quantity, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from sysmon.frame import ProcessRow

    Test = Callable[[ProcessRow], bool]
    Maker = Callable[["Context"], Test]

KEYWORDS = ("and", "or", "not")
"""Words that join terms; to look for one, write it in quotes."""


class Context(NamedTuple):
    """What a query needs to know of the host at the moment of its rows; None where unknown.

    Attributes:
        memory: bytes of memory in all, for `mem>10%`.
        boottime: seconds since boot, for `age`.
        now: Unix milliseconds, for `started`.
    """

    memory: int | None = None
    boottime: float | None = None
    now: int | None = None


_TEXT = ("=", "!=", "~", "!~")
_ORDER = (">", ">=", "<", "<=", "=", "!=")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "!=": operator.ne,
}
_STATES = {
    "running": "R",
    "sleeping": "S",
    "blocked": "D",
    "stopped": "T",
    "traced": "t",
    "zombie": "Z",
    "dead": "X",
    "idle": "I",
}
_YES = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


class Field(NamedTuple):
    """A field: how its value is got of a row, and of what kind it is.

    `unit` is a unit of `sysmon.units`, or 'percent' (of a core), 'memory' (bytes or % of all), 'age', 'moment',
    'state', 'yes'.
    """

    name: str
    unit: str
    help: str
    sample: str
    get: Callable[[ProcessRow], str | float | None]
    examples: tuple[str, ...] = ()

    @property
    def numeric(self) -> bool:
        """Whether values have an order."""
        return self.unit not in ("text", "state", "yes")

    @property
    def operators(self) -> tuple[str, ...]:
        """The operators that it knows."""
        return _ORDER if self.numeric else _TEXT if self.unit == "text" else ("=", "!=")

    def accepts(self, value: str) -> bool:
        """Whether `value` is one of its unit."""
        try:
            number_test(self, "=", value)
        except (ValueError, OverflowError):
            return False
        return True


def _io(row: ProcessRow) -> float | None:
    if row.read_rate is None and row.write_rate is None:
        return None
    return (row.read_rate or 0.0) + (row.write_rate or 0.0)


def _percent(row: ProcessRow) -> float | None:
    return None if row.cpu is None else row.cpu * 100


_BYTES = ("1MiB", "1GiB")
_ALL = (
    Field("name", "text", "name of the program", "cron", lambda row: row.name),
    Field("command", "text", "command line", "java", lambda row: row.command),
    Field("user", "text", "name of its user", "www", lambda row: row.user),
    Field("pid", "", "process id", "1", lambda row: row.pid),
    Field("ppid", "", "id of its parent", "1", lambda row: row.ppid),
    Field("cpu", "percent", "percent of one core", "20", _percent, ("20", "50", "90")),
    Field(
        "memory",
        "memory",
        "resident memory, in bytes or % of all",
        "1GiB",
        lambda row: row.memory,
        ("100MiB", "1GiB", "10%"),
    ),
    Field("virtual", "bytes", "address space", "1GiB", lambda row: row.virtual, _BYTES),
    Field("state", "state", "a letter as in ps, or a word", "running", lambda row: row.state, tuple(_STATES)),
    Field("threads", "", "number of threads", "100", lambda row: row.threads),
    Field("nice", "", "nice value", "0", lambda row: row.nice),
    Field("io", "bytes/s", "bytes read from and written to storage per second", "1MiB", _io, _BYTES),
    Field("read", "bytes/s", "bytes read from storage per second", "1MiB", lambda row: row.read_rate, _BYTES),
    Field("write", "bytes/s", "bytes written to storage per second", "1MiB", lambda row: row.write_rate, _BYTES),
    Field("time", "seconds", "processor time used so far", "10m", lambda row: row.cpu_time, ("1m", "1h")),
    Field("age", "age", "time since it started", "2h", lambda row: row.started, ("5m", "1h", "1d")),
    Field("started", "moment", "when it started", "03:12", lambda row: row.started, ("03:12", "yesterday")),
    Field("container", "text", "its container", "web", lambda row: row.container),
    Field("unit", "text", "its systemd unit", "nginx.service", lambda row: row.unit),
    Field("kernel", "yes", "whether it is a thread of the kernel", "no", lambda row: row.kernel, ("yes", "no")),
    Field("gpu", "bytes", "memory used on GPUs", "1GiB", lambda row: row.gpu_memory, _BYTES),
)
FIELDS = {field.name: field for field in _ALL}
"""Every field by its name, in the order in which they are offered."""

ALIASES = {
    "mem": "memory",
    "rss": "memory",
    "virt": "virtual",
    "cmd": "command",
    "comm": "name",
    "stat": "state",
    "ni": "nice",
    "thr": "threads",
}
"""Other names of fields, those of ps and top."""


def text_test(field: Field, symbol: str, value: str) -> Maker:
    """Makes the test of a field of text; comparison is without regard to case.

    Raises:
        Unsafe: a bad regular expression. ValueError: a value that the field cannot have.
    """
    if field.unit == "yes":
        wanted_kernel = _YES.get(value.lower())
        if wanted_kernel is None:
            raise ValueError(f"'{value}' is neither yes nor no")
        positive = wanted_kernel == (symbol == "=")
        return lambda _: lambda row: row.kernel is positive
    if field.unit == "state":
        return _state_test(symbol, value)
    get: Callable[[ProcessRow], str] = lambda row: str(field.get(row))  # noqa: E731
    if symbol in ("~", "!~"):
        pattern, most = compile_bounded(value)

        # Names and command lines rarely change: each text is searched once.
        @functools.lru_cache(maxsize=8192)
        def found(text: str) -> bool:
            return pattern.search(text[:most]) is not None

        return (lambda _: lambda row: found(get(row))) if symbol == "~" else (lambda _: lambda row: not found(get(row)))
    wanted = value.lower()
    if symbol == "=":
        return lambda _: lambda row: get(row).lower() == wanted
    return lambda _: lambda row: get(row).lower() != wanted


def _state_test(symbol: str, value: str) -> Maker:
    words = [letter for word, letter in _STATES.items() if word == value.lower()]
    letters = words or ([value, value.swapcase()] if len(value) == 1 and value.isalpha() else [])
    if not letters:
        raise ValueError(f"'{value}' is not a state; known are letters as in ps and {', '.join(_STATES)}")
    if symbol == "=":
        return lambda _: lambda row: row.state in letters
    return lambda _: lambda row: row.state not in letters


def number_test(field: Field, symbol: str, value: str) -> Maker:
    """Makes the test of a field with an order; what is not known fulfils none.

    Raises:
        ValueError: the value is not one of the field's unit.
    """
    if field.unit == "moment":
        return _moment_test(field, symbol, value)
    compare = _COMPARE[symbol]
    if field.unit == "age":
        age = parse_duration(value)

        def by_age(context: Context) -> Test:
            if context.boottime is None:
                return _nothing
            boottime = context.boottime
            return lambda row: compare(boottime - row.started, age)

        return by_age
    if field.unit == "memory" and value.rstrip().endswith("%"):
        share = parse_quantity(value, "ratio")

        def by_share(context: Context) -> Test:
            if not context.memory:
                return _nothing
            limit = share * context.memory
            return lambda row: compare(row.memory, limit)

        return by_share
    limit = _number(field, value)
    get = field.get

    def test(row: ProcessRow) -> bool:
        given = get(row)
        return isinstance(given, int | float) and compare(given, limit)

    return lambda _: test


def _number(field: Field, value: str) -> float:
    if field.unit == "percent":
        text = value.rstrip()
        return parse_quantity(text.removesuffix("%"), "")
    return parse_quantity(value, "bytes" if field.unit == "memory" else field.unit)


def _moment_test(field: Field, symbol: str, value: str) -> Maker:
    if not value.strip():
        raise ValueError("an empty text is not a moment")
    compare = _COMPARE[symbol]
    try:
        parse_time(value, 1_700_000_000_000)
    except UsageError as error:
        raise ValueError(error.message) from None

    def made(context: Context) -> Test:
        if context.now is None or context.boottime is None:
            return _nothing
        limit = parse_time(value, context.now)
        booted = context.now - context.boottime * 1000
        return lambda row: compare(booted + row.started * 1000, limit)

    return made


def _nothing(_: ProcessRow) -> bool:
    return False
