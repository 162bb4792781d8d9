"""Filesystems: the table of mounts, folding, sizes, and the child processes that ask."""

import errno
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors._mountprobe import MountProber, Size, parse_answer, spawn
from collectors._mounts import (
    SKIPPED_TYPES,
    Mount,
    fold,
    must_be_probed,
    parse_mountinfo,
    unescape,
    visible,
    wanted,
)
from collectors.base import Roots
from collectors.filesystems import FilesystemsCollector, parse_sizes, values_of
from sysmon.catalogue import Catalogue
from sysmon.derive import derive
from sysmon.errors import MalformedInput
from sysmon.frame import FilesystemRow, Frame

SHOWN = {"include": (), "exclude": (), "skipped_types": SKIPPED_TYPES}


def mounts(*lines: str) -> list[Mount]:
    """Mounts written as 'id parent device root point type source', the last two optional."""
    found = []
    for line in lines:
        identity, parent, device, root, point, *rest = line.split()
        kind, source = [*rest, "ext4", "none"][:2] if len(rest) != 1 else (rest[0], "none")
        found.append(Mount(int(identity), int(parent), device, root, point, "rw", kind, source, "rw"))
    return found


def points(found: list[Mount]) -> list[str]:
    return [mount.point for mount in found]


def test_escapes_are_decoded() -> None:
    assert unescape("/mnt/a\\040b\\011c\\134d\\043") == "/mnt/a b\tc\\d#"
    assert unescape("/mnt/a\\9") == "/mnt/a\\9"


def test_a_line_with_optional_fields_and_spaces() -> None:
    line = "36 35 98:0 /sub /mnt/my\\040disk ro,noatime shared:1 master:2 - ext4 /dev/sda1 rw,errors=continue"
    found, problems = parse_mountinfo(line + "\n")
    assert not problems
    assert found[0].point == "/mnt/my disk"
    assert (found[0].root, found[0].type, found[0].source) == ("/sub", "ext4", "/dev/sda1")
    assert found[0].read_only
    assert not found[0].remote


def test_a_bad_line_beside_good_ones() -> None:
    good = "24 1 254:0 / / rw - ext4 /dev/vda rw"
    found, problems = parse_mountinfo(f"{good}\n25 24 0:5 /\n{good}\n")
    assert len(found) == 2
    assert "mountinfo:2" in str(problems[0])


@given(st.text())
def test_any_text_gives_mounts_or_problems(text: str) -> None:
    found, _ = parse_mountinfo(text)
    chosen = fold(visible(found))
    assert set(points(chosen)) <= set(points(found))


def test_what_was_mounted_over_is_not_seen() -> None:
    table = mounts(
        "1 0 8:1 / /",
        "2 1 8:2 / /data",
        "3 2 8:3 / /data/inner",
        "4 2 8:4 / /data",  # over /data: 2 and 3 cannot be reached any more
        "5 4 8:5 / /data/new",
        "6 1 8:6 / /srv/deep",
        "7 1 8:7 / /srv",  # over the folder that 6 is in
    )
    assert points(visible(table)) == ["/", "/data", "/data/new", "/srv"]
    assert next(mount for mount in visible(table) if mount.point == "/data").device == "8:4"


def test_a_deleted_mount_point_is_left_out() -> None:
    assert points(visible(mounts("1 0 8:1 / /", "2 1 8:2 / /gone//deleted"))) == ["/"]


def test_one_row_per_device() -> None:
    table = mounts(
        "1 0 8:1 / /",
        "2 1 8:1 /usr /srv/ro",
        "3 1 8:2 /sub /b",
        "4 1 8:2 / /mnt/data",
        "5 1 0:40 /@ /home btrfs",
        "6 1 0:40 /@snapshots /h btrfs",
        "7 1 0:41 / /tank zfs tank",
        "8 1 0:42 / /tank/home zfs tank/home",
    )
    assert points(fold(table)) == ["/", "/mnt/data", "/h", "/tank", "/tank/home"]


