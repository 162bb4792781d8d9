"""Events that frames themselves tell of: a reboot, a restarted agent, a clock that was set, processes killed for want
of memory.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sysmon.records import Event
from sysmon.units import format_duration, plain_duration

if TYPE_CHECKING:
    from sysmon.derive import State
    from sysmon.frame import Frame
    from sysmon.records import Severity

OOM_KILLS = "memory.oom_kills"
CLOCK_STEP = 2_000
"""Milliseconds by which a host's clock must have moved against its boot clock to have been set."""
CLOCK_DRIFT = 0.001
"""Part of the time elapsed by which a clock may drift, or be slewed, without having been set."""
RUNS = 16
"""Runs of one host that are remembered, so that two that alternate are told once."""


class Happenings:
    """What has happened on one host, from one live frame to the next."""

    def __init__(self) -> None:
        self._runs: list[str] = []
        self._boots: list[str] = []
        self._where = ""
        self._offset: int | None = None
        self._boot = ""
        self._monotonic = 0
        self._clock_told = False

    def told_clock(self) -> None:
        """Notes that the host itself has told that its clock was set."""
        self._clock_told = True

    def take(self, state: State, frame: Frame, where: str = "") -> list[Event]:
        """Compares a frame with the state before it.

        Args:
            state: the host's state, `frame` not yet applied.
            frame: the next live frame.
            where: where the frames come from; another producer of them is no restart of the last.

        Returns:
            Events with ids that are the same for everybody who sees these frames.
        """
        last = state.frame
        moved, self._where = where != self._where, where
        found: list[Event] = []
        new_boot, new_run = _note(self._boots, frame.boot), _note(self._runs, frame.run)
        if last is not None:
            if last.boot != frame.boot:
                if new_boot:
                    found.append(_rebooted(last, frame))
            elif last.run != frame.run and new_run and not moved:
                away = format_duration(max(0.0, (frame.monotonic - last.monotonic) / 1e9))
                found.append(_event(frame, "run", "info", f"sysmon was started again; no data for {away}", frame.run))
            clock = self._clock(frame, moved=moved)
            if clock:
                found.append(clock)
            if last.boot == frame.boot:
                found += _killed(state, frame)
        elif frame.seq:
            self._clock(frame, moved=True)
        return found

    def _clock(self, frame: Frame, *, moved: bool) -> Event | None:
        """Tells of a step of the wall clock against the boot clock, unless the host has told of it itself."""
        if not frame.seq:
            # A state on connecting: what the host told meanwhile comes after it.
            return None
        offset = frame.time - frame.monotonic // 1_000_000
        before, elapsed = self._offset, frame.monotonic - self._monotonic
        same = self._boot == frame.boot and not moved
        told, self._clock_told = self._clock_told, False
        self._offset, self._boot, self._monotonic = offset, frame.boot, frame.monotonic
        if before is None or not same or told:
            return None
        step = offset - before
        if abs(step) <= CLOCK_STEP + CLOCK_DRIFT * max(0, elapsed) / 1e6:
            return None
        way = "forward" if step > 0 else "back"
        message = f"its clock was set {way} by {plain_duration(abs(step) / 1000)}"
        mark = f"{frame.run}-{frame.seq}"
        return _event(frame, "clock", "info", message, mark, value=step / 1000)


def _note(known: list[str], name: str) -> bool:
    """Remembers a run or boot; returns whether it is new."""
    if name in known:
        return False
    known.append(name)
    if len(known) > RUNS:
        del known[0]
    return True


def _rebooted(last: Frame, frame: Frame) -> Event:
    silent = format_duration(max(0, frame.time - last.time) / 1000)
    down = frame.time - frame.monotonic // 1_000_000 - last.time
    # Clocks without a battery come up wrong: then only the silence is certain.
    was = f"was rebooted and down for {plain_duration(down / 1000)}" if down > 0 else "was rebooted"
    return _event(frame, "boot", "warning", f"the host {was}; no data for {silent}", frame.boot)


def _killed(state: State, frame: Frame) -> list[Event]:
    before, now = state.get(OOM_KILLS), frame.readings.get(OOM_KILLS)
    if before is None or now is None or now <= before:
        return []
    killed = int(now - before)
    what = "a process" if killed == 1 else f"{killed} processes"
    return [_event(frame, "oom", "critical", f"the kernel killed {what} for want of memory", str(now))]


def _event(
    frame: Frame, kind: str, severity: Severity, message: str, mark: str, *, value: float | None = None
) -> Event:
    name = "\0".join((frame.host, frame.boot, kind, mark))
    return Event(
        id=hashlib.blake2b(name.encode(), digest_size=8).hexdigest(),
        time=frame.time,
        host=frame.host,
        kind=kind,
        severity=severity,
        message=message,
        value=value,
    )
