"""A Netronome agent watched as a host: its stream with all its faults, its hardware, its key."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.registry import catalogue
from remote.foreign import netronome
from remote.foreign.netronome import NetronomeSource
from remote.foreign.netronomejson import (
    Hardware,
    Live,
    System,
    clock_of,
    decode,
    hardware_readings,
    info_of,
    interface_rows,
)
from remote.target import Credentials, parse_target
from sysmon.clock import SystemClock
from sysmon.derive import State
from sysmon.errors import MalformedInput
from sysmon.frame import Frame, InterfaceRow, Tables
from sysmon.records import Hello, HostInfo, Status
from tests.remote.foreign.test_netronomeroutes import frame, make, traffic
from tests.remote.peers import QUICK, peer, watching
from tests.remote.support import Served, served

CATALOGUE = catalogue("linux")
LIVE = (Path(__file__).parents[2] / "fixtures" / "vnstat" / "live.ndjson").read_text().splitlines()
HEADING = '{"index":0,"seconds":0,"rx":{"totalbytes":0},"tx":{"totalbytes":0}}'
SYSTEM = {
    "hostname": "seedbox",
    "kernel": "Linux 6.1.0-13-amd64",
    "uptime": 86400,
    "interfaces": {
        "eth1": {"name": "eth1", "ip_address": "10.1.2.3", "link_speed": 1000, "is_up": True, "bytes_total": 5},
        "docker0": {"name": "docker0", "ip_address": "", "link_speed": -1, "is_up": True, "bytes_total": 0},
    },
    "vnstat_version": "vnStat 2.10",
    "updated_at": "2026-11-21T14:27:07.123456789+01:00",
}
HARDWARE = {
    "cpu": {
        "usage_percent": 37.5,
        "cores": 4,
        "threads": 8,
        "model": "Ryzen",
        "frequency": 3600.0,
        "load_avg": [1.0, 0.5, 0.25],
    },
    "memory": {
        "total": 16000,
        "used": 5000,
        "free": 1000,
        "available": 9000,
        "used_percent": 31.2,
        "cached": 7000,
        "buffers": 300,
        "zfs_arc": 0,
        "swap_total": 100,
        "swap_used": 40,
        "swap_percent": 40.0,
    },
    "disks": [{"path": "/", "device": "/dev/sda1", "fstype": "ext4", "total": 100, "used": 40, "free": 55}],
    "temperature": [
        {"sensor_key": "k10temp", "temperature": 51.2, "label": "Tctl"},
        {"sensor_key": "broken", "temperature": -40.0},
    ],
    "updated_at": "2026-11-21T13:27:07Z",
}


def line(index: int, received: int, sent: int, *, seconds: int | None = None) -> str:
    """A live line as vnstat writes it."""
    both = {
        name: {
            "ratestring": "",
            "bytespersecond": 0,
            "packetspersecond": 0,
            "bytes": 0,
            "packets": 0,
            "totalbytes": total,
            "totalpackets": total // 100,
        }
        for name, total in (("rx", received), ("tx", sent))
    }
    return json.dumps({"index": index, "seconds": 2 * index if seconds is None else seconds, **both})


class Agent:
    """A peer that answers as their agent does: gin's events without a space, no ids, no heartbeats."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[str | None] = asyncio.Queue()
        self.system: Any = SYSTEM
        self.hardware: Any = HARDWARE
        self.requests: list[str] = []
        self.key = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Reads requests and answers them."""
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(head)
            path = head.split()[1]
            if self.key and f"x-api-key: {self.key}\r\n" not in head.lower():
                body = b'{"error":"Unauthorized"}'
                writer.write(self._head(401, len(body)) + body)
            elif path == "/events?stream=live-data":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream;charset=utf-8\r\n\r\n")
                while (text := await self.lines.get()) is not None:
                    writer.write(f"event:message\ndata:{text}\n\n".encode())
                    await writer.drain()
                return
            else:
                found = {"/system/info": self.system, "/system/hardware": self.hardware}.get(path)
                body = found if isinstance(found, bytes) else json.dumps(found).encode()
                writer.write(self._head(404 if found is None else 200, len(body)) + body)
            await writer.drain()

    def _head(self, status: int, size: int) -> bytes:
        return (
            f"HTTP/1.1 {status} X\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {size}\r\n\r\n"
        ).encode()


class Listening:
    """The agent on a port of its own."""

    def __init__(self) -> None:
        self.agent = Agent()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Listening:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                await self.agent.serve(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                writer.transport.abort()

        self._server = await asyncio.start_server(handle, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        """Where it is."""
        assert self._server is not None
        return f"netronome+http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"


def source_of(url: str, **more: Any) -> NetronomeSource:
    """A source with the patience of a test, that takes every line."""
    source = NetronomeSource(url, catalogue=CATALOGUE, patience=QUICK, **more)
    source.interval = 0.0
    return source


def readings(frames: list[Frame]) -> list[dict[str, Any]]:
    """The traffic in each frame."""
    return [{key: value for key, value in each.readings.items() if key.startswith("net.")} for each in frames]


@pytest.mark.anyio
async def test_traffic_and_hardware_become_a_host() -> None:
    async with Listening() as there:
        source = source_of(there.url, name="box")
        async with watching(source) as watcher:  # type: ignore[arg-type]
            there.agent.lines.put_nowait(HEADING)
            for text in LIVE:
                there.agent.lines.put_nowait(text)
            await watcher.until(lambda: len(watcher.frames) == 3)
            for index in range(4, 9):
                there.agent.lines.put_nowait(line(index, 7920 + index, 6007920))
                await watcher.until(lambda index=index: len(watcher.frames) == index)  # type: ignore[misc]
    (hello,) = watcher.of(Hello)
    assert [metric.name for metric in hello.metrics] == ["netronome.cpu.utilization"]
    info = watcher.of(HostInfo)[-1]
    assert (info.hostname, info.name, info.kernel, info.cpu_model) == ("seedbox", "box", "6.1.0-13-amd64", "Ryzen")
    frames: list[Frame] = watcher.of(Frame)
    assert frames[0].full
    assert frames[2].readings["net.receive:eth1"] == 7920
    assert frames[2].readings["net.transmit.packets:eth1"] == 120
    assert frames[2].readings["net.link_speed:eth1"] == 125_000_000
    assert watcher.seen.index(hello) < watcher.seen.index(frames[0])
    state = State(source.catalogue)
    for each in frames:
        state.apply(each)
    assert state.readings["netronome.cpu.utilization"] == 0.375
    assert state.readings["memory.used"] == 7000
    assert state.readings["fs.used:/"] == 40
    assert state.derived()["fs.utilization:/"] == pytest.approx(40 / 95)
    assert state.readings["temperature:k10temp/Tctl"] == 51.2
    assert "temperature:broken" not in state.readings
    assert state.get("net.receive_rate:eth1") is not None
    assert source.skew is not None
    assert not any("apikey" in request or "x-api-key" in request.lower() for request in there.agent.requests)


@pytest.mark.anyio
async def test_a_silent_stream_is_found_out() -> None:
    async with Listening() as there, watching(source_of(there.url)) as watcher:  # type: ignore[arg-type]
        there.agent.lines.put_nowait(line(1, 10, 10))
        await watcher.until(lambda: watcher.frames)
        # HTTP 200, an open connection, and not a word more; headings alone are no traffic either.
        there.agent.lines.put_nowait(HEADING)
        await watcher.until(lambda: any(each.state in ("late", "stale") for each in watcher.of(Status)))
        await watcher.until(lambda: watcher.of(Status)[-1].state == "offline", 10)
        assert "has sent no traffic for 1 s" in watcher.of(Status)[-1].message


@pytest.mark.anyio
async def test_a_vnstat_that_began_anew_gives_no_rate_over_both() -> None:
    async with Listening() as there, watching(source_of(there.url)) as watcher:  # type: ignore[arg-type]
        for text in (line(5, 1000, 90_000), line(6, 2000, 91_000), line(1, 3000, 500), line(2, 4000, 600)):
            there.agent.lines.put_nowait(text)
        await watcher.until(lambda: len(watcher.frames) == 4)
    frames: list[Frame] = watcher.of(Frame)
    assert [each.readings.get("net.receive:eth1") for each in frames] == [1000, 2000, None, 4000]
    assert [each.readings.get("net.transmit:eth1") for each in frames] == [90_000, 91_000, 500, 600]
    assert len({each.boot for each in frames}) == 1


@pytest.mark.anyio
async def test_a_host_that_booted_is_a_new_boot() -> None:
    async with Listening() as there, watching(source_of(there.url)) as watcher:  # type: ignore[arg-type]
        there.agent.lines.put_nowait(line(9, 1000, 1000))
        await watcher.until(lambda: watcher.frames)
        there.agent.system = {**SYSTEM, "uptime": 20}
        there.agent.lines.put_nowait(None)
        there.agent.lines.put_nowait(line(1, 1, 1))
        await watcher.until(lambda: len(watcher.frames) == 2)
    first, second = watcher.of(Frame)
    assert first.boot != second.boot
    assert second.full
    assert 20 * 10**9 <= second.monotonic < 25 * 10**9


@pytest.mark.anyio
async def test_the_key_goes_in_a_header_and_nowhere_else(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("s3cr3t-s3cr3t\n")
    key.chmod(0o600)
    async with Listening() as there:
        there.agent.key = "s3cr3t-s3cr3t"
        there.agent.lines.put_nowait(line(1, 10, 10))
        target = parse_target(there.url, Credentials(token_file=str(key)))
        async with watching(source_of(target)) as watcher:  # type: ignore[arg-type]
            await watcher.until(lambda: watcher.frames)
        assert there.agent.requests
        for request in there.agent.requests:
            assert "x-api-key: s3cr3t-s3cr3t" in request.lower()
            assert "s3cr3t" not in request.splitlines()[0]
            assert "authorization" not in request.lower()
        there.agent.key = "another-one"
        async with watching(source_of(target)) as watcher:  # type: ignore[arg-type]
            await watcher.until(lambda: any(each.state == "offline" for each in watcher.of(Status)))
            assert "s3cr3t" not in repr(watcher.seen)


@pytest.mark.anyio
async def test_without_its_hardware_there_is_still_traffic() -> None:
    async with Listening() as there, watching(source_of(there.url)) as watcher:  # type: ignore[arg-type]
        there.agent.hardware = b'{"cpu": 5}'
        there.agent.system = None
        index = 0
        while not any(len(each.faults) == 2 for each in watcher.of(Frame)):
            index += 1
            there.agent.lines.put_nowait(line(index, index * 10, 10))
            await watcher.until(lambda index=index: len(watcher.frames) == index)  # type: ignore[misc]
    frames: list[Frame] = watcher.of(Frame)
    assert frames[0].readings["net.receive:vnstat"] == 10
    faults = {fault.collector: fault.message for fault in frames[-1].faults}
    assert "Expected `object | null`, got `int` - at `$.cpu`" in faults["netronome"]
    assert "network" in faults


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("nonsense", "/events: "),
        ('{"index":1,"seconds":"x"}', "Expected `int`, got `str`"),
        ("x" * (netronome.MAX_LINE + 10), "longer than"),
        ("[" * 1000, "/events: "),
    ],
)
async def test_streams_that_cannot_be_used(event: str, words: str) -> None:
    async with Listening() as there, watching(source_of(there.url)) as watcher:  # type: ignore[arg-type]
        there.agent.lines.put_nowait(event)
        await watcher.until(lambda: any(words in each.message for each in watcher.of(Status)))
        assert watcher.source.faults >= 1


@pytest.mark.anyio
async def test_events_that_are_never_traffic_are_another_program() -> None:
    async with Listening() as there, watching(source_of(there.url)) as watcher:  # type: ignore[arg-type]
        for _ in range(netronome.MAX_HEADINGS + 1):
            there.agent.lines.put_nowait("{}")
        await watcher.until(lambda: any("is that a Netronome agent?" in each.message for each in watcher.of(Status)))


@pytest.mark.anyio
async def test_something_else_at_that_port() -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>")
        await writer.drain()

    async with peer(web) as url, watching(source_of(f"netronome+{url}")) as watcher:  # type: ignore[arg-type]
        await watcher.until(lambda: any("text/html" in each.message for each in watcher.of(Status)))


@pytest.mark.anyio
async def test_ours_is_read_as_theirs_is() -> None:
    feed, routes = make()
    tables = Tables(interfaces=[InterfaceRow(name="eth0", kind="ethernet", up=True, default_route=True)])
    feed.publish(frame(1, traffic(1), tables=tables))
    live = routes._live

    def go_on(server: Served, seq: int) -> None:
        feed.publish(frame(seq, traffic(seq)))
        live.tick()

    async with served(feed, routes=routes.routes()) as server:
        source = source_of(f"netronome+{server.url}")
        async with watching(source) as watcher:  # type: ignore[arg-type]
            await watcher.until(lambda: live.readers)
            for seq in (3, 5, 7):
                go_on(server, seq)
                await watcher.until(lambda seq=seq: len(watcher.frames) == seq // 2)  # type: ignore[misc]
    last: Frame = watcher.of(Frame)[-1]
    assert last.readings["net.receive:eth0"] == 6000
    assert last.readings["net.transmit.packets:eth0"] == 120
    assert watcher.of(HostInfo)[0].hostname == "web"


# What they say, decoded


def test_numbers_that_no_host_can_tell_are_missing() -> None:
    told = msgspec.convert(
        {
            "cpu": {"usage_percent": 1e300, "threads": -3, "load_avg": [-1.0, 2.0]},
            "memory": {"total": 10**30, "free": 5},
            "disks": [{"path": "/x", "total": -5}, {"path": "/y\x1b[2J", "total": 10, "used": -1, "free": 3}],
        },
        Hardware,
    )
    assert hardware_readings(told) == {
        "load.5": 2.0,
        "memory.free": 5,
        "fs.size:/y%1B[2J": 10,
        "fs.available:/y%1B[2J": 3,
    }


def test_names_are_made_harmless() -> None:
    system = msgspec.convert({"hostname": "a\x1b[31m\u202eb", "interfaces": {"e\n": {}, "": {}}}, System)
    assert info_of(system, None).hostname.isprintable()
    assert [row.name for row in interface_rows(system) or []] == ["e%0A"]


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("2026-11-21T14:27:07.123456789+01:00", 1795267627123),
        ("2026-11-21T13:27:07Z", 1795267627000),
        ("2026-11-21T13:27:07", None),
        ("0001-01-01T00:00:00Z", None),
        ("soon", None),
        ("", None),
    ],
)
def test_times_as_go_writes_them(text: str, clock: int | None) -> None:
    assert clock_of(text) == clock


@given(st.binary(max_size=200), st.sampled_from([Live, System, Hardware]))
def test_whatever_is_said_is_decoded_or_refused(data: bytes, kind: type) -> None:
    try:
        told: object = decode(data, kind, "x")
    except MalformedInput as error:
        assert error.message.startswith("x: ")
        return
    if isinstance(told, Hardware):
        hardware_readings(told)


def test_a_source_asks_no_faster_than_they_tell() -> None:
    source = NetronomeSource("netronome+http://127.0.0.1:1", catalogue=CATALOGUE, interval=1.0, clock=SystemClock())
    assert source.interval == netronome.PACE
    assert NetronomeSource("netronome+http://127.0.0.1:1", catalogue=CATALOGUE, interval=30.0).interval == 30.0
