"""One host id in two places: a clone is split off and said, the same machine seen twice is none."""

from __future__ import annotations

import pytest

from alerts.engine import Engine
from cli.clones import Clones
from cli.paths import Paths
from cli.sights import CONFIRM, clone_id
from cli.station import Station
from sysmon.catalogue import Catalogue
from sysmon.clock import ManualClock
from sysmon.frame import Frame
from sysmon.records import Event, Gap, Hello, HostInfo, RunSpan, Status, Update
from tests.remote.support import MemoryHistory

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


BOTH = {"one": "http://one", "two": "http://two"}


def recorded(*spans: tuple[str, str, int, int]) -> Clones:
    """Those of a hub that recorded host `one`, and these spans: id, boot, start and end in seconds."""
    clones = Clones(ManualClock())
    clones.restore(
        [HostInfo(id=ID, name="one", target="http://one")]
        + [HostInfo(id=SPLIT, name="two", target="http://two")] * any(id == SPLIT for id, *_ in spans),
        [
            RunSpan(host=id, run="r", boot=boot, first=1, last=9, start=1000 * start, end=1000 * end)
            for id, boot, start, end in spans
        ],
    )
    clones.configure(BOTH)
    return clones


def world_of(clones: Clones) -> World:
    """A world with a choice of ways."""
    return World(clones, clones._clock, Paths("f" * 16))  # type: ignore[arg-type]


def under(world: World, host: str) -> list[Update]:
    """What was said of a host, but that it is gone."""
    return [
        each
        for each in world.seen
        if (isinstance(each, HostInfo) and each.id == host)
        or (isinstance(each, Frame | Event | Gap) and each.host == host)
        or (isinstance(each, Status) and each.host == host and not each.gone)
        or (isinstance(each, Hello) and any(info.id == host for info in each.hosts))
    ]


async def test_nobody_takes_the_id_of_a_configured_host_that_is_away() -> None:
    world = world_of(recorded((ID, "boot-1", 0, 100)))
    world.greet("one")
    await world.run(10, "one")
    world.give("one", Status(host=ID, name="one", state="offline", target="http://one"))
    await world.run(100)
    world.seen.clear()
    world.greet("two")
    world.give("two", frame(0, RUNS["two"], "boot-2"))
    world.give("two", Gap(host=ID, run="r", first=1, last=2))
    world.give("two", Event(id="e", time=0, host=ID, kind="boot"))
    await world.run(30, "two")
    assert under(world, ID) == []
    # A greeting and a description each take it back, so that it is said anew.
    asked = [each for each in world.seen if isinstance(each, Status) and each.state == "connecting"][-1]
    assert (asked.host, asked.name) == ("", "two")
    assert asked.message.startswith("its host id is that of one (http://one): whether")
    await world.run(60, "two")
    assert under(world, ID) == []
    assert world.paths is not None and world.paths.taken(ID) == "one"
    (event,) = [each for each in world.seen if isinstance(each, Event)]
    assert (event.kind, event.host) == ("clone", SPLIT)
    assert world.hosts(RUNS["two"]) == {SPLIT}
    assert world.last(SPLIT).message.startswith("the same host id as one (http://one)")
    # What it was said of while nothing was clear is taken back.
    assert [each.gone for each in world.seen if isinstance(each, Status) and not each.host][-1]
    # Its owner comes back, after a reboot too: it is itself, from the first frame on.
    world.seen.clear()
    world.greet("one")
    await world.run(40, "one", "two", boots={"one": "boot-9", "two": "boot-2"})
    assert world.hosts("boot-9-run") == {ID}
    assert len([each for each in world.seen if isinstance(each, Frame) and each.host == ID]) == 40
    assert not [each for each in world.seen if isinstance(each, Event)]


async def test_the_owner_keeps_its_id_while_it_is_paused() -> None:
    world = world_of(recorded((ID, "boot-1", 0, 100)))
    world.greet("two")
    await world.run(100, "two")
    assert under(world, ID) == []
    assert world.hosts(RUNS["two"]) == {SPLIT}


