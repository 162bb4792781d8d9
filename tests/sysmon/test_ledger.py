"""Interfaces and devices put together from now and then, and steps filled, ordered, bounded."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sysmon import bandwidth, ledger, traffic
from sysmon.bandwidth import Amount, Bucket
from sysmon.devices import Bytes, Device, Rates, adding
from sysmon.errors import UsageError
from sysmon.frame import DeviceRow
from sysmon.records import HostInfo, KnownDevice, Span, Usage
from sysmon.zones import span_of, zone_of
from tests.remote.support import MemoryHistory

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = 1_795_258_800_000
"""2026-11-21T11:00:00Z."""
HOUR = 3_600_000
INFO = HostInfo(id="a" * 16, hostname="laptop", timezone="UTC")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")


class Counted(MemoryHistory):
    """A history of one interface that moved so much in each of some hours; `blank`: stretches without data."""

    def __init__(self, hours: dict[int, int], blank: Sequence[Span] = (), zone: str = "UTC") -> None:
        super().__init__()
        self.hours = hours
        self.blank = blank
        self.zone = zone_of(zone)
        self.questions = 0

    async def usage(self, host: str, start: int, end: int, step: str, keys: Sequence[str] = ()) -> list[Usage]:
        self.questions += 1
        first, _ = span_of(start, step, self.zone)
        _, last = span_of(end - 1, step, self.zone)
        found: dict[tuple[int, int], int] = {}
        for at, size in self.hours.items():
            if first <= at < last:
                found[span_of(at, step, self.zone)] = found.get(span_of(at, step, self.zone), 0) + size
        return [Usage(host=host, key="net.receive:eth0", start=a, end=b, bytes=size) for (a, b), size in found.items()]

    async def gaps(self, host: str, start: int, end: int) -> list[Span]:
        return [gap for gap in self.blank if gap.start < end and gap.end > start]


@pytest.mark.anyio
@given(
    zone=st.sampled_from(ZONES),
    hours=st.dictionaries(st.integers(-24 * 400, -1), st.integers(1, 10**12), max_size=40),
    back=st.integers(0, 24 * 400),
)
async def test_a_range_that_goes_on_is_asked_with_fewer_questions(zone: str, hours: dict[int, int], back: int) -> None:
    held = {NOW + hour * HOUR: size for hour, size in hours.items()}
    start, here = NOW - back * HOUR, zone_of(zone)
    history = Counted(held, zone=zone)
    exact = await bandwidth.amounts(history, INFO.id, "interface", start, NOW, here)
    asked, history.questions = history.questions, 0
    fewer = await bandwidth.amounts(history, INFO.id, "interface", start, bandwidth.till(start, NOW, NOW, here), here)
    assert fewer == exact
    assert history.questions <= asked + 1
    history.questions = 0
    for name in ("today", "month", "year", "all"):
        begin, _ = bandwidth.range_of(name, NOW, here)
        await bandwidth.amounts(history, INFO.id, "interface", begin, bandwidth.till(begin, NOW, NOW, here), here)
    assert history.questions == 4
    assert bandwidth.total(exact).receive == sum(size for at, size in held.items() if at >= start)


@pytest.mark.anyio
async def test_steps_without_traffic_are_nothing_and_those_without_data_unknown() -> None:
    at = NOW - 10 * HOUR
    blank = [Span(at + 3 * HOUR, at + 5 * HOUR), Span(at + 6 * HOUR, at + 6 * HOUR + 60_000)]
    history = Counted({at: 5, at + 2 * HOUR: 7, at + 8 * HOUR: 9}, blank)
    made, gaps = await traffic.steps(history, INFO, "interface", ["eth0"], NOW - 24 * HOUR, NOW, "hour", NOW)
    told = [None if step.amount is None else step.amount.receive for step in made]
    assert told == [5, 0, 7, None, None, 0, 0, 0, 9, 0]
    # What was filled with traffic that is known is no gap; what is not stays one.
    assert gaps == blank
    assert [step.start for step in made] == [at + hour * HOUR for hour in range(10)]
    with pytest.raises(UsageError, match="more than 10000 steps"):
        await traffic.steps(Counted({0: 1}), INFO, "interface", [], 0, NOW, "hour", NOW)


@pytest.mark.anyio
async def test_gaps_without_number_take_no_longer_each(monkeypatch: pytest.MonkeyPatch) -> None:
    async def looked(count: int) -> int:
        """How many gaps are looked at for steps of a time that has so many."""
        step = bandwidth.FIVE_MINUTES
        history = Counted({NOW - number * 2 * step: 1 for number in range(1, count + 1)})
        history.blank = [
            Span(NOW - number * 2 * step + step, NOW - number * 2 * step + 2 * step) for number in range(count, 0, -1)
        ]
        turns = 0

        def tracer(frame: object, event: str, argument: object) -> object:
            nonlocal turns
            turns += 1
            return tracer

        sys.settrace(tracer)  # type: ignore[arg-type]
        try:
            made, _ = await traffic.steps(
                history, INFO, "interface", ["eth0"], NOW - 2 * (count + 1) * step, NOW, "fiveminute", NOW
            )
        finally:
            sys.settrace(None)
        assert len(made) == 2 * count
        return turns

    few = await looked(50)
    assert await looked(400) < 12 * few


@pytest.mark.anyio
async def test_periods_of_a_group_without_names_are_those_of_all() -> None:
    history = Counted({NOW - HOUR: 5, NOW - 24 * HOUR: 7})
    named, everything, other = await traffic.outline(history, INFO, "interface", [["eth0"], [], ["eth1"]], NOW)
    assert named == everything
    assert named.today.amount == Amount(5, 0) and named.yesterday.amount == Amount(7, 0)
    assert all(step.amount is None for step in other)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=8),
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=8),
)
def test_what_others_counted_is_taken_out_of_gaps(gaps: list[tuple[int, int]], spans: list[tuple[int, int]]) -> None:
    apart: list[Span] = []
    for start, length in sorted(gaps):
        if not apart or start > apart[-1].end:
            apart.append(Span(start, start + length))
    left = bandwidth.uncovered(apart, [(start, start + length) for start, length in spans])
    inside = {at for gap in left for at in range(gap.start, gap.end)}
    expected = {at for gap in apart for at in range(gap.start, gap.end)}
    expected -= {at for start, length in spans for at in range(start, start + length)}
    assert inside == expected
    assert left == sorted(left, key=lambda each: each.start)


def test_five_minutes_that_are_known_count() -> None:
    five = bandwidth.FIVE_MINUTES
    fine = [Bucket(number * five, (number + 1) * five, {"eth0": Amount(1, 0)}) for number in range(12)]
    # An hour that others counted, an hour that was recorded without traffic, an hour of nothing.
    assert bandwidth.samples([Span(0, HOUR), Span(2 * HOUR, 3 * HOUR)], fine, 0, 3 * HOUR) == 24


def devices() -> list[Device]:
    """Two devices of one name, one without any number."""
    return [
        Device(
            kind="device", host="r", name="52:54:00:00:00:01", mac="52:54:00:00:00:01", label="TV", month=Bytes(5, 1)
        ),
        Device(
            kind="device", host="r", name="52:54:00:00:00:02", label="tv", month=Bytes(9, 1), rates=Rates(1.0, None)
        ),
        Device(
            kind="device", host="r", name="192.0.2.9", label="anna", alias="Anna", addresses=["192.0.2.9", "fd00::9"]
        ),
    ]


def test_order_is_by_number_then_name_and_what_has_none_is_last() -> None:
    assert [each.name[-2:] for each in ledger.order(devices(), "total")] == ["02", "01", ".9"]
    assert [each.name[-2:] for each in ledger.order(devices(), "now")] == ["02", ".9", "01"]
    assert [each.label for each in ledger.order(devices(), "name")] == ["anna", "TV", "tv"]
    with pytest.raises(UsageError, match="did you mean 'share'"):
        ledger.order([], "shrae")


def test_what_is_counted_and_did_not_move_is_nothing_and_what_is_not_counted_unknown() -> None:
    moved, none = {"a": Amount(5, 6)}, Amount()
    assert bandwidth.used(moved, "a", counted=False) == Amount(5, 6)
    assert bandwidth.used(moved, "b", counted=True) == none
    assert bandwidth.used(moved, "b", counted=False) is None
    # Where nothing at all was counted, nobody may have been there to count.
    assert bandwidth.used({}, "b", counted=True) is None

    def known(key: str, first: int) -> KnownDevice:
        return KnownDevice(host=INFO.id, key=key, row=DeviceRow(key=key), first=first, last=first)

    told = ledger.Sums(
        today={"a": Amount(1, 1)},
        month={"a": Amount(2, 2)},
        recorded={"a": Amount(3, 3), "away": Amount(4, 4), "later": Amount(5, 5)},
        today_start=NOW - 11 * HOUR,
        month_start=NOW - 500 * HOUR,
        range={"a": Amount(1, 0)},
        start=NOW - 30 * HOUR,
        end=NOW - 20 * HOUR,
        known=[known("away", NOW - 900 * HOUR), known("later", NOW - HOUR), known("mute", NOW - 900 * HOUR)],
    )
    here = [Device(kind="device", host=INFO.id, name=name, total=Bytes(7, 7)) for name in ("a", "idle")]
    rows = {each.name: each for each in ledger.join(INFO, "device", here, told)}
    zero = Bytes(0, 0, told.today_start)
    assert rows["idle"].today == zero and rows["away"].today == zero
    # Seen, but never counted.
    assert (rows["mute"].today, rows["mute"].recorded, rows["mute"].range) == (None, None, None)
    assert rows["away"].range == Bytes(0, 0, told.start) and rows["later"].range is None


def test_who_is_meant() -> None:
    hosts = {"r": "home"}
    assert ledger.one(devices(), "52-54-00-00-00-01", hosts).label == "TV"
    assert ledger.one(devices(), "ANNA", hosts).name == "192.0.2.9"
    assert ledger.one(devices(), "fd00::9", hosts).label == "anna"
    with pytest.raises(
        UsageError, match=r"the name of 2 devices: 52:54:00:00:00:01 \(home\), 52:54:00:00:00:02 \(home\)"
    ):
        ledger.one(devices(), "Tv", hosts)
    with pytest.raises(UsageError, match="did you mean 'anna'"):
        ledger.one(devices(), "ana", hosts)


def test_interfaces_that_are_gone_count_by_their_names() -> None:
    assert adding([("eth0", True), ("br0", False), ("lo", False)]) == ["eth0"]
    assert adding([("eth0", True), ("usb0", None), ("veth12", None), ("eth0.7", None), ("wg0", None)]) == [
        "eth0",
        "usb0",
    ]
    assert adding([(name, None) for name in ("enp3s0", "wlan0", "lo", "docker0", "br-lan", "virbr0")]) == [
        "enp3s0",
        "wlan0",
    ]
    # A machine of which nothing but a tunnel is known.
    assert adding([("tun0", None), ("lo", None)]) == ["tun0"]
    assert adding([]) == []


@pytest.mark.anyio
async def test_a_range_by_name_needs_what_it_names() -> None:
    history = Counted({NOW - HOUR: 5})
    with pytest.raises(UsageError, match="no counting period was begun on laptop"):
        await ledger.sums(history, INFO, "device", NOW, ledger.Ask("reset"))
    history.resets_kept = [NOW - 2 * HOUR]
    found = await ledger.sums(history, INFO, "interface", NOW, ledger.Ask("reset"))
    assert (found.start, found.range) == (NOW - 2 * HOUR, {"eth0": Amount(5, 0)})
    with pytest.raises(UsageError, match="ends before it begins"):
        ledger.bounds(ledger.Ask("", NOW, NOW - 1), NOW, INFO)
