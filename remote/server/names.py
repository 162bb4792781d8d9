"""Hosts and metrics by the names that people give, and what to say where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sysmon.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sysmon.records import HostInfo


class NotThere(UsageError):
    """What was asked for by name is not there: HTTP 404."""


class UnknownHost(NotThere):
    """No host, or more than one, goes by that name."""


def find_host(hosts: Iterable[HostInfo], name: str) -> str:
    """Returns the id of a host given by id, configured name or hostname.

    Raises:
        UnknownHost: no host or several have that name; names the nearest, or all.
    """
    infos = list(hosts)
    low = name.lower()
    for label in ("id", "name", "hostname"):
        found = sorted({info.id for info in infos if getattr(info, label).lower() == low})
        if len(found) == 1:
            return found[0]
        if found:
            raise UnknownHost(f"'{name}' is the {label} of {len(found)} hosts", f"use an id: {', '.join(found[:20])}")
    known = {info.label for info in infos}
    hint = nearest(name, known) or (f"known: {', '.join(sorted(known)[:20])}" if known else "no host is known yet")
    raise UnknownHost(f"'{name[:100]}' is not a host known here", hint)