@pytest.mark.parametrize(
    "targets", [{"one": "http://two"}, {"two": "http://two"}, {"one": "http://two", "three": "http://three"}]
)
async def test_a_host_that_moved_takes_its_id_along(targets: dict[str, str]) -> None:
    """Its target was edited, or it was added under another name and the old one removed."""
    clones = recorded((ID, "boot-1", 0, 100))
    clones.configure(targets)
    world = world_of(clones)
    name = next(iter(targets))
    info = HostInfo(id=ID, name=name, target="http://two")
    for said in (Hello(schema=1, version="1", server="s", time=1, hosts=[info], metrics=[]), info):
        world.give(name, said)
    world.give(name, Status(host=ID, name=name, state="live", target="http://two"))
    for seq in range(1, 5):
        world.give(name, frame(seq, RUNS["two"], "boot-2"))
    assert world.hosts(RUNS["two"]) == {ID}
    # From then on it is at home there, and the old address is a stranger's.
    clones.configure({**targets, "old": "http://one"})
    info = HostInfo(id=ID, name="old", target="http://one")
    found = world.give("old", Hello(schema=1, version="1", server="s", time=1, hosts=[info], metrics=[]))
    assert [each.hosts for each in found if isinstance(each, Hello)] == [[]]
    assert not [each for each in world.seen if isinstance(each, Event)]


async def test_a_host_that_was_split_off_before_its_old_address_was_removed_takes_its_id_along() -> None:
    clones = recorded((ID, "boot-1", 0, 100))
    world = world_of(clones)
    world.greet("two")
    await world.run(100, "two")
    assert world.hosts(RUNS["two"]) == {SPLIT}
    world.seen.clear()
    clones.configure({"two": "http://two"})
    await world.run(5, "two")
    assert world.hosts(RUNS["two"]) == {ID}
    assert [each.host for each in world.seen if isinstance(each, Status) and each.gone] == [SPLIT]
    # The same after a restart of this side.
    clones = recorded((ID, "boot-1", 0, 100), (SPLIT, "boot-2", 110, 200), (ID, "boot-2", 201, 210))
    clones.configure({"two": "http://two"})
    world = world_of(clones)
    world.greet("two")
    await world.run(5, "two")
    assert world.hosts(RUNS["two"]) == {ID}


async def test_a_clone_that_was_alive_beside_its_original_stays_apart_when_that_is_removed() -> None:
    world = world_of(recorded())
    world.greet("one")
    await world.run(5, "one")
    world.greet("two")
    await world.run(40, "one", "two")
    world.clones.leave("one")
    world.clones.configure({"two": "http://two"})
    world.seen.clear()
    await world.run(40, "two")
    assert world.hosts(RUNS["two"]) == {SPLIT}
    clones = recorded((ID, "boot-1", 0, 100), (SPLIT, "boot-2", 50, 200))
    clones.configure({"two": "http://two"})
    world = world_of(clones)
    world.greet("two")
    await world.run(40, "two")
    assert world.hosts(RUNS["two"]) == {SPLIT}


async def test_another_way_to_the_same_machine_is_taken_at_once_and_while_the_first_is_cut() -> None:
    world = world_of(recorded((ID, "boot-1", 0, 100)))
    same = {"one": "boot-1", "two": "boot-1"}
    world.greet("two")
    # Its state, which is sent on connecting, shows the boot that was recorded.
    world.give("two", frame(0, RUNS["one"], "boot-1"))
    await world.run(3, "two", boots=same)
    assert len([each for each in under(world, ID) if isinstance(each, Frame)]) == 4
    world.greet("one")
    await world.run(5, "one", "two", boots=same)
    world.give("one", Status(host=ID, name="one", state="offline", target="http://one"))
    await world.run(30, "two", boots=same)
    # It reboots, and is seen on that way alone: it is known to be the same.
    world.seen.clear()
    await world.run(30, "two", boots={"two": "boot-5"})
    assert world.hosts("boot-5-run") == {ID}
    assert not [each for each in world.seen if isinstance(each, Event)]


async def test_a_machine_taken_for_a_clone_by_mistake_is_itself_again_when_its_own_way_is_back() -> None:
    """This side and the machine were restarted both, and for a while there was only the other way."""
    world = world_of(recorded((ID, "boot-1", 0, 100)))
    world.greet("two")
    await world.run(100, "two")
    assert world.hosts(RUNS["two"]) == {SPLIT}
    same = {"one": "boot-2", "two": "boot-2"}
    world.greet("one")
    await world.run(1, "one", boots=same)
    world.seen.clear()
    await world.run(3, "one", "two", boots=same)
    assert [each.host for each in world.seen if isinstance(each, Status) and each.gone] == [SPLIT]
    assert {each.host for each in world.seen if isinstance(each, Frame)} == {ID}
    assert world.last(ID).message == ""


