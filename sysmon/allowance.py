"""How much of something a peer may do: so much at once, and so much a second in the long run; pure."""

from __future__ import annotations

SECOND = 1_000_000_000


class Allowance:
    """A token bucket.

    Args:
        rate: what comes back in a second.
        burst: what it holds at most, and at first.

    Attributes:
        rate: as given; may be changed.
        left: what it held when it was last asked.
    """

    __slots__ = ("_at", "_burst", "left", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
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
        self._fill(now)
        if amount <= self.left:
            self.left -= amount
            return 0.0
        return (amount - self.left) / self.rate

    def owe(self, amount: float, now: int) -> float:
        """Takes an amount, there or not; returns the seconds after which nothing is owed any more."""
        self._fill(now)
        self.left -= amount
        return max(0.0, -self.left / self.rate)

    def _fill(self, now: int) -> None:
        if self._at is not None:
            self.left = min(self._burst, self.left + max(0, now - self._at) / SECOND * self.rate)
        self._at = now
