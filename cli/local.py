"""This host as a source: its collectors, as configured, behind the runner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.base import Roots
from collectors.identity import boot_id, identify
from collectors.registry import build, names
from collectors.runner import Runner
from sysmon.version import version

if TYPE_CHECKING:
    from collections.abc import Collection

    from cli.context import Context


def make_runner(context: Context, *, interface: str | None = None, only: Collection[str] = ()) -> Runner:
    """Makes the runner of this host's collectors, none of which has read yet.

    Args:
        context: paths, catalogue and configuration.
        interface: a glob that network interfaces must match, or None for all.
        only: names of the collectors wanted; empty for all.
    """
    settings = context.config.collectors
    options = {name: each.options for name, each in settings.items()}
    if interface is not None:
        options["network"] = {**options.get("network", {}), "include": (interface,)}
    # Of interfaces that are not read the past is not wanted either.
    options["vnstat"] = {**options.get("network", {}), **options.get("vnstat", {})}
    roots = Roots()
    without = [name for name, each in settings.items() if not each.enabled]
    made, faults = build(roots, options, [*without, *(name for name in names() if only and name not in only)])
    return Runner(
        made,
        context.catalogue,
        identify(roots, context.places.state, version()),
        context.clock,
        intervals={name: each.interval for name, each in settings.items() if each.interval is not None},
        faults=faults,
        evidence=context.config.history.evidence,
    )


def own_host(context: Context) -> str:
    """Returns the id of this host."""
    return identify(Roots(), context.places.state, version()).host


def own_boot() -> str:
    """Returns the boot id of this host."""
    return boot_id(Roots())