async def test_nothing_of_another_machine_is_ever_taken_for_this_one() -> None:
    world = world_of(Clones(ManualClock()))
    world.clones.run_on(ID, "boot-1")
    world.greet("two")
    world.give("two", frame(0, RUNS["two"], "boot-2"))
    await world.run(10, "two")
    assert under(world, ID) == []
    assert world.hosts(RUNS["two"]) == {SPLIT}


async def test_the_original_is_named_by_its_own_address_and_not_by_that_of_a_hub() -> None:
    world = world_of(recorded((ID, "boot-1", 0, 100)))
    world.clones.configure({**BOTH, "hub": "http://hub"})
    behind = HostInfo(id=ID, name="one", target="http://hub", via=["b" * 16])
    hello = Hello(schema=1, version="1", server="s", hub="b" * 16, time=1, hosts=[behind], metrics=[])
    for said in (hello, behind, frame(0, RUNS["one"], "boot-1")):
        world.give("hub", said)
    world.greet("one")
    world.greet("two")
    await world.run(60, "one", "two")
    assert world.last(SPLIT).message.startswith("the same host id as one (http://one):")
    (event,) = [each for each in world.seen if isinstance(each, Event)]
    assert "as one (http://one):" in event.message


def test_a_host_that_comes_through_a_hub_just_now_is_recorded_where_it_is_at_home() -> None:
    clones = recorded()
    behind = HostInfo(id=ID, name="one", target="http://hub", via=["b" * 16], kernel="7.1")
    assert clones.kept(behind) == HostInfo(id=ID, name="one", target="http://one", kernel="7.1")
    clones.configure({"hub": "http://hub"})
    assert clones.kept(behind) == behind


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
    world = world_of(Clones(ManualClock()))
    world.greet("one")
    world.greet("two")
    await world.run(40, "one", "two")
    assert world.last(ID).message
    info = HostInfo(id="fresh", name="two", target="http://two")
    found = world.give("two", Hello(schema=1, version="1", server="s", time=1, hosts=[info], metrics=[]))
    assert [each.host for each in found if isinstance(each, Status) and each.gone] == [SPLIT]
    await world.run(1, "one")
    assert world.last(ID).message == ""


async def test_why_a_clone_is_away_is_said_without_what_else_there_is_to_say_of_it() -> None:
    world = World()
    world.greet("one")
    world.greet("two")
    await world.run(40, "one", "two")
    assert world.last(SPLIT).message.startswith("the same host id as")
    world.give("two", Status(host=ID, name="two", state="offline", message="refused", target="http://two"))
    assert world.last(SPLIT).message == "refused"


async def test_who_is_back_is_not_said_to_be_away_for_what_there_is_to_say_of_another() -> None:
    world = world_of(recorded())
    world.greet("one")
    await world.run(3, "one")
    world.give("one", Status(host=ID, name="one", state="offline", message="refused", target="http://one"))
    world.greet("two")
    await world.run(100, "two")
    assert world.hosts(RUNS["two"]) == {SPLIT}
    assert not [each for each in world.greet("one") if isinstance(each, Status) and each.state == "offline"]


async def test_the_name_stays_with_who_is_at_the_target_now() -> None:
    history = MemoryHistory()
    clock = ManualClock()
    station = Station(Catalogue([]), clock)
    await station.begin(history, Engine((), Catalogue([]), clock), history)
    station.clones.configure(BOTH)
    for id, name in ((ID, "one"), (SPLIT, "two")):
        await station.take(HostInfo(id=id, name=name, hostname="vm", target=f"http://{name}"))
    for id in (ID, SPLIT):
        await station.take(Status(host=id, state="paused", gone=True))
    await station.take(HostInfo(id="fresh", name="two", target="http://two"))
    assert {info.id: info.label for info in history.infos.values()} == {ID: "vm", SPLIT: "vm", "fresh": "two"}
    # One that is no longer configured keeps its name, by which its past is asked for.
    await station.take(HostInfo(id=ID, name="one", hostname="vm", target="http://one"))
    station.clones.configure({"two": "http://two"})
    await station.take(Status(host=ID, state="paused", gone=True))
    assert history.infos[ID].label == "one"
    await station.close()


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
