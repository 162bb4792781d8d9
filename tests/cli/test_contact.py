"""Contact lost and found again, each told once; many lost at once told as one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cli.contact import NAMED, RETURN, SECOND, UNDECIDED, WINDOW, Contact
from cli.station import Station
from sysmon.catalogue import Catalogue
from sysmon.clock import ManualClock
from sysmon.frame import Frame
from sysmon.records import Event, HostInfo, RunSpan, Status

if TYPE_CHECKING:
    from sysmon.records import Liveness

T0 = 1_790_000_000_000


class Fleet:
    """Hosts on targets of their own, or behind hubs, and the time."""

    def __init__(self, *hosts: str, off: tuple[str, ...] = ()) -> None:
        self.contact = Contact()
        self.at = 0.0
        self.told: list[tuple[float, Event]] = []
        for host in hosts:
            name, _, _ = host.partition("@")
            self.contact.know(HostInfo(id=name, name=name, expected_off=name in off))
        self.where = dict((host if "@" in host else f"{host}@http://{host}").split("@", 1) for host in hosts)
        self.say("live", *self.where)

    def say(self, state: Liveness, *hosts: str, message: str = "refused") -> None:
        """Says the state of hosts now."""
        for host in hosts:
            status = Status(host=host, state=state, message=message, target=self.where[host])
            self._take(self.contact.take(status, self.now, self.boot))

    def pass_(self, seconds: float) -> None:
        """Lets time pass, with the hosts that are here giving a frame a second."""
        until = self.at + seconds
        while self.at < until:
            self.at = min(until, self.at + 1.0)
            for host, peer in self.contact._peers.items():
                if peer.here:
                    frame = Frame(
                        host=host, boot="b", run="r", seq=int(self.at) + 1, time=self.now, monotonic=self.boot
                    )
                    self.contact.frame(frame, self.boot)
            self._take(self.contact.due(self.now, self.boot))

    @property
    def now(self) -> int:
        """Unix milliseconds."""
        return T0 + int(self.at * 1000)

    @property
    def boot(self) -> int:
        """Nanoseconds."""
        return 10**12 + int(self.at * 1e9)

    def _take(self, events: list[Event]) -> None:
        self.told += [(self.at, event) for event in events]

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """Hosts and kinds of the events so far."""
        return [(event.host, event.kind) for _, event in self.told]

    def fall(self, *hosts: str) -> None:
        """Lets hosts fall silent as a line that breaks does: late, stale, offline."""
        self.say("late", *hosts)
        self.pass_(12)
        self.say("stale", *hosts)
        self.pass_(15)
        self.say("offline", *hosts)


def test_contact_is_lost_once_and_found_once() -> None:
    fleet = Fleet("a")
    states: list[Liveness] = ["late", "stale", "offline", "offline", "live", "live"]
    for state in states:
        fleet.pass_(1)
        fleet.say(state, "a")
    assert [(event.kind, event.severity, event.message) for _, event in fleet.told] == [
        ("host.down", "critical", "lost contact: refused"),
        ("host.up", "info", "in contact again after 4 s"),
    ]
    assert [at for at, _ in fleet.told] == [3.0, 5.0]


def test_what_was_never_heard_of_did_not_go() -> None:
    contact = Contact()
    assert contact.take(Status(host="", state="offline"), 1, 1) == []
    assert contact.take(Status(host="h", state="offline"), 2, 2) == []
    assert contact.wait(3) is None


def test_one_of_many_is_told_as_soon_as_the_others_were_heard_after_it() -> None:
    fleet = Fleet("a", "b", "c", "d")
    fleet.say("late", "a")
    fleet.say("offline", "a")
    assert fleet.kinds == []
    fleet.pass_(4)
    assert fleet.kinds == [("a", "host.down")]
    at, event = fleet.told[0]
    assert at <= 3
    assert event.time == T0, "it is told as of when the host fell silent"


def test_this_side_lost_the_network_is_said_once_and_how_long() -> None:
    fleet = Fleet("web-1", "web-2", "db", "cache")
    fleet.pass_(100)
    fleet.fall("web-1", "db", "cache", "web-2")
    fleet.pass_(60)
    assert fleet.kinds == [("", "network.lost")]
    lost = fleet.told[0][1]
    assert lost.severity == "critical"
    assert lost.message == "this side lost the network: all 4 hosts vanished at once (cache, db, web-1, web-2)"
    fleet.say("live", "db")
    assert fleet.kinds[1:] == [("", "network.back")]
    assert fleet.told[1][1].message == "the network of this side is back after 87 s"
    fleet.pass_(5)
    fleet.say("live", "web-1", "web-2", "cache")
    fleet.pass_(200)
    assert len(fleet.told) == 2, "nobody is told to be up whose absence was not told on its own"
    assert fleet.contact.wait(fleet.boot) is None


def test_the_network_is_back_with_whoever_is_heard_first() -> None:
    fleet = Fleet("a", "b", "c", "d")
    fleet.say("late", "a", "b", "c", "d")
    fleet.say("offline", "a", "b")
    fleet.pass_(10)
    fleet.say("live", "c")
    assert fleet.kinds == [("", "network.lost"), ("", "network.back")]
    fleet.say("live", "a", "b", "d")
    fleet.pass_(100)
    assert len(fleet.told) == 2


def test_the_hosts_really_down_are_told_when_the_network_is_back() -> None:
    fleet = Fleet("a", "b", "c")
    fleet.fall("a", "b", "c")
    fleet.pass_(300)
    fleet.say("live", "a", "b")
    fleet.pass_(RETURN / SECOND - 1)
    assert fleet.kinds == [("", "network.lost"), ("", "network.back")]
    fleet.pass_(2)
    assert fleet.kinds[2:] == [("c", "host.down")]
    fleet.pass_(100)
    fleet.say("live", "c")
    assert fleet.kinds[3:] == [("c", "host.up")]


def test_a_network_that_goes_again_before_all_are_back_blames_no_host() -> None:
    fleet = Fleet("a", "b", "c", "d")
    fleet.fall("a", "b", "c", "d")
    fleet.say("live", "a", "b", "c")
    fleet.pass_(20)
    fleet.fall("a", "b", "c")
    fleet.pass_(200)
    assert fleet.kinds == [("", "network.lost"), ("", "network.back"), ("", "network.lost")]
    fleet.say("live", "a", "b", "c", "d")
    fleet.pass_(200)
    assert fleet.kinds[3:] == [("", "network.back")]


def test_half_of_the_hosts_is_the_network_and_less_is_not() -> None:
    fleet = Fleet("a", "b", "c", "d")
    fleet.fall("a", "b")
    fleet.pass_(60)
    assert fleet.kinds == [("", "network.lost")]
    fleet = Fleet("a", "b", "c", "d", "e")
    fleet.fall("a", "b")
    fleet.pass_(60)
    assert sorted(fleet.kinds) == [("a", "host.down"), ("b", "host.down")]


def test_hosts_that_go_one_after_the_other_are_told_one_by_one() -> None:
    fleet = Fleet("a", "b", "c")
    for host in "abc":
        fleet.say("late", host)
        fleet.say("offline", host)
        fleet.pass_(WINDOW / SECOND + 30)
    assert fleet.kinds == [("a", "host.down"), ("b", "host.down"), ("c", "host.down")]


def test_one_host_alone_is_never_the_network() -> None:
    fleet = Fleet("a")
    fleet.fall("a")
    assert fleet.kinds == [("a", "host.down")]


def test_one_that_hangs_holds_up_no_word_for_ever() -> None:
    fleet = Fleet("a", "b")
    fleet.say("late", "a", "b")
    fleet.say("offline", "a")
    fleet.pass_(UNDECIDED / SECOND - 1)
    assert fleet.kinds == []
    fleet.pass_(3)
    assert fleet.kinds == [("a", "host.down")]
    fleet.say("live", "b")
    fleet.pass_(100)
    assert fleet.kinds == [("a", "host.down")]


def test_a_hub_that_goes_is_one_word_for_all_behind_it() -> None:
    behind = [f"h{number:02}@http://hub:8200" for number in range(30)]
    fleet = Fleet(*behind, "x", "y")
    names = [host.partition("@")[0] for host in behind]
    fleet.fall(*names)
    fleet.pass_(5)
    assert fleet.kinds == [("", "hub.lost")]
    message = fleet.told[0][1].message
    assert message.startswith("lost contact with http://hub:8200 and the 30 hosts behind it (h00, h01")
    assert message.endswith(f"and {30 - NAMED} more): refused")
    fleet.say("live", *names)
    fleet.pass_(100)
    assert fleet.kinds == [("", "hub.lost"), ("", "hub.back")]
    assert fleet.told[1][1].message == "in contact again with http://hub:8200 after 32 s"


def test_all_targets_gone_is_the_network_however_many_hosts_are_behind_one() -> None:
    fleet = Fleet("a@http://hub", "b@http://hub", "c@http://hub", "x", "y")
    fleet.fall("a", "b", "c", "x", "y")
    fleet.pass_(60)
    assert fleet.kinds == [("", "network.lost")]


def test_a_host_that_may_be_off_counts_for_nothing_and_is_no_alarm() -> None:
    fleet = Fleet("laptop", "a", "b", off=("laptop",))
    fleet.fall("laptop")
    assert [(event.kind, event.severity) for _, event in fleet.told] == [("host.off", "info")]
    fleet.say("live", "laptop")
    assert fleet.kinds[1:] == [("laptop", "host.up")]
    # With it one of two that count is gone, not two of three.
    fleet.fall("laptop", "a")
    fleet.pass_(60)
    assert sorted(fleet.kinds[2:]) == [("a", "host.down"), ("laptop", "host.off")]


def test_a_paused_host_is_neither_missed_nor_counted() -> None:
    fleet = Fleet("a", "b", "c", "d")
    fleet.say("paused", "c", "d")
    fleet.fall("a", "c", "d")
    fleet.pass_(60)
    assert fleet.kinds == [("a", "host.down")]
    fleet.say("live", "c")
    assert fleet.kinds == [("a", "host.down")]


def test_what_a_hub_says_itself_is_left_to_it() -> None:
    fleet = Fleet("a@http://hub", "b@http://hub")
    fleet.contact.leave("a")
    fleet.say("offline", "a")
    fleet.pass_(100)
    assert fleet.kinds == []


def span(run: str, first: int, last: int, start: int, boot: str = "b") -> RunSpan:
    """What a server holds."""
    return RunSpan(host="a", run=run, boot=boot, first=first, last=last, start=start, end=start + 1000 * (last - first))


@pytest.mark.parametrize(
    ("run", "spans", "words"),
    [
        ("r", [span("r", 1, 52, T0)], ": the line was down; 41 frames are being fetched"),
        # What it has made in the last seconds its history may not hold yet.
        ("r", [span("r", 1, 45, T0)], ": the line was down; 34 frames are being fetched"),
        # One frame was made, and none after: that was not the line.
        ("r", [span("r", 1, 12, T0)], ": its sysmon stood still for 40 s; 1 frame is being fetched"),
        ("r", [span("r", 1, 11, T0)], ": its sysmon stood still for 41 s"),
        # `run` and `boot` are told by themselves, by the frames.
        ("r2", [span("r", 1, 11, T0), span("r2", 1, 5, T0 + 60_000)], "; 5 frames are being fetched"),
        ("r2", [span("r", 1, 20, T0), span("r2", 1, 5, T0 + 60_000, "b2")], "; 14 frames are being fetched"),
        # Its history does not hold a frame of the new run yet.
        ("r2", [span("r", 1, 11, T0)], ""),
        ("r", [], ""),
    ],
)
def test_what_was_between_is_said_as_far_as_the_other_side_tells(run: str, spans: list[RunSpan], words: str) -> None:
    fleet = Fleet("a")
    fleet.contact.fetches = True
    fleet.pass_(10)
    fleet.say("offline", "a")
    fleet.pass_(41)
    fleet.contact.hold(spans)
    fleet.contact.frame(
        Frame(host="a", boot="b", run=run, seq=0, time=fleet.now, monotonic=fleet.boot, full=True), fleet.boot
    )
    fleet.say("live", "a")
    assert fleet.told[-1][1].message == f"in contact again after 41 s{words}"


def test_a_short_cut_is_not_taken_for_a_sysmon_that_stood_still() -> None:
    fleet = Fleet("a")
    fleet.pass_(10)
    fleet.say("offline", "a")
    fleet.pass_(8)
    fleet.contact.hold([span("r", 1, 11, T0)])
    fleet.contact.frame(Frame(host="a", boot="b", run="r", seq=19, time=fleet.now, monotonic=fleet.boot), fleet.boot)
    fleet.say("live", "a")
    assert fleet.told[-1][1].message == "in contact again after 8 s: the line was down, no frame is missing"


any_state: st.SearchStrategy[Liveness] = st.sampled_from(["live", "late", "stale", "offline", "connecting", "paused"])


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.floats(0, 80), st.lists(st.tuples(st.sampled_from("abcdef"), any_state), max_size=6)), max_size=20
    )
)
@example(
    [
        (0.0, [("c", "late")]),
        (16.0, [("b", "offline"), ("e", "late")]),
        (16.0, [("a", "paused"), ("b", "live"), ("b", "offline"), ("d", "paused")]),
    ]
)
def test_whatever_happens_each_loss_and_return_is_told_once(
    steps: list[tuple[float, list[tuple[str, Liveness]]]],
) -> None:
    fleet = Fleet("a@http://hub", "b@http://hub", "c", "d", "e", "f", off=("f",))
    for seconds, said in steps:
        fleet.pass_(seconds)
        for host, state in said:
            fleet.say(state, host)
    fleet.say("live", *"abcdef")
    fleet.pass_(RETURN / SECOND + 1)
    ids = [event.id for _, event in fleet.told]
    assert len(ids) == len(set(ids))
    for host in "abcdef":
        down = [event.kind for _, event in fleet.told if event.host == host]
        assert down[1::2] == ["host.up"] * (len(down) // 2) or "paused" in {
            s for _, x in steps for h, s in x if h == host
        }
        assert "host.down" not in down or host != "f"
    together = [event.kind for _, event in fleet.told if not event.host]
    assert together.count("network.back") <= together.count("network.lost")
    assert together.count("hub.back") <= together.count("hub.lost")
    assert fleet.contact.wait(fleet.boot) is None
    assert not fleet.contact._outages


@pytest.mark.anyio
async def test_a_station_tells_what_time_alone_makes_certain() -> None:
    clock = ManualClock()
    station = Station(Catalogue([]), clock)
    watcher = station.watch()
    for host in "ab":
        await station.heed(Status(host=host, state="live", target=f"http://{host}"))
    await clock.advance(1)
    await station.heed(Status(host="a", state="offline", message="refused", target="http://a"))
    await clock.advance(WINDOW / SECOND + 2)
    assert [update.kind for update in watcher._queue if isinstance(update, Event)] == ["host.down"]
    assert station._waiting is None
    await station.close()


def test_a_whole_fleet_that_vanishes_is_looked_at_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    original = Contact._counts

    def counted(peer: object, vanished: int) -> bool:
        nonlocal looks
        looks += 1
        return original(peer, vanished)  # type: ignore[arg-type]

    monkeypatch.setattr(Contact, "_counts", staticmethod(counted))
    contact, hosts = Contact(), [f"{number:016x}" for number in range(100)]
    second = 1_000_000_000
    for number, host in enumerate(hosts):
        contact.know(HostInfo(id=host, hostname=f"h{number}"))
        contact.take(Status(host=host, state="live", target=f"t{number}"), 0, number)
    events = []
    for number, host in enumerate(hosts):
        events += contact.take(Status(host=host, state="offline", target=f"t{number}"), 5_000, 5 * second + number)
    for seconds in range(6, 60):
        events += contact.due(seconds * 1000, seconds * second)
    assert [event.kind for event in events] == ["network.lost"]
    assert looks < 5 * len(hosts) ** 2, "each host against each, not against each for each"


def test_the_status_of_one_of_very_many_does_not_go_through_all() -> None:
    contact = Contact()
    begun = time.monotonic()
    for number in range(15_000):
        status = Status(host=f"{number:016x}", state="live", target="http://hub:8200")
        assert contact.take(status, T0, SECOND) == []
        assert contact.wait(SECOND) is None
    # Going through all for each took a minute.
    assert time.monotonic() - begun < 8
