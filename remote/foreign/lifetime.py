"""Boot id and monotonic time of a host that tells neither, from what it says of its uptime.

The wall clock of a host may be set at any time, and the moment it says it booted moves along; its uptime does not. So a
reboot is told by the uptime alone, and a clock that is set is none.
"""

from __future__ import annotations

import hashlib

SECOND = 1_000_000_000
"""Nanoseconds."""
GRAIN = 600
"""Seconds to which the moment of boot is rounded for an id: it wobbles by a second or two on some machines."""
SLACK = 5.0
"""Seconds by which an uptime may lie behind what it should be: answers take time, uptimes are rounded."""


class Lifetime:
    """Follows one host's uptime from look to look.

    Args:
        host: its id.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._boot = ""
        self._uptime = 0.0
        self._monotonic = 0
        self._theirs: float | None = None
        self._ours: int | None = None
        self._wall: int | None = None

    def resume(self, boot: str, monotonic: int, time: int) -> None:
        """Takes up where an earlier run of this side ended.

        Args:
            boot, monotonic, time: of the last frame there was; the same boot goes on unless the uptime says otherwise.
        """
        if self._ours is None:
            self._boot, self._monotonic, self._wall = boot, monotonic, time
            self._uptime = monotonic / SECOND

    def at(
        self, *, uptime: float | None, booted: float | None, theirs: float | None, ours: int, now: int
    ) -> tuple[str, int]:
        """Returns the boot id and the nanoseconds since that boot at a look.

        Args:
            uptime: seconds since it booted, as it says; None where it does not: then all is one boot, told from its
                counters falling.
            booted: Unix seconds of its boot, as it says.
            theirs: its wall clock at the look, Unix seconds, or None.
            ours: this side's boot clock (ns) at the look. `now`: this side's wall clock, Unix milliseconds.
        """
        if uptime is None or booted is None:
            return self._without(ours, now, theirs)
        elapsed = self._elapsed(ours, now)
        if not self._boot:
            self._boot, self._monotonic = self._id(booted), int(uptime * SECOND)
        elif self._is_new(uptime, elapsed):
            fresh = self._id(booted)
            self._boot = fresh if fresh != self._boot else self._id(booted, exact=True)
            self._monotonic = int(uptime * SECOND)
        else:
            self._monotonic += self._step(elapsed, theirs)
        self._uptime, self._theirs, self._ours = uptime, theirs, ours
        return self._boot, self._monotonic

    def _without(self, ours: int, now: int, theirs: float | None) -> tuple[str, int]:
        if not self._boot:
            # Wall time goes on across restarts of this side, as a boot clock of theirs would.
            self._boot, self._monotonic = self._digest("unknown"), now * 1_000_000
        else:
            self._monotonic += self._step(self._elapsed(ours, now), theirs)
        self._theirs, self._ours = theirs, ours
        return self._boot, self._monotonic

    def _elapsed(self, ours: int, now: int) -> float:
        if self._ours is not None:
            return (ours - self._ours) / SECOND
        return 0.0 if self._wall is None else max(0.0, (now - self._wall) / 1000)

    def _is_new(self, uptime: float, elapsed: float) -> bool:
        """Whether it booted since the last look.

        Had it booted, its uptime would be less than the time gone by. Where that is less than its last uptime, the
        uptime fell; where more, the uptime lies behind what both add up to. A virtual machine that was halted lies
        behind as well, but its uptime does not fall.
        """
        if uptime < self._uptime - SLACK / 2:
            return True
        slack = SLACK + 0.001 * elapsed
        return elapsed >= self._uptime and uptime < self._uptime + elapsed - slack

    def _step(self, elapsed: float, theirs: float | None) -> int:
        """Nanoseconds since the last look: by their clock, which no slow answer disturbs, unless it was set."""
        if theirs is not None and self._theirs is not None:
            told = theirs - self._theirs
            if told > 0 and abs(told - elapsed) <= 1.0 + 0.05 * elapsed:
                return int(told * SECOND)
        return max(1, int(elapsed * SECOND))

    def _id(self, booted: float, *, exact: bool = False) -> str:
        return self._digest(f"{booted:.3f}" if exact else str(int(booted) // GRAIN))

    def _digest(self, text: str) -> str:
        return hashlib.sha256(f"sysmon boot {self._host} {text}".encode()).hexdigest()[:32]
