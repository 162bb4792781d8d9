"""Disk I/O: parser, which devices count, derived values against the truth of a measured write."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.base import Roots
from collectors.disks import DisksCollector, kind_of, parse_diskstats, whole_disk
from sysmon.catalogue import Catalogue
from sysmon.derive import derive
from sysmon.errors import MalformedInput, NoData
from sysmon.frame import Frame, Number

LINE = " 259 0 nvme0n1 102 5 4224 125 16 7 16384 60 3 196 185 0 0 0 0 0 0"


def frame(values: dict[str, Number], seconds: float) -> Frame:
    at = int(seconds * 1e9)
    return Frame(
        host="h", boot="b", run="r", seq=1, time=0, monotonic=at, readings=values, reads={"disks": at, "network": at}
    )


def tree(tmp_path: Path, content: str, files: dict[str, str] | None = None) -> Roots:
    (tmp_path / "proc").mkdir(exist_ok=True)
    (tmp_path / "proc" / "diskstats").write_text(content)
    for name, text in (files or {}).items():
        path = tmp_path / "sys" / "block" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return Roots(tmp_path, live=False)


def test_a_line_becomes_base_units() -> None:
    counters = parse_diskstats(LINE)["nvme0n1"]
    assert counters.read_bytes == 4224 * 512
    assert counters.write_bytes == 16384 * 512
    assert (counters.read_operations, counters.write_operations) == (102, 16)
    assert (counters.read_seconds, counters.write_seconds) == (0.125, 0.06)
    assert (counters.in_flight, counters.busy_seconds, counters.queue_seconds) == (3, 0.196, 0.185)


@pytest.mark.parametrize("line", [LINE[:40], "8 0 sda x 0 0 0 0 0 0 0 0 0 0", "8 0 sda -1 0 0 0 0 0 0 0 0 0 0"])
def test_a_bad_line_is_named(line: str) -> None:
    with pytest.raises(MalformedInput, match="diskstats:2"):
        parse_diskstats(f"{LINE}\n{line}\n")


@given(st.text())
def test_any_text_gives_values_or_malformed_input(text: str) -> None:
    try:
        parsed = parse_diskstats(text)
    except MalformedInput:
        return
    assert all(min(counters) >= 0 for counters in parsed.values())


def test_derived_values_match_what_was_written(fixtures: Path) -> None:
    # Exactly 8 MiB went to nvme0n1 by 16 writes; the file was read twice, 1.002841 s apart.
    readings = [
        DisksCollector(Roots(fixtures / name, live=False)).read().values for name in ("vm-load-t0", "vm-load-t1")
    ]
    assert readings[1]["disk.write:nvme0n1"] - readings[0]["disk.write:nvme0n1"] == 8_388_608
    elapsed = 1.002841
    rates = derive(frame(readings[0], 1.0), frame(readings[1], 1.0 + elapsed), Catalogue(DisksCollector.metrics))
    assert rates["disk.write_rate:nvme0n1"] == pytest.approx(8_388_608 / elapsed)
    assert rates["disk.operations:nvme0n1"] == pytest.approx((16 + 3) / elapsed)
    assert rates["disk.await:nvme0n1"] == pytest.approx((0.008 + 0.004) / 19)
    assert rates["disk.busy:nvme0n1"] == pytest.approx(0.012 / elapsed)
    assert rates["disk.queue:nvme0n1"] == pytest.approx(0.013 / elapsed)
    # Nothing happened on sda: its rates are 0, its mean time per operation is unknown.
    assert rates["disk.read_rate:sda"] == 0
    assert "disk.await:sda" not in rates


def test_busy_is_capped_at_one() -> None:
    rates = derive(
        frame({"disk.busy.time:a": 1.0}, 1), frame({"disk.busy.time:a": 2.02}, 2), Catalogue(DisksCollector.metrics)
    )
    assert rates["disk.busy:a"] == 1.0


def test_the_quiet_machine_shows_its_disks_only(fixtures: Path) -> None:
    reading = DisksCollector(Roots(fixtures / "vm-quiet", live=False)).read()
    rows = {row.name: row for row in reading.tables.disks or []}
    assert set(rows) == {"vda", "sda", "nvme0n1"}
    assert rows["nvme0n1"].model == "QEMU NVMe Ctrl"
    assert rows["nvme0n1"].size == 256 << 20
    assert not rows["nvme0n1"].rotational
    assert {key.split(":")[1] for key in reading.values} == set(rows)


def test_options_choose_devices(fixtures: Path) -> None:
    roots = Roots(fixtures / "vm-quiet", live=False)

    def shown(**options: object) -> set[str]:
        return {row.name for row in DisksCollector(roots, options).read().tables.disks or []}

    assert shown(exclude=["sd*"]) == {"vda", "nvme0n1"}
    assert shown(include="zram*") == {"vda", "sda", "nvme0n1", "zram0"}
    assert shown(include="zram*", exclude="*") == set()


def test_mapped_raid_loop_and_partitions(tmp_path: Path) -> None:
    names = ["sda", "sda1", "dm-0", "md127", "loop0", "loop1", "loop2", "sr0", "nvme0n1", "nvme0n1p2"]
    content = "".join(f" 8 {index} {name} 1 0 8 1 1 0 8 1 0 1 1\n" for index, name in enumerate(names))
    files = {f"{name}/size": "2048" for name in names if name not in ("sda1", "nvme0n1p2", "sr0")}
    files |= {"dm-0/dm/name": "vg0-root", "dm-0/slaves/sda1": "", "sr0/size": "0"}
    files |= {"loop0/loop/backing_file": "/srv/image.img", "loop1/loop/backing_file": "/var/lib/snapd/snaps/x_1.snap"}
    roots = tree(tmp_path, content, files)
    rows = {row.name: row for row in DisksCollector(roots).read().tables.disks or []}
    kinds = {name: row.kind for name, row in rows.items()}
    assert kinds == {"sda": "disk", "vg0-root": "mapped", "md127": "raid", "loop0": "loop", "nvme0n1": "disk"}
    assert rows["vg0-root"].device == "dm-0"
    assert rows["vg0-root"].parents == ["sda1"]
    with_partitions = {row.name for row in DisksCollector(roots, {"partitions": True}).read().tables.disks or []}
    assert with_partitions == set(rows) | {"sda1", "nvme0n1p2"}


def test_a_partition_is_known_by_its_name_alone() -> None:
    whole = {"sda", "sdaa", "nvme0n1", "mmcblk0", "md1", "md12", "dm-1"}
    assert whole_disk("sda12", whole) == "sda"
    assert whole_disk("sdaa", whole) == "sdaa"
    assert whole_disk("nvme0n1p3", whole) == "nvme0n1"
    assert whole_disk("mmcblk0p1", whole) == "mmcblk0"
    assert whole_disk("md12", whole) == "md12"
    assert kind_of("md12", whole) == "raid"
    assert kind_of("zram0", whole) == "memory"


def test_a_disk_that_vanishes_and_one_that_comes(tmp_path: Path) -> None:
    first = "8 0 sda 1 0 8 1 1 0 8 1 0 1 1\n8 16 sdb 1 0 8 1 1 0 8 1 0 1 1\n"
    collector = DisksCollector(tree(tmp_path, first))
    assert "disk.read:sdb" in collector.read().values
    (tmp_path / "proc" / "diskstats").write_text("8 0 sda 1 0 8 1 1 0 8 1 0 1 1\n8 32 sdc 1 0 8 1 1 0 8 1 0 1 1\n")
    reading = collector.read()
    assert "disk.read:sdb" not in reading.values
    assert "disk.read:sdc" in reading.values
    assert {row.name for row in reading.tables.disks or []} == {"sda", "sdc"}
    shutil.rmtree(tmp_path / "proc")
    with pytest.raises(NoData):
        collector.read()
