"""What `vnstat --json` says: a pure parser of its two forms.

vnStat stores its buckets under the wall clock's time of the host and recomputes their `timestamp` in the zone of
whoever reads, so that only date and time are taken from it, in the host's zone. Where clocks are set back, the repeated
hour's buckets hold two hours; the hour that is skipped has none.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from sysmon.errors import MalformedInput, Unsupported
from sysmon.frame import clean_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

MAX_TEXT: Final = 8 << 20
"""Bytes of an answer at most; four interfaces at the default retention take 0.4 MB."""
MAX_INTERFACES: Final = 200
"""Interfaces of an answer at most."""

TIERS: Final = ("fiveminute", "hour", "day", "month", "year")
"""Tiers of an interface, the finest first."""
_FINE: Final = {"fiveminute": timedelta(minutes=5), "hour": timedelta(hours=1)}
_HOUR: Final = 3_600_000
_WORDS: Final = {"fiveminute": "five minutes", "hour": "an hour"}
_LONGEST: Final = timedelta(hours=3)
"""What clocks are set back by at most, far more than they ever were."""
_NAMES: Final = {
    "1": {"hour": "hours", "day": "days", "month": "months"},
    "2": {tier: tier for tier in TIERS},
}
"""jsonversion -> the tiers that it has, and what they are called there."""
_UNIT: Final = {"1": 1024, "2": 1}
MOST: Final = 1 << 63
"""Bytes that are more than there can have been."""
_YEARS: Final = (1990, 2200)
_SHOWN: Final = 60


class Bucket(NamedTuple):
    """Bytes of an interface from `start` to `end`, Unix milliseconds."""

    start: int
    end: int
    receive: int
    transmit: int


class VnstatInterface(NamedTuple):
    """One interface.

    Attributes:
        name: of the kernel, as it came; `alias`: given by a user.
        created: the day that it has been counted since; where rows are older, the first of them. `updated`: up to when
            it is counted. Unix milliseconds.
        receive, transmit: bytes in all, also those of which it is not known any more when they went through.
        tiers: tier -> its buckets, oldest first; none of them begins after `updated`.
    """

    name: str
    alias: str
    created: int
    updated: int
    receive: int
    transmit: int
    tiers: dict[str, list[Bucket]]

    @property
    def merged(self) -> bool:
        """Whether it is the sum of several (`eth0+eth1`)."""
        return "+" in self.name.strip("+")

    @property
    def empty(self) -> bool:
        """Whether nothing was counted yet."""
        return not any(self.tiers.values())


class VnstatHistory(NamedTuple):
    """An answer: `version` of vnStat, `jsonversion`, and the interfaces in its order."""

    version: str
    jsonversion: str
    interfaces: list[VnstatInterface]

    @property
    def updated(self) -> int | None:
        """When vnStat last wrote down what it counted, Unix milliseconds; None where it knows no interface."""
        return max((each.updated for each in self.interfaces), default=None)


def parse_vnstat(text: bytes | str, zone: tzinfo, now: int) -> VnstatHistory:
    """Parses what `vnstat --json` printed.

    Args:
        text: of vnStat 1.x (jsonversion 1, KiB) or 2.x (jsonversion 2, bytes).
        zone: of the host whose vnStat it is.
        now: Unix milliseconds there: tells which of two hours of the same name is the present one.

    Raises:
        MalformedInput: not of that form, with the place and the value. Unsupported: of another jsonversion.
    """
    if len(text) > MAX_TEXT:
        raise MalformedInput(f"vnstat --json: {len(text)} bytes are more than {MAX_TEXT >> 20} MiB")
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise MalformedInput(f"vnstat --json: {shown(first_line(text))} is not JSON: {error}") from None
    top = _object(found, "the answer")
    version = _word(top.get("jsonversion"), "jsonversion")
    if version not in _NAMES:
        said = f"vnStat {clean_text(_word(top.get('vnstatversion', ''), 'vnstatversion', empty=True), 20)}".strip()
        raise Unsupported(
            f"{said} answers with jsonversion {shown(version)}; this sysmon reads 1 and 2",
            "a newer sysmon may know it",
        )
    listed = _list(top.get("interfaces"), "interfaces")
    if len(listed) > MAX_INTERFACES:
        raise MalformedInput(f"vnstat --json: interfaces: {len(listed)} are more than {MAX_INTERFACES}")
    reader = _Reader(version, zone, now, top.get("monthrotate"))
    interfaces = [reader.interface(each, f"interfaces[{at}]") for at, each in enumerate(listed)]
    return VnstatHistory(_word(top.get("vnstatversion", ""), "vnstatversion", empty=True), version, interfaces)


class _Reader:
    """Reads the interfaces of one answer."""

    def __init__(self, version: str, zone: tzinfo, now: int, rotate: object) -> None:
        self._names = _NAMES[version]
        self._unit = _UNIT[version]
        self._old = version == "1"
        self._zone = zone
        self._now = now
        self._rotate = rotate
        self._plain: dict[datetime, int | None] = {}
        self._changing: dict[datetime, tuple[int, int] | None] = {}

    def interface(self, value: object, place: str) -> VnstatInterface:
        """Reads one."""
        item = _object(value, place)
        name, alias = ("id", "nick") if self._old else ("name", "alias")
        traffic = _object(item.get("traffic"), f"{place}.traffic")
        total = _object(traffic.get("total"), f"{place}.traffic.total")
        day = _date(_object(item.get("created"), f"{place}.created"), f"{place}.created")
        updated = self._updated(item.get("updated"), f"{place}.updated")
        created = min(self._stamp(day), updated)
        rotate = item.get("monthrotate", self._rotate)
        first = 1 if rotate is None else _integer(rotate, f"{place}.monthrotate", 1, 28)
        tiers: dict[str, list[Bucket]] = {
            tier: self._tier(tier, traffic.get(self._names[tier], []), f"{place}.traffic.{self._names[tier]}", first)
            for tier in TIERS
            if tier in self._names
        }
        created = _begun(tiers, created)
        return VnstatInterface(
            name=_word(item.get(name), f"{place}.{name}"),
            alias=clean_text(_word(item.get(alias, ""), f"{place}.{alias}", empty=True)),
            created=created,
            updated=updated,
            receive=self._bytes(total, "rx", f"{place}.traffic.total"),
            transmit=self._bytes(total, "tx", f"{place}.traffic.total"),
            tiers={tier: _clipped(buckets, created, updated) for tier, buckets in tiers.items()},
        )

    def _updated(self, value: object, place: str) -> int:
        item = _object(value, place)
        wall = _date(item, place) + _clock(item, place, self._old)
        # The clock's face has no seconds; the stamp, whatever zone it was made in, has. Without: the minute counts.
        stamp = item.get("timestamp")
        seconds = 60 if stamp is None else _integer(stamp, f"{place}.timestamp", 0, MOST) % 60
        late = self._stamp(wall.replace(fold=1))
        return (late if late <= self._now + 60_000 else self._stamp(wall)) + seconds * 1000

    def _tier(self, tier: str, value: object, place: str, first: int) -> list[Bucket]:
        found: dict[int, Bucket] = {}
        for at, row in enumerate(_list(value, place)):
            here = f"{place}[{at}]"
            item = _object(row, here)
            span = self._span(tier, item, here, first)
            receive, transmit = self._bytes(item, "rx", here), self._bytes(item, "tx", here)
            if span is None:
                continue
            start, end = span
            if (same := found.get(start)) is not None:
                # Five minutes of the hour that clocks repeat.
                receive, transmit = min(receive + same.receive, MOST - 1), min(transmit + same.transmit, MOST - 1)
            found[start] = Bucket(start, end, receive, transmit)
        return [found[start] for start in sorted(found)]

    def _span(self, tier: str, item: Mapping[str, object], place: str, first: int) -> tuple[int, int] | None:
        """Returns the stretch of a bucket; None for one that the host's clocks never showed."""
        wall = _date(item, place, day=tier in ("fiveminute", "hour", "day"), month=tier != "year")
        if tier in _FINE:
            if self._old:
                since = timedelta(hours=_integer(item.get("id"), f"{place}.id", 0, 23))
            else:
                since = _clock(item, place)
            if since % _FINE[tier]:
                raise _wrong(f"{place}.time", item.get("time"), f"the begin of {_WORDS[tier]}")
            return self._minutes(wall + since) if tier == "fiveminute" else self._hour(wall + since)
        if tier == "day":
            return self._stamp(wall), self._stamp(wall + timedelta(days=1))
        if tier == "month":
            begin = wall.replace(day=first)
            following = (wall + timedelta(days=32)).replace(day=first)
            return self._stamp(begin), self._stamp(following)
        return self._stamp(wall), self._stamp(wall.replace(year=wall.year + 1))

    def _hour(self, wall: datetime) -> tuple[int, int] | None:
        plain = self._plain_hour(wall)
        if plain is not None:
            return plain, plain + _HOUR
        start, end = self._stamp(wall), self._stamp(wall + _FINE["hour"])
        return (start, end) if start < end else None

    def _plain_hour(self, hour: datetime) -> int | None:
        """Returns the begin of an hour that is one, None of one in which clocks are changed. Most rows lie in few."""
        if hour not in self._plain:
            start, end = self._stamp(hour), self._stamp(hour + _FINE["hour"])
            self._plain[hour] = start if end - start == _HOUR and not self._repeated(hour) else None
        return self._plain[hour]

    def _minutes(self, wall: datetime) -> tuple[int, int] | None:
        hour = self._plain_hour(wall.replace(minute=0))
        if hour is not None:
            start = hour + wall.minute * 60_000
            return start, start + _HOUR // 12
        if wall not in self._changing:
            self._changing[wall] = self._changing_minutes(wall)
        return self._changing[wall]

    def _changing_minutes(self, wall: datetime) -> tuple[int, int] | None:
        """Returns the stretch of five minutes in an hour in which clocks are changed."""
        start, step = self._stamp(wall), _FINE["fiveminute"]
        if datetime.fromtimestamp(start / 1000, self._zone).replace(tzinfo=None) != wall:
            return None
        if not self._repeated(wall):
            return start, self._stamp(wall + step)
        # Each of them holds five minutes twice, an hour apart: together they are one stretch of both hours.
        begin, after = wall, wall + step
        while self._repeated(begin - step) and wall - begin < _LONGEST:
            begin -= step
        while self._repeated(after) and after - wall < _LONGEST:
            after += step
        return self._stamp(begin), self._stamp(after)

    def _repeated(self, wall: datetime) -> bool:
        return self._stamp(wall) < self._stamp(wall.replace(fold=1))

    def _stamp(self, wall: datetime) -> int:
        """The moment at which the host's clocks showed a time, for the first time where they did twice."""
        return round(wall.replace(tzinfo=self._zone).timestamp() * 1000)

    def _bytes(self, item: Mapping[str, object], name: str, place: str) -> int:
        return _integer(item.get(name), f"{place}.{name}", 0, (MOST - 1) // self._unit) * self._unit


def _begun(tiers: Mapping[str, list[Bucket]], created: int) -> int:
    """Returns since when was counted: that day. A database that was restored, or brought together from several, is
    younger than its rows: then it says nothing, and the first of them begin where they begin.
    """
    firsts = [each[0] for each in tiers.values() if each]
    if any(first.end <= created for first in firsts):
        return min(first.start for first in firsts)
    return created


def _clipped(buckets: list[Bucket], created: int, updated: int) -> list[Bucket]:
    """Ends the bucket that is still being filled where it is filled up to, and begins the first where counting did."""
    found = []
    for bucket in buckets:
        if bucket.start >= updated:
            # Its clock was set back, or its last save fell into the bucket's first second.
            continue
        start = created if bucket.start < created < bucket.end else bucket.start
        found.append(bucket._replace(start=start, end=min(bucket.end, updated)))
    return [bucket for bucket in found if bucket.start < bucket.end]


# Values, each refused with its place


def _object(value: object, place: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _wrong(place, value, "an object")
    return value


def _list(value: object, place: str) -> list[object]:
    if not isinstance(value, list):
        raise _wrong(place, value, "a list")
    return value


def _word(value: object, place: str, *, empty: bool = False) -> str:
    if not isinstance(value, str) or len(value) > 255 or not (value or empty):
        raise _wrong(place, value, "a word")
    return value


def _integer(value: object, place: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _wrong(place, value, f"a whole number from {least} to {most}")
    return value


def _date(item: Mapping[str, object], place: str, *, day: bool = True, month: bool = True) -> datetime:
    """Returns the midnight that a date begins with, on the clock's face."""
    date = _object(item.get("date"), f"{place}.date")
    year = _integer(date.get("year"), f"{place}.date.year", *_YEARS)
    in_year = _integer(date.get("month"), f"{place}.date.month", 1, 12) if month else 1
    in_month = _integer(date.get("day"), f"{place}.date.day", 1, 31) if day else 1
    try:
        return datetime(year, in_year, in_month)
    except ValueError:
        raise _wrong(f"{place}.date", date, "a date") from None


def _clock(item: Mapping[str, object], place: str, old: bool = False) -> timedelta:
    time = _object(item.get("time"), f"{place}.time")
    minute = "minutes" if old else "minute"
    return timedelta(
        hours=_integer(time.get("hour"), f"{place}.time.hour", 0, 23),
        minutes=_integer(time.get(minute), f"{place}.time.{minute}", 0, 59),
    )


def _wrong(place: str, value: object, wanted: str) -> MalformedInput:
    return MalformedInput(f"vnstat --json: {place}: {shown(value)} is not {wanted}")


def shown(value: object) -> str:
    """Returns a value as errors show it: short, and harmless."""
    if value is None:
        return "nothing"
    text = repr(value) if not isinstance(value, str) else f"'{clean_text(value, 2 * _SHOWN)}'"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def first_line(text: bytes | str) -> str:
    """Returns the first line, as far as it is worth showing."""
    begin = text[: 4 * _SHOWN]
    said = begin.decode("utf-8", "replace") if isinstance(begin, bytes) else begin
    return clean_text(said.strip().partition("\n")[0], 2 * _SHOWN)
