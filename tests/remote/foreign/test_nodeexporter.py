"""A node_exporter read as a host: its page as our metrics, its boots, and what it does wrong."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.registry import catalogue
from remote.foreign import exposition
from remote.foreign.lifetime import Lifetime
from remote.foreign.nodeexporter import Family, NodeExporterSource, faults_of, info_of, read_page
from remote.foreign.nodenames import NAMES, SENSORS
from remote.foreign.nodetables import disk_rows, filesystem_rows, interface_rows
from remote.foreign.polled import target_host
from remote.target import parse_target
from sysmon.derive import State
from sysmon.errors import StoreError, SysmonError
from sysmon.frame import Frame
from sysmon.records import HostInfo, Status
from tests.remote.peers import QUICK, peer, send, watching
from tests.remote.support import MemoryHistory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PAGE = (Path(__file__).parents[2] / "fixtures" / "exporters" / "node_exporter-1.5.0.txt").read_text()
CATALOGUE = catalogue("linux")
HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\n\r\n"
NOW = 1_795_270_000.0


def found(*lines: str) -> Family:
    """The samples of a page of these lines."""
    return Family(exposition.parse("".join(line + "\n" for line in lines)).samples)


def with_value(page: str, name: str, value: float) -> str:
    """The page with another value of a sample without labels."""
    changed, count = re.subn(rf"(?m)^{name} .*$", f"{name} {value!r}", page)
    assert count == 1
    return changed


# What a page means


def test_a_real_page_in_our_metrics() -> None:
    readings = read_page(Family(exposition.parse(PAGE).samples))
    assert readings["cpu.time.user"] == pytest.approx(2957.98 + 4219.85)
    assert readings["cpu.time.busy:0"] == pytest.approx(2957.98 + 1.29 + 400.71 + 3.75 + 1.27)
    assert readings["cpu.time.idle:1"] == pytest.approx(6988.86 + 54.76)
    assert readings["cpu.cores"] == 2
    assert readings["net.receive:eth0"] == 1863980101
    assert isinstance(readings["net.receive:eth0"], int)
    assert readings["disk.read:vda"] == 19850601472
    assert "disk.read:zram0" not in readings
    assert readings["fs.used:/"] == 270553174016 - 244214542336
    assert readings["fs.inodes.used:/"] == 16777216 - 16256000
    assert readings["memory.used"] == readings["memory.total"] - readings["memory.available"]
    assert readings["boot.time"] == 1795257615
    assert "net.link_speed:eth0" not in readings
    for key in readings:
        assert CATALOGUE.of_key(key) is not None, key
        assert CATALOGUE.of_key(key).kind != "derived", key  # type: ignore[union-attr]


def test_who_it_is() -> None:
    info = info_of(Family(exposition.parse(PAGE).samples))
    assert (info.hostname, info.os, info.arch, info.cpus) == ("vm", "Debian GNU/Linux 12 (bookworm)", "x86_64", 2)
    assert (info.version, info.timezone, info.memory) == ("node_exporter 1.5.0", "UTC", 25276510208)
    east = found('node_time_zone_offset_seconds{time_zone="IST"} 19800')
    assert info_of(east).timezone == "+05:30"


def test_pages_swapped_count_only_where_their_size_is_known() -> None:
    lines = ["node_vmstat_pswpin 3", "node_vmstat_pswpout 0", "node_vmstat_oom_kill 1"]
    arm = read_page(found('node_uname_info{machine="aarch64"} 1', *lines))
    assert arm == {"memory.oom_kills": 1}
    assert read_page(found('node_uname_info{machine="x86_64"} 1', *lines))["swap.in"] == 3 * 4096


def test_memory_with_arc_and_hugepages() -> None:
    readings = read_page(
        found(
            *("node_memory_MemTotal_bytes 1000", "node_memory_MemAvailable_bytes 300"),
            *("node_zfs_arc_size 500", "node_zfs_arc_c_min 100"),
            *("node_memory_HugePages_Total 4", "node_memory_HugePages_Free 1", "node_memory_Hugepagesize_bytes 2048"),
        )
    )
    assert (readings["memory.available"], readings["memory.used"], readings["memory.arc"]) == (700, 300, 500)
    assert (readings["memory.hugepages.total"], readings["memory.hugepages.free"]) == (8192, 2048)


def test_sensors_have_the_names_our_own_have() -> None:
    readings = read_page(
        found(
            'node_hwmon_chip_names{chip="platform_coretemp_0",chip_name="coretemp"} 1',
            'node_hwmon_sensor_label{chip="platform_coretemp_0",sensor="temp1",label="Package id 0"} 1',
            'node_hwmon_temp_celsius{chip="platform_coretemp_0",sensor="temp1"} 48',
            'node_hwmon_temp_crit_celsius{chip="platform_coretemp_0",sensor="temp1"} 100',
            'node_hwmon_temp_celsius{chip="nvme_nvme0",sensor="temp1"} 31.85',
            'node_hwmon_temp_celsius{chip="nvme_nvme0",sensor="temp2"} -273.15',
            'node_hwmon_fan_rpm{chip="x",sensor="fan1"} 1200',
            'node_thermal_zone_temp{type="acpitz",zone="0"} 27.8',
            'node_thermal_zone_temp{type="coretemp",zone="1"} 48',
            'node_power_supply_capacity{power_supply="BAT0"} 87',
            'node_rapl_package_joules_total{index="0",path="p"} 12.5',
        )
    )
    assert readings == {
        "temperature:coretemp/Package id 0": 48,
        "temperature.critical:coretemp/Package id 0": 100,
        "temperature:nvme_nvme0/temp1": 31.85,
        "fan.speed:x/fan1": 1200,
        "temperature:acpitz/zone0": 27.8,
        "battery.charge:BAT0": pytest.approx(0.87),
        "power.energy:package-0": 12.5,
    }


def test_tables() -> None:
    page = Family(exposition.parse(PAGE).samples)
    interfaces = {row.name: row for row in interface_rows(page) or []}
    assert interfaces["eth0"].up
    assert interfaces["lo"].up
    assert not interfaces["ifb0"].up
    assert (interfaces["eth0"].kind, interfaces["lo"].kind, interfaces["eth0"].mtu) == ("ethernet", "loopback", 1400)
    assert [row.name for row in disk_rows(page) or []] == ["vda"]
    size = "node_filesystem_size_bytes"
    rows = filesystem_rows(
        found(
            size + '{device="/dev/sda1",fstype="ext4",mountpoint="/srv/bind"} 10',
            size + '{device="/dev/sda1",fstype="ext4",mountpoint="/"} 10',
            size + '{device="tmpfs",fstype="tmpfs",mountpoint="/tmp"} 10',
            size + '{device="tmpfs",fstype="tmpfs",mountpoint="/run"} 10',
            size + '{device="/dev/loop0",fstype="squashfs",mountpoint="/snap/x"} 10',
            size + '{device="nas:/x",fstype="nfs4",mountpoint="/mnt/nas"} 10',
            size + '{device="none",fstype="bpf",mountpoint="/sys/fs/bpf"} 0',
        )
    )
    assert {row.mount: row.remote for row in rows or []} == {"/": False, "/tmp": False, "/run": False, "/mnt/nas": True}
    nothing = found("node_load1 1")
    assert (interface_rows(nothing), filesystem_rows(nothing), disk_rows(nothing)) == (None, None, None)


def test_what_it_should_tell_and_does_not() -> None:
    faults = faults_of(found("node_load1 1"), "x")
    assert {fault.collector: fault.kind for fault in faults}["cpu"] == "no_data"
    assert {fault.collector for fault in faults} >= {"memory", "network", "uptime", "pressure"}
    hung = found('node_filesystem_device_error{device="n:/",fstype="nfs",mountpoint="/mnt"} 1')
    assert any(fault.kind == "failed" and "/mnt" in fault.message for fault in faults_of(hung, "x"))


def test_names_that_are_made_to_harm() -> None:
    esc = "\x1b[2J\u202e"
    readings = read_page(found(f'node_network_receive_bytes_total{{device="{esc}"}} 1', "node_load1 NaN"))
    (key,) = readings
    assert key.isprintable()
    assert "%1B" in key


SAMPLES = sorted(
    {name.theirs for name in NAMES}
    | {*SENSORS, "node_cpu_seconds_total", "node_time_seconds", "node_boot_time_seconds", "node_thermal_zone_temp"}
    | {"node_uname_info", "node_hwmon_chip_names", "node_filesystem_files_free", "node_time_zone_offset_seconds"}
    | {"node_network_mtu_bytes", "node_network_up", "node_network_flags", "node_network_protocol_type"}
    | {"node_memory_HugePages_Total", "node_memory_Hugepagesize_bytes", "node_sockstat_UDP_inuse", "node_zfs_arc_c_min"}
)
LABELS = ["device", "cpu", "mode", "mountpoint", "fstype", "chip", "sensor", "state", "zone", "type", "machine", "name"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(SAMPLES),
            st.dictionaries(
                st.sampled_from(LABELS), st.text(max_size=20) | st.sampled_from(["user", "x86_64", "/", "0"])
            ),
            st.floats() | st.integers(-(10**40), 10**40),
        ),
        max_size=30,
    )
)
def test_whatever_a_page_holds_becomes_a_frame_or_is_refused(
    lines: list[tuple[str, dict[str, str], float]],
) -> None:
    source = NodeExporterSource("node+http://127.0.0.1:1", catalogue=CATALOGUE)
    page = Family(exposition.Sample(name, labels, value) for name, labels, value in lines)
    try:
        look = source.look_at(page, 0.0)
        frame = source._frame(look)
    except SysmonError:
        return
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", "".join(frame.readings))
    assert msgspec.json.decode(msgspec.json.encode(frame), type=Frame).seq == 1


# Its boots


def test_a_reboot_is_a_new_boot_and_a_clock_that_is_set_is_none() -> None:
    life = Lifetime("h")
    second = 10**9

    def at(uptime: float, ours: float, wall: float) -> tuple[str, int]:
        return life.at(uptime=uptime, booted=wall - uptime, theirs=wall, ours=int(ours * second), now=int(wall * 1000))

    boot, first = at(1000, 50, NOW)
    assert first == 1000 * second
    same, later = at(1010, 60, NOW + 10)
    assert (same, later) == (boot, 1010 * second)
    # Its clock is set one hour ahead: booted moves along, the uptime does not.
    same, stepped = at(1020, 70, NOW + 3620)
    assert (same, stepped) == (boot, 1020 * second)
    # A slow answer of this side's does not disturb the time between two reads of theirs.
    same, slow = at(1030, 80.4, NOW + 3630)
    assert (same, slow) == (boot, 1030 * second)
    after, fresh = at(5, 90, NOW + 3640)
    assert after != boot
    assert fresh == 5 * second
    # Away for longer than it had been up: it must have been up for as long, or it booted.
    gone, _ = at(600, 90 + 1000, NOW + 4640)
    assert gone != after
    there, _ = at(1200, 90 + 1600, NOW + 5240)
    assert there == gone


def test_the_same_boot_has_the_same_id_for_another_run_of_this_side() -> None:
    def begun(booted: float) -> str:
        return Lifetime("h").at(uptime=100.0, booted=booted, theirs=None, ours=0, now=0)[0]

    assert begun(NOW) == begun(NOW + 1)
    assert begun(NOW) != begun(NOW + 3600)


def test_a_run_of_this_side_takes_up_where_the_last_ended() -> None:
    life = Lifetime("h")
    life.resume("boot-7", 1_000 * 10**9, int(NOW * 1000))
    # Its clock was set meanwhile, so that the moment of its boot moved.
    again = life.at(uptime=1060, booted=NOW - 9000, theirs=None, ours=5, now=int(NOW * 1000) + 60_000)
    assert again == ("boot-7", 1_060 * 10**9)
    other = Lifetime("h")
    other.resume("boot-7", 1_000 * 10**9, int(NOW * 1000))
    assert other.at(uptime=30, booted=NOW, theirs=None, ours=5, now=int(NOW * 1000) + 60_000)[0] != "boot-7"


def test_time_never_goes_back_whatever_is_said() -> None:
    rng = random.Random(5)
    life = Lifetime("h")
    before = ("", 0)
    ours = 0.0
    for _ in range(2000):
        ours += rng.uniform(0, 20)
        told = rng.random() < 0.9
        uptime = rng.choice([ours, ours + rng.uniform(-3, 3), rng.uniform(0, 1e6)])
        boot, monotonic = life.at(
            uptime=max(0.0, uptime) if told else None,
            booted=NOW + rng.uniform(-5, 5),
            theirs=rng.choice([None, NOW + ours, rng.uniform(0, 2e9)]),
            ours=int(ours * 1e9),
            now=int((NOW + ours) * 1000),
        )
        assert boot
        assert boot != before[0] or monotonic > before[1]
        before = (boot, monotonic)


# The source


class Exporter:
    """A peer whose page is set by the test."""

    def __init__(self) -> None:
        self.page = PAGE
        self.asked = 0
        self.started = asyncio.get_running_loop().time()
        self.uptime = 12000.0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers with the page of now."""
        while self.page:
            self.asked += 1
            now = asyncio.get_running_loop().time() - self.started
            page = with_value(self.page, "node_time_seconds", 1795257615 + self.uptime + now)
            writer.write(HEAD.format(len(page.encode())).encode() + page.encode())
            await writer.drain()
            await reader.readuntil(b"\r\n\r\n")


