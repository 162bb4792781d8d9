"""What a Netronome server asks its agents, asked of ours: shapes field by field, exact counts, bounded readers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from collectors.registry import catalogue
from remote.foreign.netronomeroutes import NetronomeRoutes
from remote.foreign.vnstatexport import interfaces_from, moment
from remote.foreign.vnstatlive import Counted, LiveLines, interfaces_of, rate_string
from remote.server.feed import Feed, Limits
from sysmon.clock import SystemClock
from sysmon.derive import State
from sysmon.frame import DiskRow, FilesystemRow, Frame, InterfaceRow, Number, Tables
from sysmon.records import HostInfo, Usage
from sysmon.zones import zone_of
from tests.remote.foreign.test_openmetrics import get
from tests.remote.peers import raw
from tests.remote.support import BOOT, HOST, RUN, T0, MemoryHistory, served

FIXTURES = Path(__file__).parents[2] / "fixtures" / "vnstat"
CATALOGUE = catalogue("linux")
SECOND = 10**9


def frame(seq: int, readings: dict[str, Number], *, boot: str = BOOT, tables: Tables | None = None) -> Frame:
    """Frame `seq` of one a second, all in full."""
    at = (1000 + seq) * SECOND
    names = dict.fromkeys(("network", "memory", "cpu", "filesystems", "sensors", "load", "frequency"), at)
    return Frame(
        host=HOST,
        boot=boot,
        run=RUN,
        seq=seq,
        time=T0 + seq * 1000,
        monotonic=at,
        readings=readings,
        reads=names,
        full=True,
        intervals=dict.fromkeys(names, 1.0),
        tables=tables or Tables(),
    )


def traffic(seq: int, step: int = 1000) -> dict[str, Number]:
    """Counters that grow by `step` bytes and 10 packets a second."""
    return {
        "net.receive:eth0": seq * step,
        "net.receive.packets:eth0": seq * 10,
        "net.transmit:eth0": 2 * seq * step,
        "net.transmit.packets:eth0": seq * 20,
        "net.receive:lo": 5,
        "net.transmit:lo": 5,
    }


ROUTED = Tables(
    interfaces=[
        InterfaceRow(
            name="eth0", kind="ethernet", up=True, default_route=True, speed=125_000_000, addresses=["10.0.0.2"]
        ),
        InterfaceRow(name="lo", kind="loopback", up=True),
        InterfaceRow(name="br0", kind="bridge", up=False),
    ]
)


def make(history: MemoryHistory | None = None, **limits: Any) -> tuple[Feed, NetronomeRoutes]:
    """A feed with one host, and the routes that speak of it."""
    feed = Feed(CATALOGUE, version="1.2.3", limits=Limits(**limits))
    feed.publish(HostInfo(id=HOST, hostname="web", kernel="6.1.0", cpu_model="EPYC", cpus=8, timezone="+05:30"))
    return feed, NetronomeRoutes(feed, history, SystemClock(), lambda: HOST)


def shape(value: Any) -> Any:
    """The names and kinds of a JSON value."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) else type(value).__name__


# Lines


def test_rates_in_the_words_of_vnstat() -> None:
    words = {
        0: "0 bit/s",
        40.4: "323 bit/s",
        1320: "10.56 kbit/s",
        1001320: "8.01 Mbit/s",
        125_000_000: "1.00 Gbit/s",
        1.25e12: "10.00 Tbit/s",
        1.25e17: "1000000.00 Tbit/s",
    }
    assert {rate: rate_string(rate) for rate in words} == words


def test_lines_have_the_fields_of_vnstat_and_count_exactly() -> None:
    real = [json.loads(line) for line in (FIXTURES / "live.ndjson").read_text().splitlines()]
    lines = LiveLines()
    made = []
    for seq in range(0, 8, 2):
        at = {"eth0": (seq * 1320, seq * 20, seq * 1001320, seq * 20)}
        line = lines.line(Counted(seq * SECOND, "b", at), seq)  # type: ignore[arg-type]
        if line is not None:
            made.append(line)
    # vnstat's own output for the same traffic, its heading and its summary left out.
    assert made == real[1:4]
    assert list(made[0]) == list(real[1])
    assert list(made[0]["rx"]) == list(real[1]["rx"])
    assert lines.peaks == [(1320, 2), (1001320, 2)]


def counted(at: float, *values: int, boot: str = "b") -> Counted:
    """Counters of one interface."""
    return Counted(int(at * SECOND), boot, {"eth0": values})  # type: ignore[dict-item]


def test_lines_over_resets_gaps_and_boots() -> None:
    lines = LiveLines()
    assert lines.line(None, 0) is None
    assert lines.line(counted(0, 1000, 10, 0, 0), 0) is None
    assert lines.line(counted(0, 1000, 10, 0, 0), 0) is None, "nothing new was read"
    fell = lines.line(counted(2, 300, 3, 0, 0), 0)
    assert fell is not None
    assert fell["rx"]["bytes"] == 300
    assert lines.line(counted(100, 900, 9, 0, 0), 0) is None, "a minute of silence is no rate of now"
    assert lines.line(counted(1, 5, 0, 0, 0, boot="c"), 0) is None
    after = lines.line(counted(3, 25, 0, 0, 0, boot="c"), 0)
    assert after is not None
    assert (after["index"], after["rx"]["bytes"], after["rx"]["totalbytes"]) == (2, 20, 320)
    new = lines.line(Counted(5 * SECOND, "c", {"eth0": (25, 0, 0, 0), "wg0": (10**9, 0, 0, 0)}), 0)
    assert new is not None
    assert new["rx"]["bytes"] == 0, "what was first seen now has not grown"


