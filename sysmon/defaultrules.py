"""The alert rules that are on from the start; a rule of the same name in `[alerts.NAME]` changes or disables one.

Thresholds are meant to be quiet on a healthy machine: saturation by pressure rather than by use, and what will stop it.
"""

from __future__ import annotations

from sysmon.config import Rule

_MINUTE = 60.0

DEFAULT_RULES: tuple[Rule, ...] = (
    Rule(
        name="disk-full",
        metric="fs.utilization",
        above=0.90,
        clear=0.87,
        hold=5 * _MINUTE,
        severity="warning",
        help="A filesystem is filling up; find what grows and make room.",
    ),
    Rule(
        name="disk-full-critical",
        metric="fs.utilization",
        above=0.97,
        clear=0.95,
        hold=1 * _MINUTE,
        severity="critical",
        help="A filesystem is almost full; writes will fail soon.",
    ),
    Rule(
        name="inodes-full",
        metric="fs.inodes.utilization",
        above=0.95,
        clear=0.92,
        hold=5 * _MINUTE,
        severity="critical",
        help="A filesystem runs out of inodes; look for folders with very many small files.",
    ),
    Rule(
        name="memory-low",
        metric="memory.utilization",
        above=0.95,
        clear=0.90,
        hold=2 * _MINUTE,
        severity="warning",
        help="Little memory is available; the kernel may soon kill something.",
    ),
    Rule(
        name="memory-pressure",
        metric="pressure.memory.full",
        above=0.10,
        clear=0.05,
        hold=2 * _MINUTE,
        severity="critical",
        help="Everything waits for memory part of the time: the machine is thrashing.",
    ),
    Rule(
        name="cpu-pressure",
        metric="pressure.cpu.some",
        above=0.75,
        clear=0.60,
        hold=10 * _MINUTE,
        severity="warning",
        help="Tasks wait for a CPU most of the time.",
    ),
    Rule(
        name="io-pressure",
        metric="pressure.io.full",
        above=0.40,
        clear=0.25,
        hold=5 * _MINUTE,
        severity="warning",
        help="Everything waits for disks much of the time.",
    ),
    Rule(
        name="cpu-steal",
        metric="cpu.steal",
        above=0.20,
        clear=0.10,
        hold=10 * _MINUTE,
        severity="warning",
        help="The hypervisor gives this machine's CPU time to others.",
    ),
    Rule(
        name="oom-kill",
        metric="memory.oom_kill_rate",
        above=0.0,
        keep=5 * _MINUTE,
        severity="critical",
        help="The kernel killed a process for want of memory.",
    ),
    Rule(
        name="network-errors",
        metric="net.errors",
        above=10.0,
        clear=1.0,
        hold=5 * _MINUTE,
        severity="warning",
        help="An interface reports errors; check cable, driver and duplex.",
    ),
    Rule(
        name="traffic-cap",
        metric="cap.utilization",
        above=0.80,
        clear=0.79,
        severity="warning",
        help="Most of a monthly cap is used up; `sysmon devices` shows by whom.",
    ),
    Rule(
        name="traffic-cap-critical",
        metric="cap.utilization",
        above=0.98,
        clear=0.97,
        severity="critical",
        help="A monthly cap is used up.",
    ),
    Rule(
        name="temperature-high",
        metric="temperature",
        above=90.0,
        clear=85.0,
        hold=2 * _MINUTE,
        severity="warning",
        help="A sensor is very hot; check fans and load.",
    ),
    Rule(
        name="battery-low",
        metric="battery.charge",
        below=0.10,
        clear=0.15,
        severity="warning",
        help="The battery is almost empty.",
    ),
)
"""Rules by name, in the order in which they are listed."""
