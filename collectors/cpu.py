"""Processor time by state and per core, context switches, interrupts, runnable and blocked tasks, from /proc/stat.

In a container with a quota or a cpuset the capacity is what those allow: `cpu.*` come from its control group, and the
machine's own are `host.cpu.*`. The kernel counts tasks of all containers together: in any of them these are
`host.processes.*`.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from collectors.base import Collector, Reading, malformed, read_file
from collectors.capacity import container_cgroup, host_values, of_host
from collectors.uptime import parse_uptime
from sysmon.catalogue import Formula, counter, derived, gauge, rate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.base import Roots
    from collectors.capacity import CpuUsage
    from sysmon.catalogue import Metric
    from sysmon.frame import Number

CLOCK_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
"""Ticks per second of the times in /proc/stat (USER_HZ)."""

STATES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
"""States of a processor in the order of /proc/stat; guest time is part of user and nice and is not counted twice."""

WOBBLE = 3 * CLOCK_TICKS
"""Ticks by which the kernel's idle times may fall for a moment; a fall by more is a reset."""

_LARGEST = 1 << 63
_TIMES = tuple(f"cpu.time.{state}" for state in STATES)
_BUSY = tuple(f"cpu.time.{state}" for state in ("user", "nice", "system", "irq", "softirq", "steal"))
_KEYS = {
    "ctxt": "cpu.context_switches",
    "intr": "cpu.interrupts",
    "processes": "processes.created",
    "procs_running": "processes.running",
    "procs_blocked": "processes.blocked",
    "btime": "boot.time",
}
_HELP = {
    "user": "Time in programs at normal priority",
    "nice": "Time in programs at lowered priority",
    "system": "Time in the kernel",
    "idle": "Time with nothing to do",
    "iowait": "Time idle with I/O outstanding",
    "irq": "Time serving hardware interrupts",
    "softirq": "Time serving soft interrupts",
    "steal": "Time taken by the hypervisor for others",
}


class KernelStat(NamedTuple):
    """What is used of /proc/stat.

    Attributes:
        total: ticks by state, in the order of `STATES`, as many as the kernel has.
        cores: number of each online core -> its ticks busy and idle (iowait included).
        others: series key -> value of the lines beside the processors'.
    """

    total: list[int]
    cores: dict[int, tuple[int, int]]
    others: dict[str, int]


def parse_stat(text: str, path: str = "/proc/stat") -> KernelStat:
    """Parses /proc/stat.

    Raises:
        MalformedInput: no line of all processors, or a line that is not numbers.

    Source: proc(5). Same numbers as `vmstat -s`.
    """
    total: list[int] = []
    cores: dict[int, tuple[int, int]] = {}
    others: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        try:
            if line.startswith("cpu"):
                name, *fields = line.split()
                ticks = [int(field) for field in fields[:8]]
                if len(ticks) < 4 or min(ticks) < 0 or max(ticks) >= _LARGEST:
                    raise ValueError
                if name == "cpu":
                    total = ticks
                else:
                    idle = ticks[3] + (ticks[4] if len(ticks) > 4 else 0)
                    cores[_core(name)] = (sum(ticks) - idle, idle)
            elif key := _KEYS.get(line.partition(" ")[0]):
                value = int(line.split(None, 2)[1])
                if not 0 <= value < _LARGEST:
                    raise ValueError
                others[key] = value
        except (ValueError, IndexError):
            raise malformed(path, number, line, "a line of counters") from None
    if not total:
        raise malformed(path, 1, text, "a list of processors' times")
    return KernelStat(total, cores, others)


def _core(name: str) -> int:
    number = name[3:]
    if not number.isascii() or not number.isdecimal() or len(number) > 6:
        raise ValueError
    return int(number)


def _ratio(name: str, over: tuple[str, ...], help: str) -> Metric:
    return derived(name, "ratio", help, Formula("delta_ratio", over, _TIMES, 1.0))


_CPU: tuple[Metric, ...] = (
    *(counter(f"cpu.time.{state}", "seconds", _HELP[state], "/proc/stat") for state in STATES),
    counter("cpu.time.busy", "seconds", "Time in which a core was not idle", "/proc/stat", instance="core"),
    _ratio("cpu.utilization", _BUSY, "Share of all processor time in use"),
    _ratio("cpu.user", ("cpu.time.user",), "Share in programs at normal priority"),
    _ratio("cpu.nice", ("cpu.time.nice",), "Share in programs at lowered priority"),
    _ratio("cpu.system", ("cpu.time.system",), "Share in the kernel"),
    _ratio("cpu.iowait", ("cpu.time.iowait",), "Share idle with I/O outstanding"),
    _ratio("cpu.irq", ("cpu.time.irq", "cpu.time.softirq"), "Share serving interrupts"),
    _ratio("cpu.steal", ("cpu.time.steal",), "Share taken by the hypervisor for others"),
    derived(
        "cpu.core.utilization",
        "ratio",
        "Share of a core's time in use",
        Formula("delta_ratio", ("cpu.time.busy",), ("cpu.time.busy", "cpu.time.idle"), 1.0),
        instance="core",
    ),
    gauge("cpu.cores", "", "Processors online", "/proc/stat"),
)

