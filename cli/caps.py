"""Holds monthly caps against what was recorded, now and then, for the alert rules."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sysmon import caps
from sysmon.errors import SysmonError
from sysmon.frame import join_key
from sysmon.interfaces import counted
from sysmon.zones import zone_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.context import Context
    from cli.recording import Archive
    from cli.station import Station
    from sysmon.records import HostInfo

EVERY = 60.0
"""Seconds between two looks."""

FIRST = 5.0
"""Seconds until the first: a host must have said which interfaces it has."""


async def watch_caps(
    context: Context, station: Station, archive: Archive, local: Callable[[], str], *, every: float = EVERY
) -> None:
    """Gives the station's engine how the caps of each host that is recorded here stand, until it is cancelled.

    Args:
        context: the caps, and the clock.
        station: its hosts, and their interfaces.
        archive: the history, once there is one.
        local: id of this machine.
        every: seconds between two looks.
    """
    await asyncio.sleep(min(FIRST, every))
    while True:
        for info in list(station.infos.values()):
            await _look(context, station, archive, info, local())
        await asyncio.sleep(every)


async def _look(context: Context, station: Station, archive: Archive, info: HostInfo, local: str) -> None:
    own = [cap for cap in context.config.caps.values() if caps.applies(cap, info, local)]
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
