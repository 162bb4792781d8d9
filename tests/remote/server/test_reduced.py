"""Views that want less: frames at longer intervals, some collectors only."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from remote.server.feed import Feed
from sysmon.derive import State
from sysmon.frame import Frame, ProcessRow, Tables
from sysmon.records import Event, HostInfo
from tests.remote.peers import raw
from tests.remote.server.test_fanout import GZIP, PLAIN, Taker
from tests.remote.server.test_server import events, get
from tests.remote.support import CATALOGUE, HOST, OTHER, T0, frame, make_feed, served

if TYPE_CHECKING:
    from remote.server.fanout import ViewKey

pytestmark = pytest.mark.anyio


def every(interval: int, **more: Any) -> ViewKey:
    """A view with an interval."""
    return PLAIN._replace(interval=interval, **more)


async def frames(taker: Taker) -> list[Frame]:
    """The frames that came, states left out."""
    return [update for _, update, _ in await taker.take() if isinstance(update, Frame) and update.seq]


def world(count: int, seed: int = 1) -> list[Frame]:
    """Sparse frames: a counter every tick, a gauge now and then, instances that come and go, full ones each minute."""
    rng = random.Random(seed)
    found = []
    for seq in range(1, count + 1):
        at = frame(seq).monotonic
        readings: dict[str, int | float] = {
            f"net.receive:eth{n}": 1000 * seq + n for n in range(3) if n == 0 or (seq // 17 + n) % 3
        }
        reads = {"network": at}
        if rng.random() < 0.2 or seq == 1:
            readings["load.1"] = round(rng.random(), 2)
            reads["load"] = at
        intervals = {"network": 1.0, "load": 20.0}
        found.append(frame(seq, readings=readings, reads=reads, full=seq == 1, intervals=intervals if seq == 1 else {}))
    return found


@pytest.mark.parametrize("interval", [2, 10, 45])
async def test_a_reader_of_few_frames_knows_what_one_of_all_knows(interval: int) -> None:
    feed = make_feed()
    key = every(interval)
    takers = [Taker(feed, key)]
    everything = State(CATALOGUE)
    reader = State(CATALOGUE)
    seqs = []
    for each in world(200):
        feed.publish(each)
        everything.apply(each)
        if each.seq == 60:
            takers.append(Taker(feed, key))
        for got in await frames(takers[0]):
            seqs.append(got.seq)
            assert got.identity == each.identity
            reader.apply(got)
            assert reader.readings == everything.readings
            assert {name: reader.reads[name] for name in reader.reads if not reader.stale(name)} == {
                name: at for name, at in everything.reads.items() if not everything.stale(name)
            }
    assert seqs == list(range(1, 201, interval))
    assert [got.seq for got in await frames(takers[1])] == [seq for seq in seqs if seq > 60]
    rate = reader.derived()["net.receive_rate:eth0"]
    assert rate == 1000.0, "a counter's growth over the longer interval is exact"
    feed.close()


async def test_a_frame_that_leaves_nothing_out_is_sent_as_it_is() -> None:
    feed = make_feed()
    taker, plain = Taker(feed, every(1)), Taker(feed)
    for each in world(20):
        feed.publish(each)
    assert await frames(taker) == await frames(plain)
    feed.close()


async def test_hosts_keep_their_own_pace_and_a_reboot_is_told_at_once() -> None:
    feed = make_feed()
    feed.publish(HostInfo(id=OTHER))
    taker = Taker(feed, every(10))
    for seq in range(1, 13):
        feed.publish(frame(seq))
        if seq > 5:
            feed.publish(frame(seq, host=OTHER))
    feed.publish(frame(1, run="ee" * 8, boot="another", start=T0 + 13_000))
    got = [(each.host == HOST, each.run[:2], each.seq) for each in await frames(taker)]
    assert got == [(True, "00", 1), (False, "00", 6), (True, "00", 11), (True, "ee", 1)]
    feed.close()


async def test_it_is_encoded_once_for_all_views_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from remote import wire

    feed = make_feed()
    takers = [Taker(feed, key._replace(interval=4)) for key in (PLAIN, GZIP) for _ in range(3)]
    encoded = []
    original = wire.encode_frame

    def counted(*given: Any) -> bytes:
        encoded.append(given[0].seq)
        return original(*given)

    monkeypatch.setattr(wire, "encode_frame", counted)
    for each in world(9):
        feed.publish(each)
    # Once each for the ring, and once more, folded, where something was left out before.
    assert sorted(encoded) == sorted([*range(1, 10), 5, 9])
    assert [[each.seq for each in await frames(taker)] for taker in takers] == [[1, 5, 9]] * 6
    feed.close()


async def test_late_frames_and_missed_ones_are_left_to_the_reader_but_events_are_not() -> None:
    feed = make_feed()
    for seq in range(1, 11):
        feed.publish(frame(seq))
    feed.publish(Event(id="e", time=T0, host=HOST, kind="boot"))
    taker = Taker(feed, every(5), last_id=f"{feed.server}-4")
    assert [name for name, _, _ in await taker.take()] == ["hello", "state", "event"]
    feed.publish(frame(3, run="ee" * 8, boot="older"), late=True)
    feed.publish(frame(11))
    assert [each.seq for each in await frames(taker)] == [11]
    feed.close()


async def test_a_view_of_some_collectors_has_their_readings_and_every_seq() -> None:
    feed = make_feed()
    taker = Taker(feed, PLAIN._replace(collectors=frozenset({"load"}), tables=frozenset({"processes"})))
    table = Tables(processes=[ProcessRow(pid=1)])
    sent = world(30)
    for each in sent:
        feed.publish(msgspec.structs.replace(each, tables=table))
    got = await frames(taker)
    assert [each.seq for each in got] == list(range(1, 31))
    for each, whole in zip(got, sent, strict=True):
        assert each.readings == {key: value for key, value in whole.readings.items() if key == "load.1"}
        assert each.reads.keys() == whole.reads.keys() & {"load"}
        assert each.tables == table
    late = Taker(feed, PLAIN._replace(collectors=frozenset({"load"})), last_id=f"{feed.server}-20")
    seen = await late.take()
    state = seen[1][1]
    assert isinstance(state, Frame) and set(state.readings) == {"load.1"}
    assert [name for name, _, _ in seen] == ["hello", "state", "gap"], "what the ring holds is whole"
    feed.close()


async def test_what_is_asked_for_over_http() -> None:
    feed = make_feed()
    feed.publish(frame(1))
    async with served(feed) as server, raw(server.port) as connection:
        for path, words in (
            ("/v1/stream?interval=0", "interval '0' is not a whole number from 1 to 900"),
            ("/v1/stream?interval=901", "interval '901' is not a whole number from 1 to 900"),
            ("/v1/stream?collectors=netwrk", "collectors: 'netwrk' is not a collector"),
        ):
            status, answer, _ = await get(server.port, path)
            assert (status, answer["error"]) == (400, words)
        assert answer["hint"] == "did you mean 'network'?"
        status, _ = await connection.ask("/v1/stream?interval=5&collectors=network,elsewhere")
        assert status == 200
        for seq in range(2, 8):
            feed.publish(frame(seq))
        from remote.sse import Parser

        found = await events(connection, Parser(), 4)
        shown = [(each.event, json.loads(each.data).get("seq")) for each in found]
        assert shown[:3] == [("hello", None), ("state", 0), ("frame", 2)]
        assert json.loads(found[3].data)["readings"] == {"net.receive:eth0": 7000}


async def test_a_hub_puts_itself_behind_the_way_of_its_hosts() -> None:
    feed = Feed(CATALOGUE, hub="b" * 16)
    feed.publish(HostInfo(id=HOST))
    feed.publish(HostInfo(id=OTHER, via=["c" * 16]))
    hello = feed.hello()
    assert hello.hub == "b" * 16
    assert {info.id: info.via for info in hello.hosts} == {HOST: ["b" * 16], OTHER: ["c" * 16, "b" * 16]}
    assert make_feed().hello().hub == ""
