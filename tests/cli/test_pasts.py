"""What others counted, brought to the recorder: when, how often, of whom, and by whose clock."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.agentpasts import AGAIN, KNOWN, RETRY, AgentPasts, grown, tiled
from cli.pasts import EVERY, HOLE, Bringer, Kept, shifted
from cli.station import Station
from sysmon.catalogue import Catalogue
from sysmon.clock import ManualClock
from sysmon.derive import State
from sysmon.errors import RemoteError, StoreError
from sysmon.frame import Frame
from sysmon.records import HostInfo, Moment, Past, RunSpan, Status, Usage, UsagePiece

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.anyio

HOST, OTHER = "a" * 16, "b" * 16
T0 = 1_800_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class FakeClock(ManualClock):
    """A clock on which sleeping takes no time."""

    async def sleep(self, seconds: float) -> None:
        """Is later at once."""
        await self.advance(seconds)


class Taker:
    """A recorder that keeps what it is told."""

    def __init__(self) -> None:
        self.pasts: list[Past] = []
        self.fails = False

    async def record_past(self, past: Past) -> None:
        """Takes it."""
        if self.fails:
            raise StoreError("no room")
        self.pasts.append(past)

    async def flush(self) -> None:
        """Has nothing to do."""

    async def close(self) -> None:
        """Has nothing to do."""


def station(clock: FakeClock, taker: Taker | None) -> Station:
    """A station that heard of a host."""
    made = Station(Catalogue([]), clock)
    made.recorder = taker  # type: ignore[assignment]
    made.states[HOST] = State(Catalogue([]))
    return made


def vnstat(time: int, size: int = 5) -> Past:
    """What vnStat counted up to a moment."""
    return Past(host=HOST, source="vnstat", time=time, pieces=[UsagePiece("net.receive:e", time - 10, time, size)])


async def test_it_is_brought_at_first_once_more_and_then_every_hour() -> None:
    clock, taker, kept = FakeClock(T0 + 60_000), Taker(), Kept()
    bringer = Bringer(station(clock, taker), lambda: kept)
    assert await bringer.look() == 0
    kept.keep(vnstat(T0))
    assert await bringer.look() == 1 and taker.pasts == [vnstat(T0)]
    assert await bringer.look() == 0
    kept.keep(vnstat(T0 + 1000, 6))
    assert await bringer.look() == 1 and taker.pasts[1] == vnstat(T0 + 1000, 6)
    kept.keep(vnstat(T0 + 2000))
    assert await bringer.look() == 0
    await clock.sleep(EVERY - 1)
    kept.keep(vnstat(T0 + 3000))
    assert await bringer.look() == 0
    await clock.sleep(1)
    kept.keep(vnstat(T0 + 4000))
    assert await bringer.look() == 1
    # Where it did not count on there is nothing to be brought.
    await clock.sleep(EVERY)
    kept.keep(vnstat(T0 + 4000))
    assert await bringer.look() == 0


async def test_what_was_counted_just_now_waits_until_it_was_read_here_too() -> None:
    clock, taker, kept = FakeClock(T0), Taker(), Kept()
    bringer = Bringer(station(clock, taker), lambda: kept, slack=7.0)
    kept.keep(vnstat(T0))
    assert await bringer.look() == 0
    await clock.sleep(6.9)
    assert await bringer.look() == 0 and kept.pasts()
    await clock.sleep(0.1)
    assert await bringer.look() == 1


async def test_what_was_brought_or_is_known_is_let_go_of_and_what_waits_is_not() -> None:
    clock, taker, kept = FakeClock(T0 + 60_000), Taker(), Kept()
    made = station(clock, None)
    bringer = Bringer(made, lambda: kept)
    kept.keep(vnstat(T0))
    await bringer.look()
    assert kept.pasts() == [vnstat(T0)]
    made.recorder = taker  # type: ignore[assignment]
    for time in (T0, T0 + 1, T0 + 2):
        kept.keep(vnstat(time))
        await bringer.look()
        assert kept.pasts() == []
    assert len(taker.pasts) == 2


async def test_after_a_hole_it_is_brought_as_soon_as_it_was_read_again() -> None:
    clock, taker, kept = FakeClock(T0 + 60_000), Taker(), Kept()
    bringer = Bringer(station(clock, taker), lambda: kept)
    for time in (T0, T0 + 1):
        kept.keep(vnstat(time))
        assert await bringer.look() == 1
    kept.missed += HOLE
    assert await bringer.look() == 0
    kept.keep(vnstat(T0 + 2))
    assert await bringer.look() == 1
    kept.keep(vnstat(T0 + 3))
    assert await bringer.look() == 0


async def test_nothing_is_brought_before_the_first_frame_nor_while_nobody_records() -> None:
    clock, taker, kept = FakeClock(T0 + 60_000), Taker(), Kept()
    made = station(clock, None)
    del made.states[HOST]
    kept.keep(vnstat(T0))
    bringer = Bringer(made, lambda: kept)
    assert await bringer.look() == 0
    made.recorder = taker  # type: ignore[assignment]
    assert await bringer.look() == 0
    made.states[HOST] = State(Catalogue([]))
    assert await bringer.look() == 1
    assert await Bringer(made, lambda: None).look() == 0


async def test_it_is_told_under_the_id_and_by_the_clock_of_this_side() -> None:
    clock, taker, kept = FakeClock(T0 + 60_000), Taker(), Kept()
    made = station(clock, taker)
    made.states[OTHER] = State(Catalogue([]))
    made.statuses[OTHER] = Status(host=OTHER, state="live", skew=HOUR)
    kept.keep(vnstat(T0))
    assert await Bringer(made, lambda: kept, here=lambda host: OTHER).look() == 1
    (past,) = taker.pasts
    assert (past.host, past.time) == (OTHER, T0 - HOUR)
    assert past.pieces == [UsagePiece("net.receive:e", T0 - 10 - HOUR, T0 - HOUR, 5)]
    assert shifted(vnstat(T0), HOST, 0) == vnstat(T0)


async def test_what_cannot_be_recorded_is_the_station_s_problem() -> None:
    clock, taker, kept = FakeClock(T0 + 60_000), Taker(), Kept()
    taker.fails = True
    made = station(clock, taker)
    kept.keep(vnstat(T0))
    await Bringer(made, lambda: kept).look()
    assert made.problem == "not recorded: no room"


# An agent's own


class Served:
    """The history of a server, or ours: what it knows to have gone through, and what it was asked."""

    def __init__(
        self, usages: Sequence[Usage] = (), spans: Sequence[RunSpan] = (), frames: Sequence[Frame] = ()
    ) -> None:
        self.usages = list(usages)
        self.held = list(spans)
        self.stored = list(frames)
        self.asked: list[tuple[str, int, int]] = []
        self.without: set[str] = set()

    async def usage(self, host: str, start: int, end: int, step: str, keys: Sequence[str] = ()) -> list[Usage]:
        """Gives what was made for a step."""
        self.asked.append((step, start, end))
        if step in self.without:
            raise RemoteError(f"'{step}' is not a step")
        length = {"fiveminute": 5 * MINUTE, "hour": HOUR, "day": DAY}.get(step, 28 * DAY)
        return [
            each for each in self.usages if start <= each.start < end and length <= each.end - each.start < 12 * length
        ]

    async def spans(self, host: str | None = None) -> list[RunSpan]:
        """Gives which frames are held."""
        return self.held

    async def moment(self, host: str, time: int, step: int = 0) -> Moment | None:
        """Gives a frame."""
        before = [frame for frame in self.stored if frame.time <= time]
        after = [frame for frame in self.stored if frame.time > time]
        found = after[:1] if step == 1 else before[-1:]
        return Moment(frame=found[0]) if found else None


def frame(time: int, boot: str = "b1", **readings: int) -> Frame:
    """A frame with counters of interfaces."""
    values: Any = {f"net.receive:{name}": value for name, value in readings.items()}
    return Frame(host=HOST, boot=boot, run="r", seq=1, time=time, monotonic=0, readings=values)


def span(start: int, end: int) -> RunSpan:
    """Frames that are held."""
    return RunSpan(host=HOST, run="r", boot="b1", first=1, last=2, start=start, end=end)


def usage(start: int, length: int, size: int, key: str = "net.receive:e") -> Usage:
    """What went through."""
    return Usage(host=HOST, key=key, start=start, end=start + length, bytes=size)


CONTACT = T0 + 7 * MINUTE
"""The first frame here: seven minutes past 08:00 UTC, two within five."""
INFO = HostInfo(id=HOST, timezone="UTC")


def asking(theirs: Served, ours: Served, taker: Taker, clock: FakeClock | None = None) -> AgentPasts:
    """Asks one server for another history."""
    clock = clock or FakeClock(T0 + DAY)
    return AgentPasts(theirs, ours, taker, station(clock, taker))  # type: ignore[arg-type]


async def test_it_is_asked_by_the_steps_that_are_kept_up_to_the_first_frame_here() -> None:
    begin = T0 + 5 * MINUTE
    usages = [
        usage(T0, 5 * MINUTE, 3),
        usage(begin, 5 * MINUTE, 1000),  # the first frame here lies in these
        usage(T0 - 60 * HOUR, HOUR, 20),
        usage(T0 - 60 * HOUR, HOUR, 9, "cpu.time.user"),
        usage(T0 - T0 % DAY - 20 * DAY, DAY, 100),
    ]
    frames = [frame(begin - 1000, e=500, f=5), frame(begin, e=510, f=5)]
    theirs = Served(usages, frames=frames)
    ours, taker = Served(spans=[span(CONTACT, CONTACT)], frames=[frame(CONTACT, e=900, f=5, new=7)]), Taker()
    asks = asking(theirs, ours, taker)
    assert await asks.take(INFO)
    assert [step for step, _, _ in theirs.asked] == ["fiveminute", "hour", "day", "month"]
    assert theirs.asked[0][2] == begin
    assert all(early[1] == late[2] for early, late in pairwise(theirs.asked))
    (past,) = taker.pasts
    assert (past.host, past.source) == (HOST, "agent")
    assert sorted(past.pieces, key=lambda piece: piece.start) == [
        UsagePiece("net.receive:e", T0 - T0 % DAY - 20 * DAY, T0 - T0 % DAY - 19 * DAY, 100),
        UsagePiece("net.receive:e", T0 - 60 * HOUR, T0 - 59 * HOUR, 20),
        UsagePiece("net.receive:e", T0, begin, 3),
        # To the byte, by the counters themselves.
        UsagePiece("net.receive:e", begin, CONTACT, 400),
    ]
    assert asks.taken == {HOST: 4}


async def test_a_host_that_was_watched_here_before_is_not_asked_about_again() -> None:
    theirs, taker = Served([usage(T0, 5 * MINUTE, 3)]), Taker()
    known = Served([usage(T0 - 3 * HOUR, HOUR, 1)], [span(CONTACT, CONTACT + HOUR)])
    assert await asking(theirs, known, taker).take(INFO)
    assert theirs.asked == [] and taker.pasts == [] and known.asked == [("hour", T0 - KNOWN, T0)]
    # But where it was away for longer than any agent keeps frames.
    known.held.append(span(CONTACT + 10 * DAY, CONTACT + 10 * DAY))
    theirs.usages = [usage(T0 + 9 * DAY, 5 * MINUTE, 3)]
    assert await asking(theirs, known, taker).take(INFO)
    assert taker.pasts[0].pieces == [UsagePiece("net.receive:e", T0 + 9 * DAY, T0 + 9 * DAY + 5 * MINUTE, 3)]


async def test_a_server_that_knows_no_five_minutes_is_asked_for_hours() -> None:
    theirs = Served([usage(T0 - HOUR, HOUR, 3), usage(T0, HOUR, 1000)])
    theirs.without = {"fiveminute"}
    ours, taker = Served(spans=[span(CONTACT, CONTACT)], frames=[frame(CONTACT, e=9)]), Taker()
    assert await asking(theirs, ours, taker).take(INFO)
    # The hour in which the first frame lies is known by what it was counted here alone.
    assert taker.pasts[0].pieces == [UsagePiece("net.receive:e", T0 - HOUR, T0, 3)]


async def test_by_a_clock_that_is_off_it_is_asked_there_and_told_here() -> None:
    begin = T0 + 5 * MINUTE + HOUR
    theirs = Served([usage(T0 + HOUR, 5 * MINUTE, 3)], frames=[frame(begin - 1000, e=1), frame(begin, e=1)])
    ours, taker = Served(spans=[span(CONTACT, CONTACT)], frames=[frame(CONTACT, e=6)]), Taker()
    asks = asking(theirs, ours, taker)
    asks._station.statuses[HOST] = Status(host=HOST, state="live", skew=HOUR)
    assert await asks.take(INFO)
    assert taker.pasts[0].pieces == [
        UsagePiece("net.receive:e", T0, T0 + 5 * MINUTE, 3),
        UsagePiece("net.receive:e", T0 + 5 * MINUTE, CONTACT, 5),
    ]


async def test_of_one_that_has_no_frame_here_nothing_is_asked_yet_and_one_that_fails_is_asked_again() -> None:
    clock, taker = FakeClock(T0), Taker()
    theirs, ours = Served(), Served()
    asks = asking(theirs, ours, taker, clock)
    asks.greeted([INFO])
    await asks._ask_all()
    assert theirs.asked == [] and asks._waiting == {HOST: INFO}
    ours.held.append(span(CONTACT, CONTACT))
    theirs.without = {"fiveminute", "hour"}
    await asks._ask_all()
    assert taker.pasts == [] and asks._waiting == {} and theirs.asked
    theirs.without = set()
    await clock.sleep(RETRY)
    asks.greeted([INFO])
    await asks._ask_all()
    assert asks.taken == {HOST: 0} and taker.pasts == []
    # A line that only shook is no other contact.
    asks.greeted([INFO])
    assert asks._waiting == {}
    await clock.sleep(AGAIN)
    asks.greeted([INFO])
    assert asks._waiting == {HOST: INFO}


def test_growth_is_that_of_one_boot_and_of_counters_that_did_not_fall() -> None:
    told = grown(frame(0, a=1, b=5, c=7), frame(10, a=4, b=5, c=6, d=9), 0, 10)
    assert told == [UsagePiece("net.receive:a", 0, 10, 3)]
    assert grown(frame(0, a=1), frame(10, boot="b2", a=4), 0, 10) == []
    assert grown(frame(0, a=1), frame(10, a=4), 10, 10) == []


def test_a_longer_bucket_ends_where_the_next_begins() -> None:
    told = [usage(0, 28 * DAY, 50), usage(20 * DAY, DAY, 7), usage(20 * DAY, HOUR, 2), usage(22 * DAY, 0, 5)]
    assert tiled(told) == [
        UsagePiece("net.receive:e", 0, 20 * DAY, 50),
        UsagePiece("net.receive:e", 20 * DAY, 21 * DAY, 9),
    ]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(-2, 30), st.integers(-1, 9), st.sampled_from("ab"))))
def test_whatever_a_server_tells_pieces_of_a_key_never_overlap(told: list[tuple[int, int, int, str]]) -> None:
    made = tiled(usage(start, length, size, f"net.receive:{name}") for start, length, size, name in told)
    assert sum(piece.bytes for piece in made) == sum(size for _, length, size, _ in told if size > 0 and length > 0)
    for name in "ab":
        mine = [piece for piece in made if piece.key.endswith(name)]
        assert all(one.start < one.end <= two.start for one, two in pairwise(mine))


async def test_a_server_that_fails_is_not_asked_at_every_greeting() -> None:
    clock = FakeClock(T0 + DAY)
    theirs = Served([usage(T0, 5 * MINUTE, 3)])
    theirs.without = {"fiveminute", "hour"}
    asks = asking(theirs, Served(spans=[span(CONTACT, CONTACT)]), Taker(), clock)
    for _ in range(3):
        asks.greeted([INFO])
        await asks._ask_all()
    assert len(theirs.asked) == 2
    await clock.sleep(RETRY)
    asks.greeted([INFO])
    await asks._ask_all()
    assert len(theirs.asked) == 4
