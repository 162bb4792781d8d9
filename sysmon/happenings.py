"""Events that frames themselves tell of: a reboot, a restarted agent, processes killed for want of memory."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sysmon.records import Event
from sysmon.units import format_duration

if TYPE_CHECKING:
    from sysmon.derive import State
    from sysmon.frame import Frame
    from sysmon.records import Severity

OOM_KILLS = "memory.oom_kills"


def happenings(state: State, frame: Frame) -> list[Event]:
    """Compares a frame with the state before it.

    Args:
        state: the host's state, `frame` not yet applied.
        frame: the next live frame.

    Returns:
        Events with ids that are the same for everybody who sees these frames.
    """
    last = state.frame
    if last is None:
        return []
    if last.boot != frame.boot:
        away = format_duration(max(0, frame.time - last.time) / 1000)
        return [_event(frame, "boot", "warning", f"the host was rebooted; no data for {away}", frame.boot)]
    found = []
    if last.run != frame.run and frame.seq == 1:
        away = format_duration(max(0.0, (frame.monotonic - last.monotonic) / 1e9))
        found.append(_event(frame, "run", "info", f"sysmon was started again; no data for {away}", frame.run))
    before, now = state.get(OOM_KILLS), frame.readings.get(OOM_KILLS)
    if before is not None and now is not None and now > before:
        killed = int(now - before)
        what = "a process" if killed == 1 else f"{killed} processes"
        found.append(_event(frame, "oom", "critical", f"the kernel killed {what} for want of memory", str(now)))
    return found


def _event(frame: Frame, kind: str, severity: Severity, message: str, mark: str) -> Event:
    name = "\0".join((frame.host, frame.boot, kind, mark))
    return Event(
        id=hashlib.blake2b(name.encode(), digest_size=8).hexdigest(),
        time=frame.time,
        host=frame.host,
        kind=kind,
        severity=severity,
        message=message,
    )
