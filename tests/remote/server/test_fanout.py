"""Fan-out without a socket: shared compression, bounded queues, what is sent again."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from remote import wire
from remote.server.fanout import Opening, Reader, View, ViewKey
from remote.server.feed import Feed, TooManyStreams
from remote.server.names import UnknownHost
from remote.server.ring import Item, Ring
from remote.sse import Parser, ServerEvent
from sysmon.frame import Frame, ProcessRow, Tables
from sysmon.records import AlertState, Event, Gap, HostInfo, RunSpan, Status
from tests.remote.support import BOOT, CATALOGUE, HOST, OTHER, RUN, T0, frame, make_feed

pytestmark = pytest.mark.anyio

PLAIN = ViewKey(None, frozenset(), False)
GZIP = ViewKey(None, frozenset(), True)


class Taker:
    """A reader of a feed that takes what is queued, and decodes it."""

    def __init__(self, feed: Feed, key: ViewKey = PLAIN, **more: Any) -> None:
        self.aborted = 0
        self.reader = feed.join(key, abort=self._abort, **more)
        self._inflate = zlib.decompressobj(31) if key.gzip else None
        self._parser = Parser()
        self.bytes = 0

    def _abort(self) -> None:
        self.aborted += 1

    async def take(self) -> list[tuple[str, wire.Incoming | None, str]]:
        """Takes all that is queued."""
        found = []
        while self.reader.size or self.reader._chunks:
            piece = await self.reader.next()
            assert piece is not None
            self.bytes += len(piece)
            data = self._inflate.decompress(piece) if self._inflate else piece
            events = [event for event in self._parser.feed(data) if isinstance(event, ServerEvent)]
            found += [(event.event, wire.decode_event(event), event.id) for event in events]
        return found

    async def seqs(self) -> list[int]:
        """Takes all, and returns the frames' sequence numbers."""
        return [update.seq for _, update, _ in await self.take() if isinstance(update, Frame)]


async def test_readers_of_a_compressed_view_join_at_any_time_and_all_decode() -> None:
    feed = make_feed()
    takers: list[Taker] = []
    for seq in range(1, 40):
        if seq % 7 == 1:
            takers.append(Taker(feed, GZIP))
        feed.publish(frame(seq))
    assert len(feed._views) == 1
    for number, taker in enumerate(takers):
        got = await taker.seqs()
        first = 7 * number + 1
        assert got == ([0] if first > 1 else []) + list(range(first, 40))


