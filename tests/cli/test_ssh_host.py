"""A box's texts as files, and the frames that this program's collectors make of them."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.context import Context
from cli.sshhost import NEEDS, SshHost, offset, page_size
from cli.sshtree import Tree, _locked, sweep
from collectors.base import Roots
from collectors.identity import host_id
from collectors.registry import names
from collectors.runner import Runner
from remote.ssh.frames import Sample, clock_of
from remote.ssh.script import GROUPS, SPECIAL
from remote.ssh.source import HELLO, SshSource
from remote.target import parse_target
from sysmon.config import HostSettings
from sysmon.errors import MalformedInput
from sysmon.frame import Frame

MACHINE = "0123456789abcdef0123456789abcdef"
TARGET = parse_target("ssh://box")
MOUNTS = b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:40 / /net rw - nfs4 server:/x rw\n"


def texts(uptime: float, boot: str = "7e7b6b32-a931-4ff3-b867-c718b006bdb5", busy: int = 100) -> dict[str, bytes]:
    """What a small box tells, `uptime` seconds after its boot."""
    return {
        "/proc/uptime": f"{uptime:.2f} 1.00\n".encode(),
        "/proc/stat": f"cpu {busy} 0 0 {int(uptime * 100)}\ncpu0 {busy} 0 0 {int(uptime * 100)}\n".encode(),
        "/proc/meminfo": b"MemTotal: 1000 kB\nMemFree: 400 kB\nMemAvailable: 500 kB\n",
        "/proc/loadavg": b"0.10 0.20 0.30 1/50 99\n",
        "/proc/self/mountinfo": MOUNTS,
        "/proc/sys/kernel/random/boot_id": boot.encode() + b"\n",
        "/proc/sys/kernel/hostname": b"box\n",
        "/etc/machine-id": MACHINE.encode() + b"\n",
        "/etc/passwd": b"root:x:0:0::/:/bin/sh\nme:x:1000:1000::/:/bin/sh\n",
    }


class FakeBox:
    """Answers as the script would."""

    def __init__(self) -> None:
        self.uptime = 100.0
        self.boot = "7e7b6b32-a931-4ff3-b867-c718b006bdb5"
        self.asked: list[tuple[list[str], list[bytes]]] = []
        self.pids = {1: b"1 (init) S 0 1 1 0 -1 4194560 0 0 0 0 3 4 0 0 20 0 1 0 5 8192 10 0\n"}

    async def __call__(self, groups: Iterable[str], lines: Iterable[bytes] = ()) -> Sample:
        groups = list(groups)
        self.asked.append((groups, list(lines)))
        known = texts(self.uptime, self.boot, busy=int(self.uptime))
        sample = Sample("1", {"/proc/uptime": known["/proc/uptime"]})
        for group in groups:
            sample.texts.update({path: known[path] for path in GROUPS.get(group, ()) if path in known})
        if "pids" in groups:
            sample.pids = list(self.pids)
        if "processes" in groups:
            sample.texts.update({f"/proc/{pid}/stat": stat for pid, stat in self.pids.items()})
        if "describe" in groups:
            for pid in map(int, self.asked[-1][1][0].split()):
                sample.texts[f"/proc/{pid}/status"] = b"Name:\tinit\nUid:\t1000\t1000\t0\t0\n"
                sample.texts[f"/proc/{pid}/cmdline"] = b"/sbin/init\0--password=hunter2\0"
        if "sizes" in groups:
            sample.sizes = {line.decode(): (4096, 100, 60, 50, 10, 5) for line in self.asked[-1][1] if line}
        return sample


async def begun(box: FakeBox, host: SshHost) -> None:
    hello = await box(HELLO)
    hello.facts = {"arch": "mips", "page": "KernelPageSize:       16 kB", "zone": "+0200"}
    host.begin(hello)


@pytest.fixture
def host() -> Iterator[SshHost]:
    """A box that is not connected yet."""
    made = SshHost(Context.of_environment(), HostSettings(name="attic", target="ssh://box"), TARGET)
    yield made
    made.close()


@pytest.mark.anyio
async def test_frames_are_made_of_texts_by_the_boxs_own_time(host: SshHost) -> None:
    box = FakeBox()
    await begun(box, host)
    first = await host.frame(box, 60_000, 1)
    box.uptime += 1.27
    second = await host.frame(box, 61_000, 1)
    assert first is not None and second is not None
    assert (first.host, first.seq, first.full, first.time) == (host_id(MACHINE), 1, True, 60_000)
    assert (first.monotonic, second.monotonic) == (100_000_000_000, 101_270_000_000)
    assert (second.run, second.seq, second.boot) == (first.run, 2, first.boot)
    assert first.readings["memory.total"] == 1_024_000 and first.readings["load.15"] == 0.3
    assert first.readings["fs.size:/"] == 409_600
    assert [lines for groups, lines in box.asked if "sizes" in groups] == [[b"/", b""]]
    kinds = {fault.collector: fault.kind for fault in first.faults}
    assert kinds["network"] == "no_data" and kinds["filesystems"] == "unsupported"
    assert not any("sysmon-box" in f"{fault.message}{fault.hint}" for fault in first.faults)


@pytest.mark.anyio
async def test_what_is_asked_for_follows_from_what_is_due(host: SshHost) -> None:
    box = FakeBox()
    await begun(box, host)
    await host.frame(box, 60_000, 1)
    box.asked.clear()
    box.uptime += 1
    await host.frame(box, 61_000, 1)
    groups = set(box.asked[0][0])
    assert {"cpu", "memory"} <= groups and not groups & {"processes", "filesystems", "links", "tcp"}
    host.watch(["processes"])
    box.asked.clear()
    box.uptime += 1
    frame = await host.frame(box, 62_000, 1)
    assert frame is not None and frame.tables.processes is not None
    row = frame.tables.processes[0]
    assert (row.pid, row.user, row.memory, row.cpu_time) == (1, "me", 10 * 16384, 0.07)
    assert "hunter2" not in row.command and row.command.startswith("/sbin/init")


@pytest.mark.anyio
async def test_another_boot_is_another_run_and_a_reconnection_is_not(host: SshHost) -> None:
    box = FakeBox()
    await begun(box, host)
    first = await host.frame(box, 60_000, 1)
    box.uptime += 5
    await begun(box, host)
    again = await host.frame(box, 65_000, 1)
    assert first is not None and again is not None
    assert (again.run, again.seq, again.full) == (first.run, 2, True)
    box.boot, box.uptime = "00000000-0000-4000-8000-000000000001", 3.0
    await begun(box, host)
    booted = await host.frame(box, 70_000, 1)
    assert booted is not None
    assert booted.run != first.run and booted.seq == 1 and booted.boot == box.boot
    assert booted.monotonic == 3_000_000_000


@pytest.mark.anyio
async def test_a_clock_that_stands_still_gives_no_frame(host: SshHost) -> None:
    box = FakeBox()
    await begun(box, host)
    assert await host.frame(box, 60_000, 1) is not None
    assert await host.frame(box, 61_000, 1) is None


@pytest.mark.anyio
async def test_who_a_box_is(host: SshHost) -> None:
    box = FakeBox()
    hello = await box(HELLO)
    assert host.identity(hello) == host_id(MACHINE)
    hello.facts = {"arch": "mips\x1b[0m", "zone": "-0330"}
    info = host.begin(hello)
    assert (info.hostname, info.name, info.target, info.timezone) == ("box", "attic", "ssh://box", "-03:30")
    assert "\x1b" not in info.arch and info.memory == 1_024_000
    del hello.texts["/etc/machine-id"]
    assert host.identity(hello) == ""
    other = SshHost(Context.of_environment(), HostSettings(name="b", target="ssh://other"), parse_target("ssh://other"))
    nameless = [each.begin(hello).id for each in (host, other)]
    assert len(set(nameless)) == 2 and all(len(each) == 16 for each in nameless)
    other.close()


@pytest.mark.anyio
async def test_only_the_collectors_wanted_are_read() -> None:
    settings = HostSettings(name="attic", target="ssh://box", collectors=("cpu", "memory"))
    host = SshHost(Context.of_environment(), settings, TARGET)
    box = FakeBox()
    await begun(box, host)
    frame = await host.frame(box, 60_000, 1)
    assert frame is not None and frame.reads.keys() == {"cpu", "memory", "runner"}
    host.close()


def test_only_collectors_that_read_files_alone_are_used() -> None:
    """One that asked this machine by itself would tell of this machine."""
    assert NEEDS.keys() <= set(names()) and "own" not in NEEDS
    assert {group for groups in NEEDS.values() for group in groups} <= {*GROUPS, *SPECIAL}


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096", 4096), ("KernelPageSize:       64 kB", 65536), ("", 4096), ("3", 4096), ("99999999999 kB", 4096)],
)
def test_sizes_of_pages(text: str, size: int) -> None:
    assert page_size(text) == size


def test_clocks_and_zones() -> None:
    assert clock_of("1795270025.880520448") == (1795270025880, 0)
    assert clock_of("1795270025.%N") == (1795270025500, 750)
    assert clock_of("") is None and clock_of("now") is None
    assert (offset("+0000"), offset("+0530"), offset("CET")) == ("UTC", "+05:30", "")


# The files


def test_a_tree_holds_what_was_told_last(tmp_path: Path) -> None:
    tree = Tree()
    tree.take(Sample("1", {"/sys/class/net/a/ifindex": b"1\n", "/sys/class/net/b/ifindex": b"2\n"}), ["network"])
    held = (tree.base / "sys/class/net/a/ifindex").open()
    tree.take(Sample("2", {"/sys/class/net/a/ifindex": b"30\n"}), ["network"])
    assert held.read() == "30\n", "a collector may hold a file open"
    held.close()
    assert os.listdir(tree.base / "sys/class/net/b") == []
    tree.take(Sample("3"), ["cpu"])
    assert tree.text("/sys/class/net/a/ifindex") == "30\n"
    tree.take(Sample("4", pids=[1, 77]), ["pids"])
    tree.take(Sample("5", {"/proc/77/stat": b"x", "/proc/77/status": b"y"}), ["processes"])
    assert tree.pids == {77} and not (tree.base / "proc/1").exists()
    tree.take(Sample("6", {"/proc/78/status": b"gone by now"}), ["describe"])
    assert not (tree.base / "proc/78").exists()
    tree.take(Sample("7", pids=[]), ["pids"])
    assert not (tree.base / "proc/77").exists() and tree.text("/proc/77/stat") == ""
    folder = tree.base
    tree.close()
    assert not folder.exists()


def test_links_lead_nowhere_outside_of_the_tree() -> None:
    tree = Tree()
    links = {
        "/sys/class/hwmon/hwmon0/device": "../../../../../../etc",
        "/sys/class/net/eth0/master": "../br-lan",
        "/etc/localtime": "/usr/share/zoneinfo/Europe/Berlin",
        "/sys/class/net/eth1/master": "..",
    }
    tree.take(Sample("1", {"/sys/class/hwmon/hwmon0/device/name": b"chip\n"}, links=links), ["links", "sensors"])
    device = tree.base / "sys/class/hwmon/hwmon0/device"
    assert os.path.basename(os.readlink(device)) == "etc" and not (device / "passwd").exists()
    assert (device / "name").read_text() == "chip\n"
    assert device.resolve().is_relative_to(tree.base.resolve())
    assert os.path.basename(os.readlink(tree.base / "sys/class/net/eth0/master")) == "br-lan"
    assert not (tree.base / "sys/class/net/eth1/master").exists()
    tree.take(Sample("2", marks={"/sys/class/net/eth0/device"}), ["links"])
    assert not (tree.base / "sys/class/net/eth0/master").exists() and (tree.base / "sys/class/net/eth0/device").is_dir()
    tree.close()


def test_a_link_that_comes_after_its_files() -> None:
    tree = Tree()
    name = {"/sys/class/hwmon/hwmon0/device/name": b"chip\n"}
    tree.take(Sample("1", name), ["sensors"])
    tree.take(Sample("2", links={"/sys/class/hwmon/hwmon0/device": "../../../chip.0"}), ["links"])
    tree.take(Sample("3", name), ["sensors"])
    device = tree.base / "sys/class/hwmon/hwmon0/device"
    assert device.is_symlink() and (device / "name").read_text() == "chip\n"
    tree.close()


def test_the_tree_of_a_killed_process_is_removed_and_no_other(tmp_path: Path) -> None:
    for name in ("sysmon-box-dead", "sysmon-box-new", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "sysmon-box-dead/.lock").touch()
    (tmp_path / "other/.lock").touch()
    tree = Tree()
    living = tmp_path / "sysmon-box-living"
    living.mkdir()
    held = _locked(str(living / ".lock"), os.O_CREAT)
    sweep(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["other", "sysmon-box-living", "sysmon-box-new"]
    sweep(str(tree.base.parent))
    assert tree.base.exists()
    tree.close()
    assert held is not None
    os.close(held)


def test_a_box_cannot_fill_this_machines_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.sshtree.MAX_BYTES", 1000)
    tree = Tree()
    tree.take(Sample("1", {"/proc/stat": b"x" * 900}), ["cpu"])
    tree.take(Sample("2", {"/proc/stat": b"x" * 800}), ["cpu"])
    with pytest.raises(MalformedInput):
        tree.take(Sample("3", {"/proc/meminfo": b"x" * 300}), ["memory"])
    tree.close()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    *("/proc/stat", "/sys/class/net/a/ifindex", "/sys/class/net/a/device", "/etc/localtime"),
                    *("/sys/class/net/a\0b/ifindex", "/sys/class/net/a\0b/device"),
                ]
            ),
            st.sampled_from(["text", "mark", "link"]),
            st.text(max_size=20),
        ),
        max_size=12,
    )
)
def test_no_order_of_news_breaks_a_tree(news: list[tuple[str, str, str]]) -> None:
    tree = Tree()
    for path, kind, value in news:
        sample = Sample("1")
        if kind == "text":
            sample.texts[path] = value.encode("utf-8", "surrogatepass")
        elif kind == "mark":
            sample.marks.add(path)
        else:
            sample.links[path] = value
        tree.take(sample, ["links", "network", "cpu"])
    assert not tree.base.joinpath("..", "stat").exists()
    tree.close()


# How often


def test_a_slow_box_is_sampled_more_seldom_and_says_so() -> None:
    source = SshSource(TARGET, lambda: pytest.fail("not needed"), name="box")
    assert [source._slowness(0.1) for _ in range(3)] == ["", "", ""]
    words = [source._slowness(3.2) for _ in range(3)]
    assert words[:2] == ["", ""] and words[2] == "a slow box: it is sampled every 5 s, and one sample takes 3.2 s"
    assert source._slowness(3.2) and source._pace == 5
    for _ in range(100):
        last = source._slowness(0.2)
    assert source._pace == 1 and last == ""


@pytest.mark.anyio
async def test_values_stay_valid_between_the_seldom_samples_of_a_slow_box(host: SshHost) -> None:
    box = FakeBox()
    await begun(box, host)
    await host.frame(box, 60_000, 1)
    box.uptime += 7
    frame = await host.frame(box, 67_000, 7)
    assert isinstance(frame, Frame) and frame.intervals["cpu"] == 7.0 and frame.intervals["filesystems"] == 10.0
    assert isinstance(host._runner, Runner) and isinstance(host._roots, Roots)
