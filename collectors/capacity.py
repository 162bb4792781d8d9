"""Whether this is a container, and what its control group allows and has used.

The cgroup's quota is the capacity only in a container. It is one when a container manager says so and the process does
not live in the first PID namespace: started with the host's PIDs, or in a mere service or slice, sysmon looks at the
host. The control group is that of the container as a whole (of its process 1), not sysmon's own.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from collectors._cgroups import (
    Mount,
    parse_cgroups,
    parse_cpu_list,
    parse_cpu_max,
    parse_flat,
    parse_limit,
    parse_mounts,
    whole,
)
from collectors.base import read_file
from sysmon.errors import CollectorError, MalformedInput
from sysmon.frame import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from collectors.base import Roots
    from sysmon.catalogue import Metric

FIRST_PID_NAMESPACE = "pid:[4026531836]"
"""PROC_PID_INIT_INO of include/linux/proc_ns.h."""

_MARKS = ((".dockerenv", "docker"), ("run/.containerenv", "podman"))
_PATHS = (
    ("/kubepods", "kubernetes"),
    ("/docker", "docker"),
    ("/libpod", "podman"),
    ("/lxc", "lxc"),
    ("/machine.slice/", "systemd-nspawn"),
)


class CpuUsage(NamedTuple):
    """What a control group has used of the processors, in seconds since it was made, and how it was throttled."""

    total: float
    user: float | None = None
    system: float | None = None
    periods: int | None = None
    throttled_periods: int | None = None
    throttled: float | None = None


class MemoryUsage(NamedTuple):
    """What a control group uses of memory, bytes; `used` without page cache that the kernel would drop first."""

    current: int
    used: int
    cached: int | None = None
    swap: int | None = None
    swap_limit: int | None = None
    major_faults: int | None = None
    oom_kills: int | None = None


def container_kind(roots: Roots) -> str:
    """Returns the kind of container that the host looked at is ('docker', 'podman', 'lxc', …), or ''."""
    base = str(roots.base)
    if (
        _link(f"{base}/proc/1/ns/pid") == FIRST_PID_NAMESPACE
        or _link(f"{base}/proc/self/ns/pid") == FIRST_PID_NAMESPACE
    ):
        return ""
    named = _text(f"{base}/run/systemd/container").strip()
    if named:
        return clean_text(named, 40)
    for item in _text(f"{base}/proc/1/environ").split("\0"):
        if item.startswith("container=") and len(item) > 10:
            return clean_text(item[10:], 40)
    groups = _text(f"{base}/proc/1/cgroup")
    if os.path.isdir(f"{base}/run/secrets/kubernetes.io") or os.path.isdir(f"{base}/var/run/secrets/kubernetes.io"):
        return "kubernetes"
    for mark, kind in _MARKS:
        if os.path.exists(f"{base}/{mark}"):
            return kind
    return next((kind for path, kind in _PATHS if path in groups), "")


class Cgroup:
    """The control group of a container: its limits and its use, in version 1, 2 or both side by side."""

    def __init__(self, roots: Roots) -> None:
        """Finds the group's folders; those that are not there give None when asked."""
        base = str(roots.base).rstrip("/")
        groups: dict[str, str] = {}
        for owner in ("1", "self"):
            try:
                groups = parse_cgroups(read_file(f"{base}/proc/{owner}/cgroup"))
                break
            except (CollectorError, MalformedInput):
                continue
        mounts = parse_mounts(_text(f"{base}/proc/self/mountinfo"))
        self._folders = {
            controller: list(_folders(base, controller, groups, mounts))
            for controller in ("cpu", "cpuacct", "cpuset", "memory", "pids", "")
        }
        self._second = {name: not folders for name, folders in self._folders.items()}
        for name, folders in self._folders.items():
            if name and not folders:
                self._folders[name] = self._folders[""]

    def cpu_limit(self) -> float | None:
        """Returns the cores that quota and cpuset allow, or None without a limit."""
        limits: list[float | None] = []
        for folder in self._folders["cpu"]:
            if self._second["cpu"]:
                path = f"{folder}/cpu.max"
                limits.append(parse_cpu_max(text, path) if (text := _text(path)) else None)
            else:
                quota, period = _text(f"{folder}/cpu.cfs_quota_us"), _text(f"{folder}/cpu.cfs_period_us")
                if quota and period and not quota.startswith("-"):
                    limits.append(parse_cpu_max(f"{quota.strip()} {period.strip()}", f"{folder}/cpu.cfs_quota_us"))
        names = ("cpuset.cpus.effective",) if self._second["cpuset"] else ("cpuset.effective_cpus", "cpuset.cpus")
        for folder in self._folders["cpuset"][:1]:
            listed = next((text for name in names if (text := _text(f"{folder}/{name}").strip())), "")
            if listed:
                limits.append(float(parse_cpu_list(listed, f"{folder}/{names[0]}")))
        return min((limit for limit in limits if limit), default=None)

    def cpu_usage(self) -> CpuUsage | None:
        """Returns the processor time used by the group, or None where its files do not tell.

        Raises:
            MalformedInput: a file is not of its documented form.
        """
        folders = self._folders["cpu"]
        if not folders:
            return None
        path = f"{folders[0]}/cpu.stat"
        stat = parse_flat(_text(path), path)
        if "usage_usec" in stat:
            user, system = stat.get("user_usec"), stat.get("system_usec")
            return CpuUsage(
                stat["usage_usec"] / 1e6,
                None if user is None else user / 1e6,
                None if system is None else system / 1e6,
                stat.get("nr_periods"),
                stat.get("nr_throttled"),
                None if (throttled := stat.get("throttled_usec")) is None else throttled / 1e6,
            )
        for folder in self._folders["cpuacct"]:
            path = f"{folder}/cpuacct.usage"
            if text := _text(path):
                split = parse_flat(_text(f"{folder}/cpuacct.stat"), f"{folder}/cpuacct.stat")
                tick = os.sysconf("SC_CLK_TCK")
                user, system = split.get("user"), split.get("system")
                throttled = stat.get("throttled_time")
                return CpuUsage(
                    whole(text, path) / 1e9,
                    None if user is None else user / tick,
                    None if system is None else system / tick,
                    stat.get("nr_periods"),
                    stat.get("nr_throttled"),
                    None if throttled is None else throttled / 1e9,
                )
        return None

    def memory_limit(self) -> int | None:
        """Returns the bytes allowed, the least of the group's and its visible ancestors', or None without a limit."""
        name = "memory.max" if self._second["memory"] else "memory.limit_in_bytes"
        limits = [
            parse_limit(text, f"{folder}/{name}")
            for folder in self._folders["memory"]
            if (text := _text(f"{folder}/{name}"))
        ]
        return min((limit for limit in limits if limit is not None), default=None)

    def memory_usage(self) -> MemoryUsage | None:
        """Returns what the group uses, or None where its files do not tell.

        Raises:
            MalformedInput: a file is not of its documented form.
        """
        if not self._folders["memory"]:
            return None
        folder, second = self._folders["memory"][0], self._second["memory"]
        path = f"{folder}/memory.current" if second else f"{folder}/memory.usage_in_bytes"
        text = _text(path)
        if not text:
            return None
        current = whole(text, path)
        stat = parse_flat(_text(f"{folder}/memory.stat"), f"{folder}/memory.stat")
        prefix = "" if second else "total_"
        events = f"{folder}/memory.events" if second else f"{folder}/memory.oom_control"
        return MemoryUsage(
            current,
            max(0, current - stat.get(f"{prefix}inactive_file", 0)),
            stat.get("file" if second else "total_cache"),
            *self._swap(folder, second, current),
            stat.get(f"{prefix}pgmajfault"),
            parse_flat(_text(events), events).get("oom_kill"),
        )

    def tasks(self) -> int | None:
        """Returns the number of threads in the group, or None where its files do not tell.

        Raises:
            MalformedInput: the file is not of its documented form.
        """
        for folder in self._folders["pids"][:1]:
            path = f"{folder}/pids.current"
            if text := _text(path):
                return whole(text, path)
        return None

    def pressure(self, resource: str) -> str | None:
        """Returns the group's path of `cpu`, `memory`, `io` or `irq` pressure, or None (version 1 has none)."""
        if self._second["cpu"]:
            for folder in self._folders[""][:1]:
                path = f"{folder}/{resource}.pressure"
                if os.path.exists(path):
                    return path
        return None

    @staticmethod
    def _swap(folder: str, second: bool, current: int) -> tuple[int | None, int | None]:
        if second:
            used, limit = f"{folder}/memory.swap.current", f"{folder}/memory.swap.max"
            text, most = _text(used), _text(limit)
            return whole(text, used) if text else None, parse_limit(most, limit) if most else None
        both, most = f"{folder}/memory.memsw.usage_in_bytes", f"{folder}/memory.memsw.limit_in_bytes"
        text = _text(both)
        if not text:
            return None, None
        total, memory = parse_limit(_text(most) or "max", most), _text(f"{folder}/memory.limit_in_bytes")
        ram = parse_limit(memory, folder) if memory else None
        allowed = None if total is None or ram is None else max(0, total - ram)
        return max(0, whole(text, both) - current), allowed


