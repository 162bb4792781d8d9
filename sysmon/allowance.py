"""How much of something a peer may do: so much at once, and so much a second in the long run; pure."""

from __future__ import annotations

SECOND = 1_000_000_000


class Allowance:
    """A token bucket.

    Args:
        rate: what comes back in a second.
        burst: what it holds at most, and at first.

    Attributes:
        left: what it held when it was last asked.
    """

    __slots__ = ("_at", "_burst", "_rate", "left")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._at: int | None = None
        self.left = burst

    def take(self, amount: float, now: int) -> float:
        """Takes an amount where there is as much.

        Args:
            amount: as wanted. One greater than the burst is never there.
            now: boot clock, ns.

        Returns:
            0.0 where it was taken, else the seconds after which there will be as much.
        """
        if self._at is not None:
            self.left = min(self._burst, self.left + max(0, now - self._at) / SECOND * self._rate)
        self._at = now
        if amount <= self.left:
            self.left -= amount
            return 0.0
        return (amount - self.left) / self._rate