def test_which_interfaces_stand_for_the_traffic() -> None:
    state = State(CATALOGUE)
    readings: dict[str, Number] = {
        f"net.{way}:{name}": 1 for way in ("receive", "transmit") for name in ("lo", "eth0", "eth1", "br0", "wg0")
    }
    state.apply(frame(1, readings))
    assert interfaces_of(state) == ["br0", "eth0", "eth1", "wg0"]
    rows = [
        InterfaceRow(name="eth0", kind="ethernet", up=True),
        InterfaceRow(name="eth1", kind="ethernet", up=False),
        InterfaceRow(name="wg0", kind="wireguard", up=True),
    ]
    state.apply(frame(2, readings, tables=Tables(interfaces=rows)))
    assert interfaces_of(state) == ["eth0"]
    rows[2] = InterfaceRow(name="wg0", kind="wireguard", up=True, default_route=True)
    state.apply(frame(3, readings, tables=Tables(interfaces=rows)))
    assert interfaces_of(state) == ["wg0"]
    assert interfaces_of(state, "eth*") == ["eth0", "eth1"]
    assert interfaces_of(state, "none*") == []


# Totals


def test_totals_have_the_shape_of_vnstat() -> None:
    real = json.loads((FIXTURES / "all.json").read_text())
    zone = zone_of("+02:00")
    hour, day = 3_600_000, 86_400_000
    begin = 1_795_212_000_000
    usage = [
        ("hour", [Usage(host=HOST, key="net.receive:eth0", start=begin, end=begin + hour, bytes=7)]),
        ("day", [Usage(host=HOST, key="net.transmit:eth0", start=begin, end=begin + day, bytes=9)]),
        (
            "month",
            [
                Usage(host=HOST, key="net.receive:eth0", start=begin, end=begin + 30 * day, bytes=2**53 + 1),
                Usage(host=HOST, key="net.transmit:eth0", start=begin, end=begin + 30 * day, bytes=9),
            ],
        ),
    ]
    answer = interfaces_from(usage)["eth0"].answer(zone, begin + hour, begin)
    theirs = shape(real["interfaces"][0])
    ours = shape(answer)
    assert ours.keys() == theirs.keys()
    for step in ("hour", "day", "month", "year", "top"):
        assert ours["traffic"][step] == theirs["traffic"][step], step
    assert answer["traffic"]["total"] == {"rx": 2**53 + 1, "tx": 9}
    local = moment(begin, zone)
    assert answer["traffic"]["hour"][0]["time"] == {"hour": local.hour, "minute": 0}
    assert answer["traffic"]["hour"][0]["timestamp"] == begin // 1000
    assert answer["traffic"]["year"] == [
        {"id": local.year, "date": {"year": local.year}, "timestamp": 1767218400, "rx": 2**53 + 1, "tx": 9}
    ]


@pytest.mark.parametrize("name", ["", "Nowhere/Land", "../../etc/passwd", "+99:99x", "-", "+25:00"])
def test_a_zone_that_is_none_is_utc(name: str) -> None:
    assert moment(0, zone_of(name)).utcoffset().total_seconds() == 0  # type: ignore[union-attr]


# Over HTTP


