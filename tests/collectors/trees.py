"""Captured trees as roots, and containers made of them."""

import shutil
from pathlib import Path

from collectors.base import Collector, Reading, Roots
from sysmon.catalogue import Catalogue
from sysmon.derive import State
from sysmon.frame import Frame

FIXTURES = Path(__file__).parent.parent / "fixtures"
INTERVAL = 1_003_119_860
"""Nanoseconds between the starts of vm-load-t0 and vm-load-t1."""

CGROUP2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"


def tree(name: str) -> Roots:
    """The roots of a captured tree."""
    return Roots(base=FIXTURES / name, live=False)


def copied(name: str, base: Path) -> Roots:
    """A copy of a captured tree that a test may change."""
    base.mkdir(exist_ok=True)
    if (FIXTURES / name / ".dockerenv").exists():
        (base / ".dockerenv").touch()
    for part in ("proc", "sys", "etc"):
        if (FIXTURES / name / part).is_dir():
            shutil.copytree(FIXTURES / name / part, base / part, dirs_exist_ok=True)
    return Roots(base=base, live=False)


def put(base: Path, path: str, text: str) -> None:
    """Writes one file of a tree."""
    file = base / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def contain(base: Path, instant: str, group: str) -> Roots:
    """Makes, or moves on, a container of cgroup v2: it sees a group that was captured as the root of all."""
    shutil.copytree(FIXTURES / instant / "proc", base / "proc", dirs_exist_ok=True)
    shutil.copytree(
        FIXTURES / instant / "sys/fs/cgroup/system.slice" / group, base / "sys/fs/cgroup", dirs_exist_ok=True
    )
    put(base, "proc/self/mountinfo", CGROUP2)
    put(base, "proc/1/cgroup", "0::/\n")
    put(base, "run/systemd/container", "docker\n")
    return Roots(base=base, live=False)


def derived(metrics: type[Collector], before: Reading, now: Reading, elapsed: int = INTERVAL) -> dict[str, float]:
    """What is derived from two readings of one collector."""
    state = State(Catalogue(metrics.metrics))
    for seq, reading in enumerate((before, now)):
        at = 1_000_000_000 + seq * elapsed
        state.apply(
            Frame(
                host="h", boot="b", run="r", seq=seq + 1, time=0, monotonic=at,
                readings=reading.values, reads={metrics.name: at},
            )
        )  # fmt: skip
    return state.derived()


def known(metrics: type[Collector], reading: Reading) -> None:
    """Asserts that the collector declares every series it gives, and gives plain numbers."""
    catalogue = Catalogue(metrics.metrics)
    for key, value in reading.values.items():
        metric = catalogue.of_key(key)
        assert metric is not None, key
        assert metric.kind != "derived", key
        assert metric.collector == metrics.name
        assert type(value) in (int, float)
        assert value >= 0
