"""One host id in two places: a clone is split off and said, the same machine seen twice is none."""

from __future__ import annotations

import pytest

from cli.clones import CONFIRM, Clones, clone_id
from cli.paths import Paths
from sysmon.clock import ManualClock
from sysmon.frame import Frame
from sysmon.records import Event, Gap, Hello, HostInfo, RunSpan, Status, Update

pytestmark = pytest.mark.anyio

ID = "a1b2c3d4e5f60718"
RUNS = {"one": "11" * 8, "two": "22" * 8}
BOOTS = {"one": "boot-1", "two": "boot-2"}


class World:
    """Two configured hosts that both say they are `ID`."""

    def __init__(
        self, clones: Clones | None = None, clock: ManualClock | None = None, paths: Paths | None = None
    ) -> None:
        self.clock = clock or ManualClock()
        self.clones = clones or Clones(self.clock)
        self.paths = paths
        if paths is not None:
            self.clones.taken = paths.taken
        self.seq = 0
        self.seen: list[Update] = []

    def give(self, way: str, update: Update, *, late: bool = False) -> list[Update]:
        """Gives an update of a way; returns what comes of it."""
        found = self.clones.admit(way, update, late=late)
        if self.paths is not None:
            found = [each for update in found for each in self.paths.admit(way, update)]
        self.seen += found
        return found

    def greet(self, way: str, *more: HostInfo, target: str = "") -> list[Update]:
        """A greeting, and who the host is."""
        info = HostInfo(id=ID, name=way, target=target or f"http://{way}")
        spans = [RunSpan(host=ID, run=RUNS[way], boot=BOOTS[way], first=1, last=9, start=1, end=2)]
        hello = Hello(schema=1, version="1", server="s", time=1, hosts=[info, *more], metrics=[], spans=spans)
        found = self.give(way, hello) + self.give(way, info)
        return found + self.give(way, Status(host=ID, name=way, state="live", target=info.target))

    async def run(self, seconds: int, *ways: str, boots: dict[str, str] | None = None) -> None:
        """Lets the ways give a frame a second each."""
        for _ in range(seconds):
            await self.clock.advance(1)
            self.seq += 1
            for way in ways:
                boot = (boots or BOOTS)[way]
                run = RUNS[way] if boot == BOOTS[way] else f"{boot}-run"
                self.give(way, frame(self.seq, run, boot))

    def hosts(self, run: str) -> set[str]:
        """Ids that frames of a run came under."""
        return {each.host for each in self.seen if isinstance(each, Frame) and each.run == run}

    def last(self, host: str) -> Status:
        """The last status of a host."""
        return [each for each in self.seen if isinstance(each, Status) and each.host == host][-1]


def frame(seq: int, run: str, boot: str) -> Frame:
    """A frame of `ID`."""
    return Frame(host=ID, boot=boot, run=run, seq=seq, time=1000 * seq, monotonic=10**9 * seq)


SPLIT = clone_id(ID, "http://two")


