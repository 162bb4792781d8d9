"""Holds monthly caps against what was recorded, now and then, for the alert rules."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cli.configuration import load_config, stamp
from sysmon import caps
from sysmon.errors import SysmonError
from sysmon.frame import join_key
from sysmon.interfaces import counted
from sysmon.zones import zone_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cli.context import Context
    from cli.recording import Archive
    from cli.station import Station
    from sysmon.config import CapSettings
    from sysmon.records import HostInfo

EVERY = 60.0
"""Seconds between two looks."""

SETTLED = 1.0
"""Seconds for which a file that was changed must stay as it is."""

FIRST = 5.0
"""Seconds until the first: a host must have said which interfaces it has."""


async def watch_caps(
    context: Context, station: Station, archive: Archive, local: Callable[[], str], *, every: float = EVERY
) -> None:
    """Gives the station's engine how the caps of each host that is recorded here stand, until it is cancelled.

    Caps that are changed in the file are taken up at the next look; while it has mistakes, they stay as they were.

    Args:
        context: the caps, their file, and the clock.
        station: its hosts, and their interfaces.
        archive: the history, once there is one.
        local: id of this machine.
        every: seconds between two looks.
    """
    known: Mapping[str, CapSettings] = context.config.caps
    seen = stamp(context.places.config)
    await asyncio.sleep(min(FIRST, every))
    while True:
        now = stamp(context.places.config)
        if now != seen:
            # An editor may take its time to write.
            await asyncio.sleep(min(SETTLED, every))
            if stamp(context.places.config) == now:
                known, seen = _read(context, known), now
        for info in list(station.infos.values()):
            await _look(context, station, archive, info, local(), known)
        await asyncio.sleep(every)


def _read(context: Context, known: Mapping[str, CapSettings]) -> Mapping[str, CapSettings]:
    """Returns the caps that the file has now."""
    try:
        return load_config(context.places.config, context.catalogue, named=context.places.config_named).caps
    except SysmonError:
        # Whoever follows the hosts of the file says so.
        return known


async def _look(
    context: Context,
    station: Station,
    archive: Archive,
    info: HostInfo,
    local: str,
    known: Mapping[str, CapSettings],
) -> None:
    own = [cap for cap in known.values() if caps.applies(cap, info, local)]
    engine, history = station.engine, archive.history
    if engine is None or history is None:
        return
    if not own:
        # An alert of a cap that is configured no more ends.
        engine.give(info.id, {})
        return
    state = station.states.get(info.id)
    rows = state.tables.interfaces if state is not None else None
    values: dict[str, float] = {}
    for cap in own:
        try:
            found = await caps.standing(
                cap, history, info.id, context.clock.now(), zone_of(info.timezone), counted(rows or ())
            )
        except SysmonError:
            # The history cannot be asked now, which is told elsewhere: what was known stays.
            return
        if found is not None:
            values[join_key(caps.UTILIZATION, cap.name)] = found.utilization
            if found.forecast is not None:
                values[join_key(caps.FORECAST, cap.name)] = found.forecast
    engine.give(info.id, values)