@contextlib.asynccontextmanager
async def exporter() -> AsyncIterator[tuple[Exporter, NodeExporterSource]]:
    """A peer, and a source that reads it ten times a second."""
    there = Exporter()
    async with peer(there.answer) as url:
        yield there, NodeExporterSource(f"node+{url}", catalogue=CATALOGUE, name="box", interval=0.1, patience=QUICK)


@pytest.mark.anyio
async def test_it_is_a_host_like_any_other() -> None:
    async with exporter() as (_, source), watching(source) as watcher:  # type: ignore[arg-type]
        await watcher.until(lambda: len(watcher.frames) >= 4)
    assert watcher.frames == list(range(1, len(watcher.frames) + 1))
    assert isinstance(watcher.seen[0], Status)
    assert watcher.seen[0].host == ""
    first = next(update for update in watcher.seen if isinstance(update, Frame | HostInfo))
    assert isinstance(first, HostInfo)
    assert (first.name, first.hostname, first.id) == ("box", "vm", target_host(source.target))
    frames: list[Frame] = watcher.of(Frame)
    assert frames[0].full
    assert not frames[1].full
    assert frames[0].intervals["cpu"] == 0.1
    assert len({(frame.host, frame.boot, frame.run) for frame in frames}) == 1
    assert all(not late for late in watcher.lateness.values())
    state = State(CATALOGUE)
    for frame in frames:
        state.apply(frame)
    assert state.derived()["net.receive_rate:eth0"] == 0
    assert state.derived()["memory.utilization"] > 0
    assert watcher.of(Status)[-1].state == "live"
    assert source.skew is not None


