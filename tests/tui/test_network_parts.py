"""What the Network screen is made of: ranges and their steps, answers kept, filters, names of addresses, bars."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sysmon.bandwidth import Amount, Bucket
from sysmon.clock import ManualClock
from sysmon.config import CapSettings
from sysmon.errors import StoreError, UsageError
from sysmon.frame import DeviceRow
from sysmon.records import HostInfo, KnownDevice
from tests.tui.scripted import START
from tui.glyphs import ASCII
from tui.networkbook import KEPT, Book
from tui.networkfilter import FIELDS, begun, kept, parse_filter
from tui.networkrange import RANGES, Period, next_range, period_of, range_words, steps_of
from tui.networkread import caps_of, device_caps
from tui.renderables.usagechart import usage_chart
from tui.resolver import Resolver
from tui.theme import DEFAULT_LOOK, look

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

pytestmark = pytest.mark.anyio

NOW = START * 1000
HOUR, DAY = 3_600_000, 86_400_000


# -- ranges


def test_ranges_go_round_and_a_reset_is_among_them_only_where_there_was_one() -> None:
    seen = ["now"]
    while (name := next_range(seen[-1], resets=False)) != "now":  # type: ignore[arg-type]
        seen.append(name)
    assert tuple(seen) == RANGES
    assert next_range("all", resets=True) == "reset"
    assert next_range("reset", resets=True) == "now"
    assert next_range("reset", resets=False) == "now"


def test_a_range_is_of_the_hosts_days() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    today, month = period_of("today", NOW, berlin), period_of("month", NOW, berlin)
    assert (today.step, month.step) == ("hour", "day")
    assert today.end == month.end == NOW
    assert range_words(month, berlin) == "month, Nov 01 to Nov 21"
    assert range_words(month._replace(end=period_of("month", NOW, UTC).end), UTC).startswith("month, Oct 31")
    assert period_of("now", NOW, UTC)[1:] == period_of("today", NOW, UTC)[1:]
    assert period_of("reset", NOW, UTC, [NOW - HOUR]).step == "hour"
    assert period_of("reset", NOW, UTC, [NOW - 9 * DAY]).step == "day"
    assert range_words(period_of("reset", NOW, UTC, [NOW - DAY]), UTC) == "since Nov 20 22:26"


def test_steps_begin_where_something_is_known_and_gaps_stay_gaps() -> None:
    period = period_of("7d", NOW, UTC)
    begin = period.start
    buckets = [
        Bucket(begin + 2 * DAY, begin + 3 * DAY, {"eth0": Amount(10, 1), "eth1": Amount(5, 5)}),
        Bucket(begin + 4 * DAY, begin + 5 * DAY, {"eth0": Amount(30, 3)}),
        Bucket(begin, begin + DAY, {"other": Amount(99, 99)}),
    ]  # fmt: skip
    steps = steps_of(period, buckets, ["eth0", "eth1"], UTC)
    assert [(step.receive, step.transmit) for step in steps] == [
        (15, 6),
        (None, None),
        (30, 3),
        (None, None),
        (None, None),
    ]
    assert steps[0].start == begin + 2 * DAY
    assert steps_of(period, buckets, ["gone"], UTC) == []


def test_what_is_known_only_of_a_month_is_spread_over_its_days() -> None:
    start = period_of("month", NOW, UTC).start
    period = Period("month", start, start + 10 * DAY, "day")
    steps = steps_of(period, [Bucket(start, start + 30 * DAY, {"e": Amount(1000, 100)})], ["e"], UTC)
    assert len(steps) == 10
    assert sum(step.receive or 0 for step in steps) == pytest.approx(1000)
    assert {step.transmit for step in steps} == {10.0}


@given(st.integers(1, 200), st.integers(1, 60), st.integers(0, 40), st.sampled_from(["hour", "day", "month"]))
def test_bars_fit_any_room(width: int, height: int, count: int, step: str) -> None:
    period = Period("month", NOW - count * DAY, NOW, "day")
    buckets = [
        Bucket(period.start + at * DAY, period.start + (at + 1) * DAY, {"e": Amount(at, 1)}) for at in range(count)
    ]
    steps = steps_of(period, buckets, ["e"], UTC)
    for appearance in (DEFAULT_LOOK, look(glyphs=ASCII)):
        lines = usage_chart(steps, step, UTC, width, height, look=appearance, empty="nothing")
        assert len(lines) == height
        assert {line.cell_length for line in lines} == {width}
    assert "".join(line.text for line in lines).isascii()


# -- answers kept


class Desk:
    """A book whose reads run as tasks, and what it asked for."""

    def __init__(self) -> None:
        self.clock = ManualClock(now=NOW)
        self.changes = 0
        self.asked: list[str] = []
        self.later: list[Callable[[], None]] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.book = Book(self.clock, self._start, lambda task: task.cancel(), self._later, self._changed)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        return task

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        self.later.append(call)

    def _changed(self) -> None:
        self.changes += 1

    def get(self, key: str, answer: Any, *, live: bool = True) -> Any:
        """Asks for something."""

        async def read() -> Any:
            self.asked.append(key)
            await asyncio.sleep(0)
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, asyncio.Event):
                await answer.wait()
            return answer

        return self.book.get((key,), read, live=live)

    async def settle(self) -> None:
        """Lets all reads end."""
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_an_answer_is_read_once_a_minute_and_that_of_the_past_once() -> None:
    desk = Desk()
    entry = desk.get("now", 1)
    assert (entry.value, entry.reading) == (None, True)
    assert desk.get("now", 2) is entry
    await desk.settle()
    assert (entry.value, entry.reading, desk.changes) == (1, False, 1)
    await desk.clock.advance(59)
    assert desk.get("now", 2).value == 1
    assert desk.asked == ["now"]
    await desk.clock.advance(2)
    assert desk.get("now", 2).value == 1, "the old answer stays until the new one is there"
    await desk.settle()
    assert entry.value == 2
    desk.get("then", 7, live=False)
    await desk.settle()
    await desk.clock.advance(9999)
    assert desk.get("then", 8, live=False).value == 7
    assert desk.asked == ["now", "now", "then"]
    failed = desk.get("before", StoreError("locked"), live=False)
    await desk.settle()
    await desk.clock.advance(61)
    desk.get("before", 9, live=False)
    await desk.settle()
    assert (failed.value, failed.problem) == (9, ""), "one that failed is read again"


async def test_an_answer_with_nothing_in_it_is_asked_again_soon() -> None:
    desk = Desk()
    asked = []

    async def read() -> list[int]:
        asked.append(1)
        return [1] * (len(asked) - 1)

    for seconds, times in ((0, 1), (4, 1), (2, 2), (50, 2), (11, 3)):
        await desk.clock.advance(seconds)
        desk.book.get(("a",), read, empty=lambda told: not told)
        await desk.settle()
        assert len(asked) == times


async def test_what_fails_is_told_and_leaves_what_was_known() -> None:
    desk = Desk()
    desk.get("a", 1)
    await desk.settle()
    await desk.clock.advance(61)
    entry = desk.get("a", StoreError("the disk is on fire"))
    await desk.settle()
    assert (entry.value, entry.problem) == (1, "the disk is on fire")
    other = desk.get("b", ValueError("oops"))
    await desk.settle()
    assert "ValueError: oops" in other.problem


async def test_a_slow_read_says_so_and_can_be_given_up() -> None:
    desk = Desk()
    entry = desk.get("slow", asyncio.Event())
    await asyncio.sleep(0)
    slow = [desk.book.slow]
    desk.later[-1]()
    slow.append(desk.book.slow)
    assert slow == [False, True]
    assert desk.changes == 1
    assert desk.book.stop()
    assert (entry.problem, entry.reading, desk.book.slow) == ("stopped", False, False)
    await desk.settle()
    assert not desk.book.stop()
    assert desk.get("slow", 1) is entry
    assert desk.asked == ["slow"], "what was stopped is not begun again at once"
    await desk.clock.advance(61)
    desk.get("slow", 5)
    await desk.settle()
    assert (entry.value, entry.problem) == (5, "")


async def test_nobody_looks_so_nothing_is_read_and_then_it_is() -> None:
    desk = Desk()
    desk.get("a", asyncio.Event())
    await asyncio.sleep(0)
    desk.book.rest()
    await desk.settle()
    entry = desk.get("a", 3)
    await desk.settle()
    assert entry.value == 3
    desk.book.forget("a")
    desk.get("a", 4)
    await desk.settle()
    assert desk.asked == ["a", "a", "a"]


async def test_answers_are_bounded() -> None:
    desk = Desk()
    for number in range(3 * KEPT):
        desk.get(f"{number}", number)
        await desk.settle()
    assert len(desk.book._entries) <= KEPT + 1


# -- filters


def test_a_filter_takes_fields_words_and_addresses() -> None:
    fields = FIELDS["devices"]
    rows = [
        {"name": "tv", "address": "192.168.1.10 fd00::a", "mac": "02:aa:bb:00:00:01", "state": "online"},
        {"name": "phone", "address": "192.168.1.11", "mac": "02:aa:bb:00:00:02", "state": "offline"},
        {"name": "nas", "address": "10.0.0.3", "mac": "", "state": ""},
    ]  # fmt: skip

    def names(text: str) -> list[str]:
        return [row["name"] for row in kept(rows, parse_filter(text, fields), dict)]

    assert names("") == ["tv", "phone", "nas"]
    assert names("TV,nas") == ["tv", "nas"]
    assert names("!phone") == ["tv", "nas"]
    assert names("state:on") == ["tv"]
    assert names("state:off address:192.168") == ["phone"]
    assert names("02:aa:bb:00:00:02") == ["phone"], "a MAC is a word"
    assert names("fd00::a") == ["tv"]
    with pytest.raises(UsageError, match="wants a word"):
        parse_filter("state:", fields)
    with pytest.raises(UsageError, match="not known"):
        parse_filter("vendr:x", fields)
    assert begun("tv sta", fields)
    assert not begun("tv state:", fields)
    assert not begun("sta", fields)


def test_ports_are_whole_numbers() -> None:
    rows = [{"port": "80 51000 http"}, {"port": "8080 51001 "}]
    assert kept(rows, parse_filter("port:80", FIELDS["connections"]), dict) == rows[:1]
    assert kept(rows, parse_filter("port:8080,http", FIELDS["connections"]), dict) == rows


@given(st.text(max_size=40), st.sampled_from(sorted(FIELDS)))
def test_any_text_is_a_filter_or_says_why_not(text: str, table: str) -> None:
    try:
        terms = parse_filter(text, FIELDS[table])
    except UsageError as error:
        assert str(error)
        return
    kept([{"name": text.lower()}], terms, dict)


# -- caps


def test_caps_are_those_of_the_host_its_interfaces_or_one_device() -> None:
    here, there = HostInfo(id="a" * 16, name="home"), HostInfo(id="b" * 16, hostname="db", target="ssh://db")
    caps = {
        "own": CapSettings(name="own", limit=1),
        "lte": CapSettings(name="lte", limit=1, host="d*", interface="ww*"),
        "tv": CapSettings(name="tv", limit=1, device="02:AA:BB:00:00:01"),
    }
    assert caps_of(caps, here, here.id) == [caps["own"]]
    assert caps_of(caps, there, here.id) == [caps["lte"]]
    known = [
        KnownDevice(host=here.id, key=f"02:aa:bb:00:00:0{end}", row=DeviceRow(key=""), first=1, last=2) for end in "12"
    ]
    assert device_caps(caps, here, here.id, "02:aa:bb:00:00:01", known) == [caps["tv"]]
    assert not device_caps(caps, here, here.id, "02:aa:bb:00:00:02", known)
    assert device_caps(caps, there, here.id, "02:aa:bb:00:00:01", known) == [caps["tv"]], "whichever router knows it"


# -- names of addresses


def test_names_are_asked_for_once_cleaned_and_given_up() -> None:
    asked: list[str] = []
    told = threading.Semaphore(0)
    names = {"192.0.2.1": "a.example.", "192.0.2.2": "evil\x1b[2J.example", "192.0.2.3": ""}

    def ask(address: str) -> str:
        asked.append(address)
        return names[address]

    resolver = Resolver(told.release, ask)
    assert resolver.name("192.0.2.1") is None
    resolver.want(["192.0.2.1", "192.0.2.2", "192.0.2.3", ""])
    for _ in names:
        assert told.acquire(timeout=10)
    resolver.want(names)
    assert resolver.name("192.0.2.1") == "a.example"
    assert resolver.name("192.0.2.2") == "evil\ufffd[2J.example"
    assert resolver.name("192.0.2.3") == ""
    assert sorted(asked) == sorted(names)
    resolver.close()


def test_what_waits_is_dropped_when_nobody_wants_it_any_more() -> None:
    started, gate, told = threading.Semaphore(0), threading.Event(), threading.Semaphore(0)
    asked: list[str] = []

    def ask(address: str) -> str:
        asked.append(address)
        started.release()
        assert gate.wait(10)
        return address

    resolver = Resolver(told.release, ask)
    resolver.want(f"192.0.2.{number}" for number in range(20))
    for _ in range(2):
        assert started.acquire(timeout=10)
    resolver.close()
    gate.set()
    for _ in range(2):
        assert told.acquire(timeout=10)
    assert len(asked) == 2
