"""Which way is taken to a host: pure decisions on what the ways say."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from cli.paths import Paths, hub_id
from sysmon.frame import Frame
from sysmon.records import Event, Hello, HostInfo, RunSpan, Status

if TYPE_CHECKING:
    from pathlib import Path

A, B, C = "a" * 16, "b" * 16, "c" * 16
X, Y, OWN = "1" * 16, "2" * 16, "3" * 16


def hello(*infos: HostInfo, hub: str = "") -> Hello:
    """A greeting."""
    spans = [RunSpan(host=info.id, run="r", boot="b", first=1, last=2, start=1, end=2) for info in infos]
    return Hello(schema=1, version="", server="s", hub=hub, time=0, hosts=list(infos), metrics=[], spans=spans)


def frame(host: str) -> Frame:
    """A frame."""
    return Frame(host=host, boot="b", run="r", seq=1, time=0, monotonic=0)


def live(host: str, state: str = "live") -> Status:
    """A status."""
    return Status(host=host, state=state)  # type: ignore[arg-type]


def test_the_shortest_way_that_is_alive_is_taken() -> None:
    paths = Paths(C)
    woken = []
    paths.on_change("hub", lambda: woken.append("hub"))
    paths.on_change("x", lambda: woken.append("x"))
    (kept,) = paths.admit("hub", hello(HostInfo(id=X, via=[B]), HostInfo(id=Y, via=[B]), hub=B))[:1]
    assert isinstance(kept, Hello) and [info.id for info in kept.hosts] == [X, Y]
    paths.admit("hub", live(X))
    assert paths.admit("hub", frame(X)) == [frame(X)]
    # Directly there is more than one hub away, as soon as it is alive.
    (kept, *_) = paths.admit("x", hello(HostInfo(id=X, name="web", tags=["prod"])))
    assert isinstance(kept, Hello) and (kept.hosts, kept.spans) == ([], [])
    assert paths.admit("x", frame(X)) == []
    info, status = paths.admit("x", live(X))
    assert (info, status) == (HostInfo(id=X, name="web", tags=["prod"]), live(X))
    assert woken == ["x"]
    assert (paths.admit("x", frame(X)), paths.admit("hub", frame(X)), paths.admit("hub", frame(Y))) == (
        [frame(X)],
        [],
        [frame(Y)],
    )
    assert paths.admit("hub", live(X, "late")) == []
    assert paths.admit("hub", Event(id="e", time=0, host=X, kind="boot")) == []
    # It is late: still the better way. It is gone: the other one, under the same name.
    assert paths.admit("x", live(X, "late")) == [live(X, "late")]
    info, status = paths.admit("x", live(X, "offline"))
    assert info == HostInfo(id=X, name="web", tags=["prod"], via=[B])
    assert status == live(X, "late")
    assert woken == ["x", "hub"]
    assert paths.admit("hub", frame(X)) == [frame(X)]
    # Both are gone: no flapping between them.
    assert paths.admit("hub", live(X, "offline")) == [live(X, "offline")]
    assert paths.admit("x", live(X, "stale")) == []
    info, status = paths.admit("x", live(X))
    assert (info, status) == (HostInfo(id=X, name="web", tags=["prod"]), live(X))
    assert [each for each in paths.leave("x") if isinstance(each, HostInfo)] == [HostInfo(id=X, via=[B])]


def test_what_came_from_here_is_left_out_and_said() -> None:
    paths = Paths(A, OWN)
    kept, *_, status = paths.admit(
        "b", hello(HostInfo(id=X, via=[A, B]), HostInfo(id=Y, via=[B], hub=B), HostInfo(id=OWN, via=[B]), hub=B)
    )
    assert isinstance(kept, Hello) and [info.id for info in kept.hosts] == [Y]
    assert isinstance(status, HostInfo)
    (status,) = paths.admit("b", live(Y))
    assert isinstance(status, Status)
    # Said of the host that the hub runs on: a status of the name alone would be a host that was never reached.
    assert (status.host, status.state) == (Y, "live")
    assert status.message == f"the two hubs watch each other: 1 host is left out that came from here ({X})"
    assert paths.admit("b", frame(X)) == paths.admit("b", frame(OWN)) == paths.admit("b", live(X)) == []
    assert [getattr(each, "message", "") != "" for each in paths.admit("b", live(Y))] == [True]
    # A host that comes to lead through here later is dropped, and taken again when it no longer does.
    (note,) = paths.admit("b", HostInfo(id=Y, hostname="y", via=[A, B]))
    assert isinstance(note, Status) and note.message.endswith(f"2 hosts are left out that came from here ({X}, y)")
    assert paths.admit("b", HostInfo(id=Y, hostname="y", via=[A, B])) == []
    assert paths.admit("b", frame(Y)) == []
    paths.admit("b", HostInfo(id=Y, via=[B]))
    assert paths.admit("b", frame(Y)) == [frame(Y)]
    # The same when it was never offered another way.
    *_, note = paths.admit("c", hello(HostInfo(id=OWN, via=[C]), hub=C))
    assert isinstance(note, Status) and note.message == "its hosts are known here another way"
    (note,) = paths.admit("c", HostInfo(id=X, hostname="x", via=[A, C]))
    assert isinstance(note, Status) and note.message.endswith("1 host is left out that came from here (x)")
    # An agent of this very machine is another matter.
    paths.admit("here", hello(HostInfo(id=OWN)))
    assert paths.admit("here", frame(OWN)) == [frame(OWN)]


def test_a_hub_that_watches_itself_is_told_so() -> None:
    paths = Paths(A)
    kept, status = paths.admit("me", hello(HostInfo(id=X), hub=A))
    assert isinstance(kept, Hello) and kept.hosts == []
    assert isinstance(status, Status) and (status.state, status.message[:22]) == ("offline", "this is this recorder ")
    (again,) = paths.admit("me", Status(host="", state="connecting", name="me"))
    assert isinstance(again, Status) and again.message.startswith("this is this recorder")


def test_a_hub_has_the_same_id_at_every_start_and_no_other_has_it(tmp_path: Path) -> None:
    one = hub_id(X, tmp_path / "history.db")
    assert one == hub_id(X, tmp_path / "history.db")
    assert len({one, hub_id(X, tmp_path / "other.db"), hub_id(Y, tmp_path / "history.db")}) == 3
    assert len(one) == 16


def test_three_hubs_in_a_ring_come_to_rest() -> None:
    """What each says is handed to the next in any order; a host is never taken from where it came through before."""
    for seed in range(30):
        rng = random.Random(seed)
        names = [A, B, C]
        paths = {name: Paths(name) for name in names}
        state = {name: "live" for name in names}
        served: dict[str, tuple[HostInfo, str]] = {}

        for step in range(120):
            if step == 40:
                state = {name: "offline" for name in names}
            name = rng.choice(names)
            paths[name].admit("direct", HostInfo(id=X))
            paths[name].admit("direct", live(X, state[name]))
            for other in rng.sample(names, 3):
                if other != name and other in served:
                    paths[name].admit(other, served[other][0])
                    paths[name].admit(other, live(X, served[other][1]))
            way = paths[name].taken(X)
            if way is not None:
                status = paths[name]._ways[X][way].status
                via = [*paths[name]._shown(X).via, name]
                served[name] = (HostInfo(id=X, via=via), "offline" if status is None else status.state)
        for name in names:
            assert served[name][1] == "offline", "no two hubs may take a dead host for alive because the other does"
            assert name not in paths[name]._shown(X).via


def test_a_host_that_is_gone_on_its_last_way_is_gone() -> None:
    paths = Paths(C)
    paths.admit("hub", hello(HostInfo(id=X, via=[B]), hub=B))
    paths.admit("x", hello(HostInfo(id=X)))
    paths.admit("hub", live(X))
    paths.admit("x", live(X))
    gone = Status(host=X, state="paused", gone=True)
    assert [type(each) for each in paths.admit("x", gone)] == [HostInfo, Status]
    assert paths.taken(X) == "hub"
    (last,) = paths.admit("hub", gone)
    assert isinstance(last, Status) and last.gone and paths.taken(X) is None
    assert paths.admit("hub", gone) == []
    # An agent that has another id now: nothing would ever be said of the old one.
    paths.admit("x", hello(HostInfo(id=X)))
    _, last, *_ = paths.admit("x", hello(HostInfo(id=Y)))
    assert isinstance(last, Status) and (last.host, last.gone) == (X, True)
    # A hub says itself whether a host is gone or only not reached yet.
    paths.admit("hub", hello(HostInfo(id=X, via=[B]), hub=B))
    assert not [each for each in paths.admit("hub", hello(hub=B)) if isinstance(each, Status)]
    (told,) = paths.admit("hub", live(X, "offline"))
    assert isinstance(told, Status) and told.state == "offline"


def test_hosts_of_ours_that_were_never_reached_do_not_come_back_as_anothers() -> None:
    paths = Paths(A)
    theirs = Status(host="", name="db", state="offline", via=[B])
    assert paths.admit("b", theirs) == [theirs]
    assert paths.admit("b", Status(host="", name="db", state="offline", via=[A, B])) == []
    # Why it leaves out a hub's hosts is its own matter.
    (told,) = paths.admit("b", Status(host="", name="a", state="live", message="watch each other", via=[B]))
    assert isinstance(told, Status) and told.gone


def test_what_was_left_out_and_is_gone_is_no_longer_named() -> None:
    paths = Paths(A, OWN)
    infos = (HostInfo(id=X, hostname="x", via=[A, B]), HostInfo(id=OWN, via=[A, B]), HostInfo(id=Y, via=[B]))
    paths.admit("b", hello(*infos, hub=B))
    assert paths.refused("b").endswith(f"2 hosts are left out that came from here ({OWN}, x)")
    paths.admit("b", Status(host=X, state="paused", gone=True))
    assert paths.refused("b").endswith(f"1 host is left out that came from here ({OWN})")


def test_a_hub_whose_hosts_are_all_known_another_way_is_said_to_be_there() -> None:
    paths = Paths(A, OWN)
    # It runs on this machine, and was asked before it had anything to tell.
    assert not [each for each in paths.admit("b", hello(hub=B)) if isinstance(each, Status)]
    (note,) = paths.admit("b", HostInfo(id=OWN, via=[B]))
    assert isinstance(note, Status)
    assert (note.name, note.state, note.message) == ("b", "live", "its hosts are known here another way")