async def test_a_cloned_machine_is_split_off_said_on_both_and_told_once() -> None:
    world = World()
    world.greet("one")
    await world.run(5, "one")
    world.greet("two")
    await world.run(CONFIRM // 10**9 - 5, "one", "two")
    assert not [each for each in world.seen if isinstance(each, Event)]
    await world.run(30, "one", "two")
    (event,) = [each for each in world.seen if isinstance(each, Event)]
    assert (event.kind, event.severity, event.host) == ("clone", "warning", SPLIT)
    assert event.message.startswith("two (http://two) has the same host id as one (http://one): a cloned machine-id;")
    assert world.last(SPLIT).message == (
        "the same host id as one (http://one): a cloned machine-id;"
        " remove /etc/machine-id there, run systemd-machine-id-setup and restart sysmon"
    )
    assert world.last(ID).message.startswith("two (http://two) has the same host id: a cloned machine-id;")
    world.seen.clear()
    await world.run(3, "one", "two")
    assert world.hosts(RUNS["one"]) == {ID}
    assert world.hosts(RUNS["two"]) == {SPLIT}


async def test_everything_a_clone_says_goes_under_its_own_id_and_back() -> None:
    world = World()
    world.greet("one")
    world.greet("two")
    await world.run(40, "one", "two")
    world.seen.clear()
    world.greet("two", HostInfo(id="other", target="http://two"))
    world.give("two", Gap(host=ID, run="r", first=1, last=2))
    assert {each.id for each in world.seen if isinstance(each, HostInfo)} == {SPLIT}
    (hello,) = [each for each in world.seen if isinstance(each, Hello)]
    assert [info.id for info in hello.hosts] == [SPLIT, "other"]
    assert [span.host for span in hello.spans] == [SPLIT]
    assert [each.host for each in world.seen if isinstance(each, Gap)] == [SPLIT]
    assert (world.clones.here("two", ID), world.clones.there("two", SPLIT)) == (SPLIT, ID)
    assert (world.clones.here("one", ID), world.clones.there("one", ID)) == (ID, ID)


async def test_the_split_is_the_same_after_a_restart_whoever_is_heard_first() -> None:
    clock = ManualClock()
    clones = Clones(clock)
    clones.restore(
        [HostInfo(id=ID, name="one", target="http://one"), HostInfo(id=SPLIT, name="two", target="http://two")]
    )
    world = World(clones, clock)
    greeted = world.greet("two")
    assert [each.id for each in greeted if isinstance(each, HostInfo)][-1] == SPLIT
    await world.run(3, "two")
    assert world.hosts(RUNS["two"]) == {SPLIT}
    assert world.last(SPLIT).message.startswith("the same host id as one (http://one)")
    world.greet("one")
    await world.run(60, "two", "one")
    assert world.hosts(RUNS["one"]) == {ID}


async def test_the_id_stays_with_the_machine_that_was_recorded_under_it() -> None:
    clock = ManualClock()
    clones = Clones(clock)
    clones.restore([HostInfo(id=ID, name="two", target="http://two")])
    world = World(clones, clock)
    world.greet("one")
    await world.run(3, "one")
    world.greet("two")
    await world.run(60, "one", "two")
    world.seen.clear()
    await world.run(1, "one", "two")
    assert world.hosts(RUNS["two"]) == {ID}
    assert world.hosts(RUNS["one"]) == {clone_id(ID, "http://one")}


async def test_frames_are_left_out_rather_than_mixed_while_it_is_not_clear() -> None:
    world = World()
    world.greet("one")
    await world.run(5, "one")
    world.greet("two")
    await world.run(60, "one", "two")
    assert world.hosts(RUNS["one"]) == {ID}
    assert world.hosts(RUNS["two"]) == {SPLIT}


async def test_a_clone_that_is_heard_before_the_machine_recorded_is_left_out_until_that_is_heard() -> None:
    clock = ManualClock()
    clones = Clones(clock)
    clones.restore([HostInfo(id=ID, name="one", target="http://one")])
    world = World(clones, clock)
    world.give("one", Status(host="", name="one", state="connecting", target="http://one"))
    world.greet("two")
    await world.run(3, "two")
    world.greet("one")
    await world.run(60, "one", "two")
    assert world.hosts(RUNS["one"]) == {ID}
    assert world.hosts(RUNS["two"]) == {SPLIT}


async def test_a_machine_that_moved_is_taken_once_nobody_is_where_it_was() -> None:
    clock = ManualClock()
    clones = Clones(clock)
    clones.restore([HostInfo(id=ID, name="one", target="http://one")])
    world = World(clones, clock)
    world.give("one", Status(host="", name="one", state="connecting", target="http://one"))
    world.greet("two")
    await world.run(3, "two")
    assert not [each for each in world.seen if isinstance(each, Frame)]
    world.give("one", Status(host="", name="one", state="offline", target="http://one"))
    await world.run(3, "two")
    assert world.hosts(RUNS["two"]) == {ID}
    assert not [each for each in world.seen if isinstance(each, Event)]


async def test_one_machine_seen_twice_is_no_clone() -> None:
    world = World()
    world.greet("one")
    world.greet("two")
    await world.run(100, "one", "two", boots={"one": "boot-1", "two": "boot-1"})
    assert not [each for each in world.seen if isinstance(each, Event)]
    assert world.clones.here("two", ID) == ID


async def test_a_reboot_that_one_way_shows_before_the_other_is_no_clone() -> None:
    world = World()
    world.greet("one")
    world.greet("two")
    same = {"one": "boot-1", "two": "boot-1"}
    await world.run(30, "one", "two", boots=same)
    await world.run(15, "one", "two", boots={"one": "boot-1", "two": "boot-2"})
    await world.run(100, "one", "two", boots={"one": "boot-2", "two": "boot-2"})
    assert not [each for each in world.seen if isinstance(each, Event)]


async def test_late_frames_and_states_prove_nothing() -> None:
    world = World()
    world.greet("one")
    world.greet("two")
    for _ in range(60):
        await world.run(1, "one")
        world.give("two", frame(world.seq, RUNS["two"], "boot-2"), late=True)
        world.give("two", frame(0, RUNS["two"], "boot-2"))
    assert not [each for each in world.seen if isinstance(each, Event)]


async def test_a_configured_host_that_is_this_machine_is_no_clone_and_a_clone_of_it_is() -> None:
    world = World()
    world.clones.run_on(ID, "boot-1")
    world.greet("one")
    await world.run(60, "one")
    assert not [each for each in world.seen if isinstance(each, Event)]
    world.greet("two")
    await world.run(5, "two")
    assert world.last(SPLIT).message.startswith("the same host id as this machine: a cloned machine-id;")
    assert world.clones.here("one", ID) == ID


async def test_a_mended_clone_is_a_host_like_any_other() -> None:
    world = World()
    world.greet("one")
    world.greet("two")
    await world.run(40, "one", "two")
    info = HostInfo(id="fresh", name="two", target="http://two")
    world.give("two", Hello(schema=1, version="1", server="s", time=1, hosts=[info], metrics=[]))
    await world.run(1, "one")
    assert world.last(ID).message == ""


async def test_with_ways_to_choose_among_both_machines_are_taken() -> None:
    world = World(paths=Paths("f" * 16))
    world.greet("one")
    world.greet("two")
    await world.run(60, "one", "two")
    world.seen.clear()
    await world.run(3, "one", "two")
    assert world.hosts(RUNS["one"]) == {ID}
    assert world.hosts(RUNS["two"]) == {SPLIT}
    assert len([each for each in world.seen if isinstance(each, Frame)]) == 6


async def test_a_clone_that_was_given_an_id_of_its_own_leaves_nothing_behind() -> None:
    world = World()
    world.greet("one")
    world.greet("two")
    await world.run(40, "one", "two")
    assert world.last(ID).message.startswith("two (http://two) has the same host id")
    mended = HostInfo(id="new", name="two", target="http://two")
    world.give("two", Hello(schema=1, version="1", server="s", time=1, hosts=[mended], metrics=[]))
    await world.run(2, "one")
    assert world.last(ID).message == ""
    assert (world.clones.here("two", ID), world.clones.here("one", ID)) == (ID, ID)