async def test_a_frame_is_encoded_once_and_compressed_once_per_view(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = make_feed()
    takers = [Taker(feed, key) for key in (PLAIN, GZIP) for _ in range(5)]
    encoded = []
    original = wire.encode_frame

    def counted(*given: Any) -> bytes:
        encoded.append(given)
        return original(*given)

    monkeypatch.setattr(wire, "encode_frame", counted)
    feed.publish(frame(1))
    assert len(encoded) == 1
    assert len({id(taker.reader._chunks[-1]) for taker in takers}) == 2


async def test_views_see_their_hosts_and_tables() -> None:
    watched: list[frozenset[str]] = []
    feed = Feed(CATALOGUE, watch=watched.append)
    feed.publish(HostInfo(id=HOST))
    feed.publish(HostInfo(id=OTHER))
    everything = Taker(feed, ViewKey(None, frozenset({"processes"}), False))
    one = Taker(feed, ViewKey(frozenset({OTHER}), frozenset(), False))
    assert watched == [frozenset({"processes"})]
    table = Tables(processes=[ProcessRow(pid=1, name="init")])
    feed.publish(frame(1, tables=table))
    feed.publish(frame(1, host=OTHER, tables=table))
    feed.publish(Event(id="e", time=T0, host=HOST, kind="boot"))
    seen = await everything.take()
    assert [update.tables for _, update, _ in seen if isinstance(update, Frame)] == [table, table]
    assert [name for name, _, _ in seen] == ["hello", "frame", "frame", "event"]
    alone = await one.take()
    assert [update.host for _, update, _ in alone if isinstance(update, Frame)] == [OTHER]
    assert all(update.tables == Tables() for _, update, _ in alone if isinstance(update, Frame))
    feed.leave(everything.reader)
    assert watched == [frozenset({"processes"}), frozenset()]
    feed.close()


async def test_a_slow_reader_is_dropped_and_the_other_gets_all() -> None:
    feed = make_feed(queue=20_000)
    slow, quick = Taker(feed), Taker(feed)
    got = []
    for seq in range(1, 200):
        feed.publish(frame(seq))
        got += await quick.seqs()
        assert slow.reader.size <= 20_000
    assert got == list(range(1, 200))
    assert slow.aborted == 1
    assert slow.reader.ended.startswith("too slow")
    assert await slow.reader.next() is None
    assert (feed.readers, feed.dropped) == (1, 1)
    feed.close()


async def test_a_reader_stuck_in_one_write_is_dropped_at_the_next_event() -> None:
    feed = make_feed(stall=0.0)
    taker = Taker(feed)
    assert await taker.reader.next() is not None  # handed to the socket, which does not come back for more
    feed.publish(frame(1))
    assert taker.aborted == 1
    assert "takes nothing" in taker.reader.ended


async def test_an_event_larger_than_the_queue_passes_when_nothing_else_waits() -> None:
    feed = make_feed(queue=2_000)
    taker = Taker(feed, ViewKey(None, frozenset({"processes"}), False))
    await taker.take()
    rows = [ProcessRow(pid=pid, name="x" * 15) for pid in range(1, 500)]
    feed.publish(frame(1, tables=Tables(processes=rows)))
    assert await taker.seqs() == [1]
    assert not taker.reader.ended
    feed.close()


async def test_a_new_reader_gets_the_full_state_at_once() -> None:
    feed = make_feed()
    for seq in range(1, 30):
        readings = {"net.receive:eth0": seq} | ({"temperature:cpu": 40.0} if seq == 5 else {})
        reads = {"network": frame(seq).monotonic} | ({"sensors": frame(seq).monotonic} if seq == 5 else {})
        feed.publish(frame(seq, readings=readings, reads=reads, full=False))
    names = []
    taker = Taker(feed)
    for name, update, id in await taker.take():
        names.append(name)
        if name == "hello":
            assert id == f"{feed.server}-29"
            assert {metric.name for metric in update.metrics} == {"net.receive", "net.receive_rate", "temperature"}  # type: ignore[union-attr]
        if isinstance(update, Frame):
            assert (update.seq, update.full, id) == (0, True, f"{feed.server}-29")
            assert update.readings == {"net.receive:eth0": 29, "temperature:cpu": 40.0}
            assert update.reads["sensors"] == frame(5).monotonic
    assert names == ["hello", "state"]
    feed.close()


async def test_an_opening_that_takes_long_to_compress_comes_before_what_came_meanwhile() -> None:
    feed = make_feed()
    for number in range(200):
        feed.publish(frame(1, host=f"{number:016x}", readings={f"net.receive:eth{n}": n for n in range(20)}))
    takers = [Taker(feed, GZIP) for _ in range(3)]
    gone = Taker(feed, GZIP)
    gone.reader.drop("its connection broke")
    feed.publish(frame(1))
    feed.publish(frame(2))
    for taker in takers:
        found = await taker.take()
        assert [name for name, _, _ in found] == ["hello", *["state"] * 200, "frame", "frame"]
    feed.publish(frame(3))
    assert [await taker.seqs() for taker in takers] == [[3]] * 3
    assert await gone.reader.next() is None
    feed.close()


async def test_the_state_of_a_host_is_encoded_once_a_frame_for_all_who_come(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = make_feed()
    encoded = []
    original = wire.encode_frame

    def counted(*given: Any) -> bytes:
        encoded.append(given[0].seq)
        return original(*given)

    monkeypatch.setattr(wire, "encode_frame", counted)
    feed.publish(frame(1))
    takers = [Taker(feed, key) for key in (PLAIN, GZIP, PLAIN)]
    assert encoded == [1, 0]
    feed.publish(frame(2, readings={"load.1": 2.5}, reads={"load": frame(2).monotonic}, full=False))
    late = Taker(feed, GZIP)
    for taker, load in zip((*takers, late), (0.5, 0.5, 0.5, 2.5), strict=True):
        state = (await taker.take())[1][1]
        assert isinstance(state, Frame) and state.readings["load.1"] == load
    feed.close()


async def test_what_was_missed_is_sent_again_from_the_ring() -> None:
    feed = make_feed()
    for seq in range(1, 11):
        feed.publish(frame(seq))
    taker = Taker(feed, last_id=f"{feed.server}-4")
    found = await taker.take()
    assert [name for name, _, _ in found] == ["hello", "state"] + ["frame"] * 6
    assert [id for _, _, id in found if id][-6:] == [f"{feed.server}-{arrival}" for arrival in range(5, 11)]
    assert found[0][2] == "", "the cursor must not run ahead of what is still to come"
    feed.publish(frame(11))
    assert await taker.seqs() == [11]
    feed.close()


async def test_what_the_ring_no_longer_holds_is_listed_as_gaps() -> None:
    feed = make_feed(ring=4_000)
    for seq in range(1, 301):
        feed.publish(frame(seq))
    feed.publish(frame(7, run="ee" * 8, host=HOST), late=True)
    span = RunSpan(host=HOST, run=RUN, boot=BOOT, first=150, last=290, start=T0, end=T0)
    taker = Taker(feed, last_id=f"{feed.server}-100", spans=[span])
    found = await taker.take()
    gaps = [update for _, update, _ in found if isinstance(update, Gap)]
    assert [(gap.run, gap.first, gap.last, gap.status) for gap in gaps] == [
        (RUN, 61, 149, "lost"),
        (RUN, 150, 290, "pending"),
        (RUN, 291, 300, "pending"),
        ("ee" * 8, 7, 7, "pending"),
    ]
    assert [name for name, _, _ in found] == ["hello", "state", "gap", "gap", "gap", "gap"]
    assert found[-1][2] == f"{feed.server}-301"
    feed.close()


@pytest.mark.parametrize("cursor", ["", "nonsense", "0" * 16 + "-5", "x" * 64, "SERVER-999", "SERVER-10"])
async def test_a_cursor_of_another_server_or_of_the_future_asks_for_nothing(cursor: str) -> None:
    feed = make_feed()
    for seq in range(1, 11):
        feed.publish(frame(seq))
    taker = Taker(feed, last_id=cursor.replace("SERVER", feed.server))
    assert [name for name, _, _ in await taker.take()] == ["hello", "state"]
    feed.close()


async def test_late_frames_are_streamed_but_do_not_touch_the_state() -> None:
    feed = make_feed()
    feed.publish(frame(50))
    taker = Taker(feed)
    await taker.take()
    feed.publish(frame(3, run="ee" * 8, boot="older"), late=True)
    assert await taker.seqs() == [3]
    state = feed.state(HOST)
    assert state is not None
    assert state.get("net.receive:eth0") == 50_000
    feed.close()


async def test_streams_are_limited() -> None:
    feed = make_feed(streams=2)
    takers = [Taker(feed), Taker(feed)]
    with pytest.raises(TooManyStreams, match="2 streams are open"):
        Taker(feed)
    feed.leave(takers[0].reader)
    Taker(feed)
    feed.close()
    with pytest.raises(TooManyStreams):
        Taker(feed)


async def test_memory_stays_bounded_over_a_long_run() -> None:
    feed = make_feed(ring=100_000)
    slow = Taker(feed)
    for seq in range(1, 20_000):
        feed.publish(frame(seq))
    assert feed._ring.size <= 100_000
    assert len(feed._ring._segments) <= 20_000 / 60 + 1
    assert slow.reader.ended
    assert not slow.reader._chunks
    feed.close()


async def test_alerts_of_the_present_come_with_hello() -> None:
    feed = make_feed()
    firing = AlertState(host=HOST, rule="disk", key="fs.used:/", status="firing")
    feed.publish(firing)
    feed.publish(AlertState(host=HOST, rule="load", key="load.1", status="firing"))
    feed.publish(AlertState(host=HOST, rule="load", key="load.1", status="resolved"))
    assert feed.hello().alerts == [firing]


async def test_what_is_about_no_host_does_not_go_out_as_a_status() -> None:
    feed = make_feed()
    taker = Taker(feed)
    feed.publish(Status(host="", state="connecting", target="http://x:8200"))
    feed.publish(Status(host=HOST, state="late", message="a frame is overdue"))
    assert [(name, getattr(update, "host", "")) for name, update, _ in await taker.take()] == [
        ("hello", ""),
        ("status", HOST),
    ]
    again = Taker(feed)
    assert [name for name, _, _ in await again.take()] == ["hello", "status"]
    feed.close()


async def test_hosts_are_found_by_id_name_and_hostname() -> None:
    feed = make_feed()
    feed.publish(HostInfo(id=OTHER, hostname="web", name="Backup"))
    assert feed.find(HOST) == HOST
    assert feed.find("backup") == OTHER
    with pytest.raises(UnknownHost, match=f"is the hostname of 2 hosts; use an id: {HOST}, {OTHER}"):
        feed.find("web")
    with pytest.raises(UnknownHost, match="did you mean 'Backup'"):
        feed.find("Bakup")


def test_ring_gives_nothing_when_more_than_the_limit_was_missed() -> None:
    ring = Ring(10_000)
    for arrival in range(1, 11):
        ring.add(Item(arrival, HOST, b"x" * 100))
    assert len(ring.since(5, lambda _: True, 1000) or []) == 5
    assert ring.since(5, lambda _: True, 499) is None
    assert ring.since(5, lambda _: False, 0) == []


async def test_a_view_forgets_its_window_when_somebody_joins() -> None:
    view = View(GZIP)
    plain = b"event: frame\n" * 50
    readers = []
    for _ in range(3):
        reader = Reader(GZIP, limit=10**6, stall=9, abort=lambda: None)
        view.join(reader, Opening(b"hello\n"))
        readers.append(reader)
        view.send(plain)
    for number, reader in enumerate(readers):
        inflate = zlib.decompressobj(31)
        text = b""
        while reader._chunks:
            text += inflate.decompress(await reader.next() or b"")
        assert text == b"hello\n" + plain * (3 - number)