@pytest.mark.parametrize(
    ("point", "kind", "shown"),
    [
        ("/", "overlay", True),
        ("/var/lib/docker/overlay2/ab/merged", "overlay", False),
        ("/mnt/merged", "overlay", False),
        ("/snap/core/123", "squashfs", False),
        ("/proc", "proc", False),
        ("/net", "autofs", False),
        ("/dev", "devtmpfs", False),
        ("/dev/shm", "tmpfs", True),
        ("/run/user/1000", "tmpfs", False),
        ("/run/credentials/x.service", "ramfs", False),
        ("/var/lib/private", "tmpfs", False),
        ("/etc/hosts", "ext4", False),
        ("/mnt/nas", "nfs4", True),
        ("/mnt/far", "fuse.sshfs", True),
        ("/run/user/1000/doc", "fuse.portal", False),
    ],
)
def test_which_are_shown_by_default(point: str, kind: str, shown: bool) -> None:
    assert wanted(Mount(1, 0, "0:1", "/", point, "rw", kind, "x", "rw"), **SHOWN) is shown


def test_options_win_over_defaults() -> None:
    snap = Mount(1, 0, "7:1", "/", "/snap/core/1", "rw", "squashfs", "/dev/loop1", "ro")
    assert wanted(snap, ["/snap/*"], [], SKIPPED_TYPES)
    assert not wanted(snap, ["/snap/*"], ["squashfs"], SKIPPED_TYPES)
    automount = snap._replace(type="autofs")
    assert not wanted(automount, ["*"], [], ()), "asking would mount it"


def test_what_may_hang_is_asked_by_a_child() -> None:
    table = mounts("1 0 8:1 / /", "2 1 0:50 / /nas nfs4 s:/x", "3 2 8:3 / /nas/local", "4 1 0:51 / /odd newfs")
    assert [must_be_probed(mount, table) for mount in table] == [False, True, True, True]


class Captured(FilesystemsCollector):
    """Answers from the statvfs captured with the quiet machine."""

    def statvfs(self, point: bytes) -> Size:
        told = json.loads((self.roots.base / "STATVFS.json").read_text())
        found = next((each for each in told if each["mount"].encode() == point), None)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "not captured")
        return Size(*(found[name] for name in ("frsize", "blocks", "bfree", "bavail", "files", "ffree")))


def test_the_quiet_machine(fixtures: Path) -> None:
    reading = Captured(Roots(fixtures / "vm-quiet", live=True)).read()
    assert not reading.faults
    rows = {row.mount: row for row in reading.tables.filesystems or []}
    assert set(rows) == {"/", "/dev/shm", "/run", "/mnt/data", "/srv/t"}
    assert rows["/mnt/data"] == FilesystemRow(mount="/mnt/data", device="/dev/sda", type="ext4", disk="sda")
    frame = Frame(
        host="h",
        boot="b",
        run="r",
        seq=1,
        time=0,
        monotonic=1,
        readings=reading.values,
        reads={"filesystems": 1},
    )
    derived = derive(None, frame, Catalogue(FilesystemsCollector.metrics))
    # df on that machine: 755402 blocks of 4 KiB, 516748 free, 473331 available.
    assert derived["fs.utilization:/"] == pytest.approx((755402 - 516748) / (755402 - 516748 + 473331))
    # tmpfs with 100 inodes, 91 in use.
    assert derived["fs.inodes.utilization:/srv/t"] == 0.91


def test_the_hybrid_machine_shows_no_mount_twice(fixtures: Path) -> None:
    reading = FilesystemsCollector(Roots(fixtures / "host-hybrid", live=False)).read()
    rows = {row.mount: row for row in reading.tables.filesystems or []}
    assert set(rows) == {"/", "/opt/tools", "/dev/shm"}
    assert rows["/opt/tools"].read_only
    assert [fault.kind for fault in reading.faults] == ["unsupported"]


def test_sizes_that_contradict_themselves() -> None:
    assert values_of("/x", Size(4096, 0, 0, 0, 0, 0)) == {}
    assert values_of("/x", Size(4096, 10, 11, 0, 0, 0)) == {}
    reserve = values_of("/x", Size(1, 100, 3, (1 << 64) - 2, 0, 0))
    assert reserve == {"fs.size:/x": 100, "fs.used:/x": 97, "fs.free:/x": 3, "fs.available:/x": 0}