@pytest.mark.anyio
async def test_a_reboot_begins_a_new_boot_in_full() -> None:
    async with exporter() as (there, source), watching(source) as watcher:  # type: ignore[arg-type]
        await watcher.until(lambda: len(watcher.frames) >= 2)
        there.page = with_value(PAGE, "node_boot_time_seconds", 1795257615.0 + 12000)
        there.uptime = 12010.0
        await watcher.until(lambda: len({frame.boot for frame in watcher.of(Frame)}) == 2)
    frames: list[Frame] = watcher.of(Frame)
    index = next(index for index, frame in enumerate(frames) if frame.boot != frames[0].boot)
    assert frames[index].full
    assert 10 * 10**9 <= frames[index].monotonic < 60 * 10**9
    assert frames[index].run == frames[0].run
    assert frames[index].seq == index + 1


@pytest.mark.anyio
async def test_gone_and_back() -> None:
    there: Exporter | None = None

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert there is not None
        await there.answer(reader, writer)

    async with peer(answer) as url:
        there = Exporter()
        source = NodeExporterSource(f"node+{url}", catalogue=CATALOGUE, interval=0.1, patience=QUICK)
        async with watching(source) as watcher:  # type: ignore[arg-type]
            await watcher.until(lambda: watcher.frames)
            there.page = ""
            await watcher.until(lambda: watcher.of(Status)[-1].state == "offline")
            count = watcher.frames[-1]
            there.page = PAGE
            await watcher.until(lambda: watcher.of(Status)[-1].state == "live" and watcher.frames[-1] > count)
    frames: list[Frame] = watcher.of(Frame)
    again = next(frame for frame in frames if frame.seq == count + 1)
    assert again.full
    assert again.boot == frames[0].boot


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("node_load1 1\nnode_load1 2\n", "line 2: a series that was there before"),
        ("node_load1 1", "cut off"),
        ("up 1\n", "nothing that a node_exporter tells"),
        (
            'node_load1 1\nnode_uname_info{host_id="a",nodename="a"} 1\nnode_uname_info{host_id="b",nodename="b"} 1\n',
            "speaks of 2 hosts",
        ),
    ],
)
async def test_pages_that_cannot_be_used(body: str, words: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await send(writer, HEAD.format(len(body)).encode() + body.encode(), hold=False)

    async with peer(answer) as url:
        source = NodeExporterSource(f"node+{url}", catalogue=CATALOGUE, interval=0.1, patience=QUICK)
        async with watching(source) as watcher:  # type: ignore[arg-type]
            await watcher.until(lambda: any(words in status.message for status in watcher.of(Status)))
        assert watcher.frames == []
        assert source.faults >= 1


@pytest.mark.anyio
async def test_a_page_without_end_is_refused_at_its_bound() -> None:
    sent = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n")
        line = b'node_x{y="' + b"z" * (1 << 20) + b'"} 1\n'
        for _ in range(100):
            writer.write(line)
            sent += len(line)
            await writer.drain()

    async with peer(answer) as url:
        source = NodeExporterSource(f"node+{url}", catalogue=CATALOGUE, interval=0.1)
        async with watching(source) as watcher:  # type: ignore[arg-type]
            await watcher.until(lambda: any("longer than" in status.message for status in watcher.of(Status)))
    assert sent < 60 << 20


@pytest.mark.anyio
async def test_one_that_accepts_and_says_nothing_is_not_waited_for() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async with peer(answer) as url:
        patience = type(QUICK)(head=0.2, first=0.02, most=0.1, tick=0.05)
        source = NodeExporterSource(f"node+{url}", catalogue=CATALOGUE, patience=patience)
        async with watching(source) as watcher:  # type: ignore[arg-type]
            await watcher.until(
                lambda: any("did not answer within 0.2 s" in each.message for each in watcher.of(Status))
            )


def test_every_target_has_an_id_of_its_own() -> None:
    targets = ["node+http://a:9100", "node+http://a:9101", "node+https://a:9100", "netronome+http://a:9100"]
    ids = {target_host(parse_target(each)) for each in targets}
    assert len(ids) == 4
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in ids)
    assert target_host(parse_target("node+http://a")) == target_host(parse_target("node+http://a:9100/"))


