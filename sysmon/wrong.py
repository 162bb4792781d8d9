"""What is wrong with a host, in the order in which somebody woken at night should read it.

One pure function for the screen's first line and for `--once`: alerts that fire first, then saturation that pressure
shows, what the kernel killed,
what is full, what reports errors, and which collectors fail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from sysmon.frame import split_key
from sysmon.records import AlertState, Severity
from sysmon.units import format_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sysmon.derive import State
    from sysmon.frame import Fault

_ORDER: dict[Severity, int] = {"critical": 0, "warning": 1, "info": 2}


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong: how bad, in a few words, and the series it was seen in ('' for none)."""

    severity: Severity
    text: str
    key: str = ""


class _Check(msgspec.Struct, frozen=True):
    metric: str
    warning: float
    critical: float
    text: Callable[[str, float], str]


def _percent(words: str) -> Callable[[str, float], str]:
    def text(instance: str, value: float) -> str:
        return words.format(instance=instance, value=f"{value * 100:.0f} %")

    return text


_CHECKS = (
    _Check("pressure.memory.full", 0.05, 0.2, _percent("thrashing: all tasks wait for memory {value} of the time")),
    _Check("pressure.io.full", 0.2, 0.5, _percent("all tasks wait for disks {value} of the time")),
    _Check("pressure.cpu.some", 0.5, 0.9, _percent("tasks wait for a CPU {value} of the time")),
    _Check("memory.oom_kill_rate", 0.0, 0.0, lambda _, value: "the kernel is killing processes for want of memory"),
    _Check("memory.utilization", 0.92, 0.97, _percent("memory {value} used")),
    _Check("swap.utilization", 0.8, 0.95, _percent("swap {value} used")),
    _Check("cpu.steal", 0.1, 0.3, _percent("the hypervisor takes {value} of the CPU")),
    _Check("cpu.throttled", 0.1, 0.5, _percent("throttled by the CPU quota {value} of the time")),
    _Check("fs.utilization", 0.9, 0.97, _percent("{instance} is {value} full")),
    _Check("fs.inodes.utilization", 0.9, 0.97, _percent("{instance} has {value} of its inodes used")),
    _Check("disk.busy", 0.95, 2.0, _percent("{instance} is {value} busy")),
    _Check("net.errors", 1.0, 100.0, lambda instance, value: f"{instance}: {value:.0f} errors/s"),
    _Check("net.drops", 10.0, 1000.0, lambda instance, value: f"{instance}: {value:.0f} drops/s"),
    _Check("temperature", 90.0, 100.0, lambda instance, value: f"{instance} at {value:.0f} °C"),
)

_BY_METRIC = {check.metric: check for check in _CHECKS}
METRICS = tuple(_BY_METRIC)
"""The metrics judged without an alert rule, in the order in which they matter."""
_RANK = {metric: place for place, metric in enumerate(METRICS)}


def judge(values: Mapping[str, float], faults: Iterable[Fault] = ()) -> list[Finding]:
    """Returns what is wrong with values of `METRICS` by their keys, worst first: for who looks at many hosts.

    Args:
        values: by their keys; others are left alone.
        faults: of collectors: those that fail.
    """
    found = []
    for key, value in values.items():
        metric, instance = split_key(key)
        check = _BY_METRIC.get(metric)
        if check is not None and value > check.warning:
            severity: Severity = "critical" if value > check.critical else "warning"
            found.append(Finding(severity, check.text(instance, value), key))
    return sorted([*found, *_failing(faults)], key=_place)


def _failing(faults: Iterable[Fault]) -> set[Finding]:
    return {
        Finding("info", f"{fault.collector}: {fault.message}")
        for fault in faults
        if fault.kind in ("failed", "timeout")
    }


def _place(finding: Finding) -> tuple[int, int, str]:
    """Worst first, then as the metrics matter."""
    return _ORDER[finding.severity], _RANK.get(split_key(finding.key)[0], len(_RANK)), finding.text


def findings(state: State, alerts: Iterable[AlertState] = ()) -> list[Finding]:
    """Returns what is wrong now, worst first; empty when nothing is."""
    found: dict[str, Finding] = {}
    for alert in alerts:
        if alert.status == "firing":
            found.setdefault(alert.key, Finding(alert.severity, alert.message, alert.key))
    acknowledged = {alert.key for alert in alerts if alert.status == "acknowledged"}
    others = judge({**state.readings, **state.derived()}, state.faults)
    told = found.keys() | acknowledged
    return sorted([*found.values(), *(each for each in others if not each.key or each.key not in told)], key=_place)


def summary(state: State, limit: int = 3) -> str:
    """Returns one line for a terminal without a screen: the worst findings, or that nothing is wrong."""
    found = findings(state)
    if not found:
        return "nothing is wrong"
    more = f" (+{len(found) - limit} more)" if len(found) > limit else ""
    return "; ".join(finding.text for finding in found[:limit]) + more


def shown(state: State, key: str) -> str:
    """Returns a series' present value with its unit."""
    metric = state.catalogue.of_key(key)
    return format_value(state.get(key), metric.unit if metric else "")