def test_this_machine_agrees_with_statvfs() -> None:
    collector = FilesystemsCollector(Roots(), {"skip_types": []})
    values = collector.read().values
    told = os.statvfs("/")
    assert values["fs.size:/"] == told.f_blocks * told.f_frsize
    collector.close()


@given(st.text())
def test_any_answer_is_a_size_or_an_error(text: str) -> None:
    assert isinstance(parse_answer(text), Size | OSError)


@pytest.fixture
def prober() -> Iterator[MountProber]:
    made = MountProber(patience=5.0)
    yield made
    made.close()


def ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_children_answer_and_are_kept(prober: MountProber, tmp_path: Path) -> None:
    odd = tmp_path / "with space\n and newline"
    odd.mkdir()
    for _ in range(3):
        answers = prober.ask(["/", str(odd), str(tmp_path / "absent")])
        assert isinstance(answers["/"], Size)
        assert isinstance(answers[str(odd)], Size)
        assert isinstance(answers[str(tmp_path / "absent")], FileNotFoundError)
    assert len(prober._children) == 1


def test_a_child_ends_with_its_parent() -> None:
    child = spawn()
    assert child is not None
    child.close()
    assert os.waitpid(child.pid, 0)[1] == 0


def test_a_child_that_dies_gives_its_mount_a_pause(prober: MountProber) -> None:
    prober.pauses = (1.0, 1.0)
    assert isinstance(prober.ask(["/"])["/"], Size)
    os.kill(prober._children[0].pid, signal.SIGKILL)
    os.waitid(os.P_PID, prober._children[0].pid, os.WEXITED | os.WNOWAIT)
    assert prober.ask(["/"]) == {"/": None}
    assert prober.silent_for("/") > 0
    assert prober.ask(["/"]) == {"/": None}, "within the pause"
    time.sleep(1.05)
    assert isinstance(prober.ask(["/"])["/"], Size)
    assert prober.silent_for("/") == 0


def test_a_stopped_child_costs_one_patience_and_others_go_on(tmp_path: Path) -> None:
    prober = MountProber(patience=2.0, timeout=1.5, pauses=(0.0, 0.0))
    try:
        assert isinstance(prober.ask(["/"])["/"], Size)
        stopped = prober._children[0].pid
        os.kill(stopped, signal.SIGSTOP)
        began = time.monotonic()
        answers = prober.ask(["/", str(tmp_path)])
        assert time.monotonic() - began < 3
        assert answers["/"] is None
        assert isinstance(answers[str(tmp_path)], Size), "another child took it on"
        began = time.monotonic()
        again = prober.ask(["/", str(tmp_path)])
        assert time.monotonic() - began < 1.2, "the stopped one was given up, not waited for"
        assert isinstance(again[str(tmp_path)], Size)
    finally:
        prober.close()


def test_captured_sizes_stand_for_statvfs(tmp_path: Path) -> None:
    base = tmp_path / "tree"
    (base / "proc/self").mkdir(parents=True)
    (base / "proc/self/mountinfo").write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "2 1 8:2 / /my\\040data rw - ext4 /dev/sda2 rw\n"
        "3 1 0:40 / /net rw - nfs4 server:/x rw\n"
    )
    collector = FilesystemsCollector(Roots(base=base, live=False))
    assert collector.points() == ["/", "/my data"]
    (base / "statvfs").write_text("4096 1000 600 500 100 40 /\n")
    read = collector.read()
    assert read.values == values_of("/", Size(4096, 1000, 600, 500, 100, 40))
    assert {(fault.kind, fault.message.partition(" (")[0]) for fault in read.faults} == {
        ("no_data", "/my data"),
        ("unsupported", "/net"),
    }
    (base / "statvfs").write_text("4096 1000 600 500 100 40 /\n1024 10 5 4 0 0 /my data\n")
    assert collector.read().values["fs.size:/my data"] == 10240


@given(st.text(max_size=80))
def test_no_text_breaks_captured_sizes(text: str) -> None:
    try:
        found = parse_sizes(text)
    except MalformedInput:
        return
    assert all(point.startswith("/") for point in found)
