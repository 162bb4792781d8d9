"""Finds the collectors: every module of this package that exports `COLLECTOR` (a class) or `COLLECTORS` (several).

A module that cannot be imported becomes a fault while the others go on.
`python -m collectors.registry` prints docs/metrics.md.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import sys
from typing import TYPE_CHECKING, NamedTuple

import collectors
from collectors._slots import METRICS
from collectors.base import Collector
from sysmon import caps
from sysmon.catalogue import Catalogue, Formula, Metric
from sysmon.frame import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from collectors.base import Roots

_TOOLS = frozenset({"base", "capacity", "identity", "registry", "runner"})
"""Modules that hold no collector and need not be imported to know it."""


class Found(NamedTuple):
    """What a walk through the package found: collectors of every platform sorted by name, and modules that fail."""

    classes: tuple[type[Collector], ...]
    faults: tuple[Fault, ...]


def discover(folders: Iterable[str] | None = None, prefix: str = "collectors.") -> Found:
    """Imports every module in `folders` (this package by default) whose name has no leading underscore."""
    classes: list[type[Collector]] = []
    faults: list[Fault] = []
    for module in sorted(pkgutil.iter_modules(folders or collectors.__path__), key=lambda module: module.name):
        if module.name.startswith("_") or (folders is None and module.name in _TOOLS):
            continue
        try:
            loaded = importlib.import_module(prefix + module.name)
        except Exception as error:
            hint = "reinstall sysmon, or take its missing library from the message"
            message = f"{prefix}{module.name} cannot be imported: {type(error).__name__}: {error}"
            faults.append(Fault(module.name, "failed", message, hint))
            continue
        exported = (getattr(loaded, "COLLECTOR", None), *getattr(loaded, "COLLECTORS", ()))
        for found in exported:
            if isinstance(found, type) and issubclass(found, Collector) and found not in classes:
                classes.append(found)
    return Found(tuple(sorted(classes, key=lambda found: (found.name, found.platforms))), tuple(faults))


@functools.cache
def found() -> Found:
    """Returns what `discover` finds in this package, walked once."""
    return discover()


def available(
    roots: Roots, platform: str = sys.platform, options: Mapping[str, Mapping[str, object]] | None = None
) -> list[type[Collector]]:
    """Returns the collectors for a platform and this sort of host, one per name, sorted by name.

    Args:
        roots: a captured tree is always one of Linux, whatever reads it.
        platform: as `sys.platform`.
        options: by collector name.
    """
    wanted = platform if roots.live else "linux"
    chosen: dict[str, type[Collector]] = {}
    for each in found().classes:
        if wanted.startswith(each.platforms) and each.applies(roots, (options or {}).get(each.name, {})):
            chosen.setdefault(each.name, each)
    return list(chosen.values())


def build(
    roots: Roots, options: Mapping[str, Mapping[str, object]] | None = None, disabled: Iterable[str] = ()
) -> tuple[list[Collector], list[Fault]]:
    """Makes the collectors of this platform.

    Args:
        roots: where the kernel's files are.
        options: by collector name, as in `[collectors.NAME]`.
        disabled: names left out.

    Returns:
        The collectors, and a fault for each one that cannot be imported or made.
    """
    made: list[Collector] = []
    faults = list(found().faults)
    without = set(disabled)
    for each in available(roots, options=options):
        if each.name in without:
            continue
        try:
            made.append(each(roots, (options or {}).get(each.name)))
        except Exception as error:
            faults.append(Collector.fault(_Named(each.name), error))
    return made, faults


def names() -> list[str]:
    """Returns the names of the collectors of all platforms, sorted: what `[collectors.NAME]` may be called."""
    return sorted({each.name for each in found().classes})


def catalogue(platform: str = sys.platform) -> Catalogue:
    """Returns every metric: of the runner, of caps, of this platform's collectors, then of the others'."""
    ordered = sorted(found().classes, key=lambda each: not platform.startswith(each.platforms))
    return Catalogue([*METRICS, *caps.METRICS, *(metric for each in ordered for metric in each.metrics)])


def document(classes: Iterable[type[Collector]] | None = None) -> str:
    """Returns docs/metrics.md: a table of metrics per collector, those of Linux first."""
    lines = [
        "# Metrics",
        "",
        "Written by `python -m collectors.registry`; a test holds it against the code.",
        "",
        "A series is `metric` or `metric:instance`. Counters grow until their kernel, device or process starts anew;",
        "rates and ratios are derived from them on reading. A ratio is 0 to 1. What a host does not have is missing,",
        "never 0.",
    ]
    given = found().classes if classes is None else tuple(classes)
    ordered = sorted(given, key=lambda each: ("linux" not in each.platforms, each.name))
    seen: set[str] = set()
    for each in ordered:
        metrics = [metric for metric in each.metrics if metric.name not in seen]
        seen.update(metric.name for metric in metrics)
        if metrics:
            where = "" if "linux" in each.platforms else f" ({', '.join(each.platforms)})"
            lines += ["", f"## {each.name}{where}", "", *_introduction(each), *_table(metrics)]
    if classes is None:
        lines += ["", "## runner", "", "How sampling itself goes.", "", *_table(METRICS)]
        lines += ["", "## caps", "", "Worked out by whoever records, for alert rules; no frame holds them.", ""]
        lines += _table(caps.METRICS)
    return "\n".join(lines) + "\n"


def _introduction(each: type[Collector]) -> list[str]:
    pace = f"Read every {each.interval:g} s" + (", when somebody looks" if each.expensive else "") + "."
    said = each.help[:1].upper() + each.help[1:]
    return [f"{said}. {pace}" if said else pace, ""]


def _table(metrics: Iterable[Metric]) -> list[str]:
    rows = ["| metric | kind | unit | instance | what it is | from |", "|---|---|---|---|---|---|"]
    for metric in metrics:
        kind = metric.kind if metric.bits == 64 else f"{metric.kind}, {metric.bits} bit"
        origin = metric.source if metric.formula is None else _formula(metric.formula)
        cells = (f"`{metric.name}`", kind, metric.unit, metric.instance, metric.help, origin)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return rows


def _formula(formula: Formula) -> str:
    over = _sum(formula.over)
    if formula.kind == "rate":
        return f"{over} per second"
    per = _sum(formula.per)
    return f"increase of {over} / increase of {per}" if formula.kind == "delta_ratio" else f"{over} / {per}"


def _sum(parts: tuple[str, ...]) -> str:
    joined = " + ".join(f"`{name}`" for name in parts)
    return joined if len(parts) == 1 else f"({joined})"


class _Named(Collector):
    """Stands in for a collector that could not be made, to word its fault."""

    name = ""

    def __init__(self, name: str) -> None:
        self.name = name  # type: ignore[misc]


if __name__ == "__main__":
    sys.stdout.write(document())