@pytest.mark.anyio
async def test_what_a_server_of_theirs_asks() -> None:
    feed, routes = make()
    readings = traffic(1) | {
        "memory.total": 1000,
        "memory.used": 250,
        "cpu.cores": 8,
        "load.1": 0.5,
        "load.5": 0.4,
        "load.15": 0.3,
        "cpu.frequency:0": 2_000_000_000,
        "cpu.frequency:1": 3_000_000_000,
        "fs.size:/": 100,
        "fs.used:/": 40,
        "fs.free:/": 60,
        "fs.available:/": 50,
        "temperature:coretemp/Core 0": 48.5,
        "temperature.critical:coretemp/Core 0": 100.0,
    }
    tables = Tables(
        interfaces=ROUTED.interfaces,
        filesystems=[FilesystemRow(mount="/", device="/dev/sda1", type="ext4", disk="sda")],
        disks=[DiskRow(name="sda", model="SSD 870")],
    )
    feed.publish(frame(1, readings, tables=tables))
    async with served(feed, routes=routes.routes()) as server:

        async def ask(path: str) -> Any:
            status, _, body = await get(server.port, path)
            assert status == 200, body
            return json.loads(body)

        root = await ask("/")
        assert {"live", "system", "hardware", "peaks", "historical"} == root["endpoints"].keys()
        assert (await ask("/netronome/info"))["type"] == "netronome-agent"

        info = await ask("/system/info")
        assert (info["hostname"], info["kernel"], info["uptime"]) == ("web", "Linux 6.1.0", 1001)
        assert info["updated_at"].endswith("+05:30")
        assert info["interfaces"] == {
            "eth0": {
                "name": "eth0",
                "alias": "",
                "ip_address": "10.0.0.2",
                "link_speed": 1000,
                "is_up": True,
                "bytes_total": 3000,
            }
        }

        hardware = await ask("/system/hardware")
        assert hardware["cpu"] == {
            "cores": 8,
            "threads": 8,
            "model": "EPYC",
            "frequency": 2500.0,
            "load_avg": [0.5, 0.4, 0.3],
        }
        assert hardware["memory"] == {"total": 1000, "used": 250, "used_percent": 25.0}
        assert hardware["disks"] == [
            {
                "path": "/",
                "device": "/dev/sda1",
                "fstype": "ext4",
                "total": 100,
                "used": 40,
                "free": 50,
                "used_percent": 44.44,
                "model": "SSD 870",
            }
        ]
        assert hardware["temperature"] == [
            {"sensor_key": "coretemp/Core 0", "temperature": 48.5, "label": "Core 0", "critical": 100.0}
        ]

        peaks = await ask("/stats/peaks")
        assert (peaks["peak_rx"], peaks["peak_rx_string"], peaks["peak_rx_timestamp"]) == (
            0,
            "0 B/s",
            "0001-01-01T00:00:00Z",
        )
        totals = await ask("/export/historical")
        assert totals["timezone_offset"] == 19800
        assert totals["interfaces"][0]["traffic"]["total"] == {"rx": 1000, "tx": 2000}
        assert (await get(server.port, "/export/historical?interface=wlan9"))[0] == 400
        assert (await get(server.port, "/events?stream=other"))[0] == 400
        assert (await get(server.port, "/tailscale/status"))[0] == 404


@pytest.mark.anyio
async def test_totals_and_peaks_come_from_the_history() -> None:
    feed, routes = make(MemoryHistory())
    feed.publish(frame(1, traffic(1), tables=ROUTED))
    async with served(feed, routes=routes.routes()) as server:
        totals = json.loads((await get(server.port, "/export/historical?interface=eth0"))[2])
        assert totals["interfaces"][0]["traffic"]["total"] == {"rx": 2**40, "tx": 2**40}
        assert len(totals["interfaces"][0]["traffic"]["day"]) == 1
        peaks = json.loads((await get(server.port, "/stats/peaks"))[2])
        assert (peaks["peak_rx"], peaks["peak_rx_string"]) == (3, "3.00 B/s")
        info = json.loads((await get(server.port, "/system/info"))[2])
        assert info["interfaces"]["eth0"]["bytes_total"] == 2**41


@pytest.mark.anyio
async def test_before_the_first_frame_there_is_nothing() -> None:
    feed, routes = make()
    async with served(feed, routes=routes.routes()) as server:
        assert (await get(server.port, "/system/info"))[0] == 503
        assert (await get(server.port, "/netronome/info"))[0] == 200


@pytest.mark.anyio
async def test_the_stream_is_written_as_theirs_is() -> None:
    feed, routes = make()
    feed.publish(frame(1, traffic(1), tables=ROUTED))
    live = routes._live
    async with served(feed, routes=routes.routes()) as server, raw(server.port) as connection:
        status, headers = await connection.ask("/events?stream=live-data")
        assert (status, headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
        feed.publish(frame(3, traffic(3)))
        live.tick()
        feed.publish(frame(5, traffic(5)))
        live.tick()
        text = b""
        while text.count(b"\n\n") < 2:
            text += await connection.chunk()
        first, second, _ = text.decode().split("\n\n")
        assert re.fullmatch(r"event:message\ndata:\{.*\}", first)
        line = json.loads(second.partition("data:")[2])
        assert line["index"] == 2
        assert line["rx"]["bytespersecond"] == 1000
        assert line["tx"]["totalbytes"] == 8000
        assert line["tx"]["packetspersecond"] == 20


@pytest.mark.anyio
async def test_a_reader_that_takes_nothing_is_dropped_alone() -> None:
    feed, routes = make(queue=20_000, stall=0.2)
    live = routes._live
    async with served(feed, routes=routes.routes()) as server, raw(server.port) as good, raw(server.port) as stuck:
        await good.ask("/events")
        await stuck.ask("/events")
        stuck.writer.transport.pause_reading()  # type: ignore[attr-defined]
        assert len(live.readers) == 2
        for seq in range(1, 60_000):
            feed.publish(frame(seq, traffic(seq), tables=ROUTED if seq == 1 else None))
            live.tick()
            if seq % 20 == 0:
                await good.reader.read(1 << 20)
            if len(live.readers) < 2:
                break
        assert len(live.readers) == 1


@pytest.mark.anyio
async def test_streams_count_among_all_that_may_be_open() -> None:
    feed, routes = make(streams=1)
    async with served(feed, routes=routes.routes()) as server, raw(server.port) as one, raw(server.port) as two:
        assert (await one.ask("/events"))[0] == 200
        assert (await two.ask("/events"))[0] == 503