_SWITCHES: tuple[Metric, ...] = (
    counter("cpu.context_switches", "", "Switches from one task to another", "/proc/stat"),
    rate("cpu.context_switch_rate", "cpu.context_switches", "/s", "Switches from one task to another"),
    counter("cpu.interrupts", "", "Interrupts served", "/proc/stat"),
    rate("cpu.interrupt_rate", "cpu.interrupts", "/s", "Interrupts served"),
)
_TASKS: tuple[Metric, ...] = (
    counter("processes.created", "", "Processes and threads started", "/proc/stat"),
    rate("processes.created_rate", "processes.created", "/s", "Processes and threads started"),
    gauge("processes.running", "", "Tasks that run or could run", "/proc/stat"),
    gauge("processes.blocked", "", "Tasks waiting for I/O", "/proc/stat"),
)


class CpuCollector(Collector):
    """Processor time; see the module."""

    name = "cpu"
    help = "Processor time by state and per core, context switches, interrupts, new processes"
    metrics = (
        *_CPU,
        *of_host(_CPU),
        gauge("cpu.capacity", "", "Processors that quota and cpuset allow this container", "cgroup", precision=2),
        counter("cpu.throttled.time", "seconds", "Time for which this container's quota held it back", "cpu.stat"),
        counter("cpu.throttled.periods", "", "Periods in which this container's quota held it back", "cpu.stat"),
        counter("cpu.quota.periods", "", "Periods in which this container ran", "cpu.stat"),
        derived(
            "cpu.throttled",
            "ratio",
            "Share of periods in which this container's quota held it back",
            Formula("delta_ratio", ("cpu.throttled.periods",), ("cpu.quota.periods",), 1.0),
        ),
        *_SWITCHES,
        *of_host(_SWITCHES),
        *_TASKS,
        *of_host(_TASKS),
        gauge("boot.time", "seconds", "When the host booted, Unix time", "/proc/stat"),
    )

    def __init__(self, roots: Roots, options: Mapping[str, object] | None = None) -> None:
        super().__init__(roots, options)
        self._path = f"{roots.proc}/stat"
        self._group = container_cgroup(roots)
        self._idle: dict[int, int] = {}
        self._total_idle: dict[int, int] = {}
        self._core_keys: dict[int, tuple[str, str]] = {}
        self._group_idle: tuple[float, float, float] | None = None

    def read(self) -> Reading:
        """Reads /proc/stat, and the control group in a container."""
        total, cores, others = parse_stat(read_file(self._path), self._path)
        values: dict[str, Number] = {}
        for index, ticks in enumerate(total):
            steady = _steady(self._total_idle, index, ticks) if index in (3, 4) else ticks
            values[_TIMES[index]] = steady / CLOCK_TICKS
        for number, (busy, idle) in cores.items():
            keys = self._core_keys.get(number)
            if keys is None:
                keys = self._core_keys[number] = (f"cpu.time.busy:{number}", f"cpu.time.idle:{number}")
            values[keys[0]] = busy / CLOCK_TICKS
            values[keys[1]] = _steady(self._idle, number, idle) / CLOCK_TICKS
        values["cpu.cores"] = len(cores)
        if self._group is None:
            return Reading(values | others)
        tasks = {key: others.pop(key) for key in list(others) if key.startswith("processes.")}
        boot = {key: others.pop(key) for key in list(others) if key == "boot.time"}
        values.update(others)
        limit = self._group.cpu_limit()
        usage = self._group.cpu_usage() if limit is not None and limit < len(cores) else None
        if limit is not None and usage is not None:
            values = host_values(values) | self._of_group(limit, usage)
        return Reading(values | boot | host_values(tasks))

    def _of_group(self, limit: float, usage: CpuUsage) -> dict[str, Number]:
        """Returns the container's own times; idle is what its capacity would have allowed and it did not use.

        A group has no idle counter. It is summed up from read to read, so that a changed quota leaves the past alone.
        """
        now = self._elapsed()
        if self._group_idle is None:
            idle = max(0.0, limit * now - usage.total)
        else:
            before, used, idle = self._group_idle
            if usage.total >= used:
                idle += max(0.0, limit * (now - before) - (usage.total - used))
        self._group_idle = (now, usage.total, idle)
        values: dict[str, Number] = {"cpu.capacity": limit, "cpu.time.idle": idle}
        if usage.user is None or usage.system is None:
            values["cpu.time.user"] = usage.total
        else:
            # The kernel scales user and system so that they may fall behind their exact sum; the rest is system's.
            values["cpu.time.user"] = usage.user
            values["cpu.time.system"] = max(usage.system, usage.total - usage.user)
        throttling = {
            "cpu.throttled.time": usage.throttled,
            "cpu.throttled.periods": usage.throttled_periods,
            "cpu.quota.periods": usage.periods,
        }
        values.update({key: value for key, value in throttling.items() if value is not None})
        return values

    def _elapsed(self) -> float:
        """Returns seconds since boot: of this machine's clock, or as the captured tree says."""
        if self.roots.live and hasattr(time, "CLOCK_BOOTTIME"):
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        path = f"{self.roots.proc}/uptime"
        return parse_uptime(read_file(path), path)


def _steady(kept: dict[int, int], index: int, ticks: int) -> int:
    """Keeps an idle time from falling for a moment, as the kernel lets it when a core stops and starts its tick."""
    before = kept.get(index, 0)
    if 0 < before - ticks <= WOBBLE:
        return before
    kept[index] = ticks
    return ticks


COLLECTOR = CpuCollector