def container_cgroup(roots: Roots) -> Cgroup | None:
    """Returns the container's control group, or None outside of a container."""
    return Cgroup(roots) if container_kind(roots) else None


def of_host(metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """Returns the metrics again under `host.`: those of the machine that a limited container runs on."""
    return tuple(_of_host(metric) for metric in metrics)


def host_values(values: Mapping[str, int | float]) -> dict[str, int | float]:
    """Returns readings under `host.`."""
    return {f"host.{key}": value for key, value in values.items()}


def _of_host(metric: Metric) -> Metric:
    formula = metric.formula
    if formula is not None:
        over, per = (tuple(f"host.{name}" for name in names) for names in (formula.over, formula.per))
        formula = msgspec.structs.replace(formula, over=over, per=per)
    text = f"{metric.help} (of the host, where this is a container with limits)"
    return msgspec.structs.replace(metric, name=f"host.{metric.name}", help=text, formula=formula)


def _folders(base: str, controller: str, groups: dict[str, str], mounts: list[Mount]) -> Iterator[str]:
    """Yields the group's folder of one controller, then its ancestors up to the mount."""
    group = groups.get(controller)
    mount = next(
        (each for each in mounts if (controller in each.controllers) or (not controller and not each.controllers)), None
    )
    if group is None or mount is None:
        return
    for tail in ("/init.scope", "/init"):
        group = group.removesuffix(tail)
    if mount.root != "/" and (group + "/").startswith(mount.root + "/"):
        group = group[len(mount.root) :]
    top = base + mount.folder
    folder = os.path.normpath(f"{top}/{group}")
    if not folder.startswith(top) or not os.path.isdir(folder):
        folder = top
    while True:
        yield folder
        if len(folder) <= len(top):
            return
        folder = folder.rpartition("/")[0]


def _text(path: str) -> str:
    """Reads a small file; '' where it cannot be read."""
    try:
        return read_file(path, 1 << 20)
    except CollectorError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
