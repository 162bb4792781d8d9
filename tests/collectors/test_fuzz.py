"""Every file of captured machines, damaged in turn: a collector gives a reading or a fault, never another exception."""

import os
import random
from pathlib import Path

import pytest

from collectors.base import Collector, Roots
from collectors.registry import available
from sysmon.catalogue import Catalogue
from sysmon.errors import CollectorError, MalformedInput
from sysmon.frame import clean_text, split_key
from tests.collectors.trees import copied

ROUNDS = int(os.environ.get("SYSMON_FUZZ_ROUNDS", "1"))
"""Times that each file is damaged; more of them try other damage."""

SCRAPS = (
    *(b"", b" ", b"\n", b"\0", b":", b"-", b"/", b"-1", b"inf", b"nan", b"1e999", b"0x", b"1_0", b"../..", b"\\777"),
    *("²".encode(), b"\xff\xfe", b"\x1b[31m", b"18446744073709551615", b"9" * 30, b"9" * 5000, b"x" * 300),
)


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Cuts a file off, or puts scraps into it, or shuffles its lines, or makes it up."""
    way = rng.randrange(10)
    if way < 3:
        return data[: rng.randrange(len(data) + 1)]
    if way == 3:
        return rng.choice(SCRAPS)
    if way == 4:
        return rng.randbytes(rng.randrange(200))
    if way < 8:
        separator = b" " if way < 7 else b"\n"
        parts = data.split(separator)
        parts[rng.randrange(len(parts))] = rng.choice(SCRAPS)
        return separator.join(parts)
    if way == 8:
        lines = data.split(b"\n")
        rng.shuffle(lines)
        return b"\n".join(lines)
    out = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        start = rng.randrange(len(out) + 1)
        out[start : start + rng.randrange(6)] = rng.choice(SCRAPS)
    return bytes(out)


def check(made: type[Collector], roots: Roots) -> None:
    """Reads twice, as the second read goes by what was kept of the first."""
    catalogue = Catalogue(made.metrics)
    collector = made(roots)
    for _ in range(2):
        try:
            reading = collector.read()
        except (CollectorError, MalformedInput) as error:
            fault = collector.fault(error)
            assert fault.message and fault.kind != "timeout"
            continue
        for key, value in reading.values.items():
            metric, instance = split_key(key)
            described = catalogue.get(metric)
            assert described is not None and described.kind != "derived", key
            assert bool(instance) == bool(described.instance) or metric.endswith("cpu.time.idle"), key
            assert instance == clean_text(instance), key
            assert type(value) in (int, float) and value == value, key
        for fault in reading.faults:
            assert fault.collector == made.name and fault.message


@pytest.mark.parametrize(
    "name", ["vm-quiet", "host-hybrid", "vm-container", "processes/vm-quiet", "processes/host-hybrid"]
)
@pytest.mark.parametrize("number", range(ROUNDS))
def test_any_damage_is_a_reading_or_a_fault(name: str, number: int, tmp_path: Path) -> None:
    rng = random.Random(f"{name} {number}")
    roots = copied(name, tmp_path / "host")
    collectors = [made for made in available(roots) if made.name != "own"]  # that one reads this process alone
    files = sorted(path for path in roots.base.rglob("*") if path.is_file() and not path.is_symlink())
    assert len(collectors) > 12 and len(files) > 20
    for file in files:
        whole = file.read_bytes()
        cut = damaged(rng, whole)
        file.write_bytes(cut)
        for made in collectors:
            try:
                check(made, roots)
            except Exception as error:
                error.add_note(f"{made.name}, of {file.relative_to(roots.base)} = {cut[:200]!r}")
                raise
        file.write_bytes(whole)