@pytest.mark.anyio
async def test_what_was_recorded_says_whether_it_is_the_same_boot() -> None:
    async with exporter() as (_, first):
        async with watching(first) as watcher:  # type: ignore[arg-type]
            await watcher.until(lambda: len(watcher.frames) >= 2)
        last: Frame = watcher.of(Frame)[-1]
        old = msgspec.structs.replace(last, boot="boot-of-before")
        second = NodeExporterSource(first.target, catalogue=CATALOGUE, interval=0.1, patience=QUICK)
        await second.resume(MemoryHistory(frames=[old]))
        async with watching(second) as watcher:  # type: ignore[arg-type]
            await watcher.until(lambda: watcher.frames)
        again: Frame = watcher.of(Frame)[0]
        assert (again.boot, again.run != last.run) == ("boot-of-before", True)
        assert again.monotonic > last.monotonic
        deaf = MemoryHistory(frames=[old])
        deaf.broken = StoreError("the disk is gone")
        await second.resume(deaf)


@pytest.mark.anyio
async def test_only_the_collectors_wanted_are_taken() -> None:
    async with exporter() as (_, all_of_it):
        source = NodeExporterSource(
            all_of_it.target, catalogue=CATALOGUE, interval=0.1, patience=QUICK, collectors=["memory", "load"]
        )
        async with watching(source) as watcher:  # type: ignore[arg-type]
            await watcher.until(lambda: len(watcher.frames) >= 2)
    for frame in watcher.of(Frame):
        assert frame.reads.keys() == {"memory", "load"}
        assert {key.partition(".")[0] for key in frame.readings} == {"memory", "swap", "load"}
        assert frame.faults == []
    assert watcher.of(Frame)[0].intervals == {"memory": 0.1, "load": 0.1}
