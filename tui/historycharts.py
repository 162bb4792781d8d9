"""Which series the History screen draws together: the sensible set, and what somebody chose. No Textual here."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from sysmon.frame import join_key, split_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sysmon.catalogue import Catalogue, Metric

MOST_LINES: Final = 8
"""Lines in one chart; more cannot be told apart."""

_DEFAULTS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("CPU", ("cpu.utilization", "cpu.iowait", "cpu.steal")),
    ("Memory", ("memory.utilization", "swap.utilization")),
    ("Network", ("net.receive_rate", "net.transmit_rate")),
    ("Disk transfers", ("disk.read_rate", "disk.write_rate")),
    ("Pressure", ("pressure.cpu.some", "pressure.memory.some", "pressure.io.some")),
    ("Load", ("load.1", "load.5", "load.15")),
    ("Disks busy", ("disk.busy",)),
    ("Filesystems", ("fs.utilization",)),
)

_FAMILIES: Final = {
    "cpu": "CPU", "memory": "Memory", "net": "Network", "disk": "Disks", "fs": "Filesystems", "pressure": "Pressure",
    "load": "Load", "gpu": "GPU", "temperature": "Temperature", "sysmon": "sysmon itself", "tcp": "TCP", "udp": "UDP",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: a title, the unit of its axis, and what to read: (metric, glob over instances)."""

    title: str
    unit: str
    wanted: tuple[tuple[str, str], ...]


def default_charts(
    keys: Collection[str], catalogue: Catalogue, interface: str = "", disks: Sequence[str] = ()
) -> list[Chart]:
    """The sensible set, of what the host has.

    Args:
        keys: the series keys known of the host.
        catalogue: for units.
        interface: the one that the default route goes through; '' draws the first that is no loopback.
        disks: whole disks; empty draws every instance.
    """
    known: dict[str, list[str]] = {}
    for key in keys:
        metric, instance = split_key(key)
        known.setdefault(metric, []).append(instance)
    charts: list[Chart] = []
    for title, metrics in _DEFAULTS:
        wanted: list[tuple[str, str]] = []
        name = title
        for metric in metrics:
            if metric not in known:
                continue
            instances = sorted(known[metric])
            if metric.startswith("net."):
                chosen = interface if interface in instances else _first_interface(instances)
                wanted.append((metric, chosen))
                name = f"Network {chosen}"
            elif metric.startswith("disk."):
                present = [disk for disk in disks if disk in instances] or instances
                wanted += [(metric, disk) for disk in present[: MOST_LINES // len(metrics)]]
            else:
                wanted.append((metric, "*"))
        if wanted:
            charts.append(Chart(name, unit_of(catalogue.get(metrics[0])), tuple(wanted)))
    return charts


def _first_interface(instances: Sequence[str]) -> str:
    real = [name for name in instances if not name.startswith(("lo", "veth", "docker", "br-", "virbr"))]
    return (real or list(instances))[0]


def unit_of(metric: Metric | None) -> str:
    """The unit of a chart's axis; a counter is drawn as it stands."""
    return metric.unit if metric is not None else ""


def chosen_charts(patterns: Iterable[str], catalogue: Catalogue) -> list[Chart]:
    """Charts of chosen series: those of one family and unit together.

    Args:
        patterns: series keys, instances by glob (`fs.utilization:/srv*`), in the order to draw.
    """
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for pattern in patterns:
        metric, instance = split_key(pattern)
        unit = unit_of(catalogue.get(metric))
        groups.setdefault((_family(metric), unit), []).append((metric, instance or "*"))
    titles = [family for family, _ in groups]
    return [
        Chart(family if titles.count(family) == 1 else f"{family}, {unit or 'numbers'}", unit, tuple(wanted))
        for (family, unit), wanted in groups.items()
    ]


def _family(metric: str) -> str:
    host = metric.startswith("host.")
    first = metric.removeprefix("host.").split(".")[0]
    first = "memory" if first == "swap" else first
    name = _FAMILIES.get(first, first)
    return f"{name} of the whole host" if host else name


def matching(patterns: Iterable[str], keys: Iterable[str]) -> list[str]:
    """The keys that any of the patterns means, in the keys' order."""
    wanted = [split_key(pattern) for pattern in patterns]
    found = []
    for key in keys:
        metric, instance = split_key(key)
        if any(
            metric == name and (glob in ("", "*", instance) or fnmatchcase(instance, glob)) for name, glob in wanted
        ):
            found.append(key)
    return found


def patterns_of(charts: Iterable[Chart]) -> list[str]:
    """The patterns that charts were made of."""
    return [join_key(metric, "" if glob == "*" else glob) for chart in charts for metric, glob in chart.wanted]
