"""Lines for the server's own log about what strangers do: cleaned, and few however many they are."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sysmon.frame import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable

BURST = 10
"""Lines said at once."""
SECONDS = 30.0
"""Seconds after which one more may be said."""


class Murmur:
    """Says at most `BURST` lines, then one every `SECONDS`, with a count of what was left out.

    Args:
        say: takes one line; None for silence.
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, say: Callable[[str], None] | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._monotonic = monotonic
        self._left = float(BURST)
        self._filled = monotonic()
        self._unsaid = 0

    def __call__(self, line: str) -> None:
        """Says a line, made harmless and short, or counts it."""
        if self._say is None:
            return
        now = self._monotonic()
        self._left = min(float(BURST), self._left + (now - self._filled) / SECONDS)
        self._filled = now
        if self._left < 1.0:
            self._unsaid += 1
            return
        self._left -= 1.0
        more = f" (and {self._unsaid} more like it that were not said)" if self._unsaid else ""
        self._unsaid = 0
        self._say(clean_text(line, 300) + more)
