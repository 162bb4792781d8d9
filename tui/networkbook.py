"""Answers of the history that a screen shows again and again: read off the loop, kept a while, given up on request."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from sysmon.errors import SysmonError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Hashable

    from sysmon.clock import Clock

Told = TypeVar("Told")

REFRESH_SECONDS: Final = 60.0
"""How old an answer about the present may be while it is shown."""
EMPTY_SECONDS: Final = 5.0
"""The same of one that has nothing in it yet."""
SLOW_NS: Final = 500_000_000
"""After this long a read is said to be under way."""
KEPT: Final = 48
"""Answers kept."""


@dataclass(slots=True)
class Entry(Generic[Told]):
    """One question's answer.

    Attributes:
        value: the answer; None until it is known.
        problem: why there is none, or no newer one; '' where nothing is wrong.
        asked: this side's boot clock (ns) when it was last asked for.
        reading: whether it is being read.
        slow: whether that takes long enough to be said.
    """

    value: Told | None = None
    problem: str = ""
    asked: int = 0
    reading: bool = False
    slow: bool = False


class Book:
    """Reads what is asked of it in the background and keeps it.

    Args:
        clock: tells how old an answer is.
        start: runs a coroutine in the background and returns what `cancel` ends it by.
        cancel: ends what `start` returned.
        later: calls a function after some seconds.
        changed: is called when an answer came, or a read began to take long.
    """

    def __init__(
        self,
        clock: Clock,
        start: Callable[[Coroutine[Any, Any, None]], Any],
        cancel: Callable[[Any], None],
        later: Callable[[float, Callable[[], None]], object],
        changed: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._start = start
        self._cancel = cancel
        self._later = later
        self._changed = changed
        self._entries: OrderedDict[Hashable, Entry[Any]] = OrderedDict()
        self._running: dict[Hashable, Any] = {}

    def get(
        self,
        key: Hashable,
        read: Callable[[], Awaitable[Told]],
        *,
        live: bool = True,
        seconds: float = REFRESH_SECONDS,
        empty: Callable[[Told], bool] | None = None,
    ) -> Entry[Told]:
        """Returns what is known of a question, and sees to it that it is read where it is unknown or old.

        Args:
            key: the question: host, range, moment.
            read: asks the history; `SysmonError` becomes the entry's problem.
            live: whether the answer changes with time; that of the past does not.
            seconds: how old it may be.
            empty: tells whether an answer has nothing in it yet, as in the first minute of a recording.
        """
        entry = self._entries.get(key)
        now = self._clock.boottime()
        if empty is not None and entry is not None and entry.value is not None and empty(entry.value):
            seconds = min(seconds, EMPTY_SECONDS)
        if entry is None:
            entry = self._entries[key] = Entry()
            self._trim()
        elif entry.reading or (not live and not entry.problem) or now - entry.asked < seconds * 1e9:
            self._entries.move_to_end(key)
            return entry
        entry.asked, entry.reading, entry.slow = now, True, False
        self._running[key] = self._start(self._read(key, entry, read, now))
        self._later(SLOW_NS / 1e9, lambda: self._is_slow(entry, now))
        return entry

    def _trim(self) -> None:
        for key in [*self._entries][: max(0, len(self._entries) - KEPT)]:
            if key not in self._running:
                del self._entries[key]

    async def _read(self, key: Hashable, entry: Entry[Told], read: Callable[[], Awaitable[Told]], asked: int) -> None:
        try:
            entry.value, entry.problem = await read(), ""
        except SysmonError as error:
            entry.problem = str(error)
        except Exception as error:  # a fault of a history must be told, and not end the screen
            entry.problem = f"the history failed: {type(error).__name__}: {error}"
        finally:
            # One that was given up may end after the same was asked again.
            if entry.asked == asked:
                entry.reading = entry.slow = False
                self._running.pop(key, None)
        self._changed()

    def _is_slow(self, entry: Entry[Any], asked: int) -> None:
        if entry.reading and entry.asked == asked and not entry.slow:
            entry.slow = True
            self._changed()

    @property
    def slow(self) -> bool:
        """Whether a read takes long enough to be said."""
        return any(entry.slow for entry in self._entries.values())

    def stop(self, words: str = "stopped") -> bool:
        """Gives up what is being read, and says so in its place; returns whether there was anything."""
        stopped = [*self._running.items()]
        for key, handle in stopped:
            self._cancel(handle)
            self._running.pop(key, None)
            entry = self._entries.get(key)
            if entry is not None:
                entry.reading = entry.slow = False
                entry.problem = words
        return bool(stopped)

    def rest(self) -> None:
        """Gives up what is being read; it is asked for again when somebody looks."""
        for key in [*self._running]:
            self._cancel(self._running.pop(key))
            self._entries.pop(key, None)

    def forget(self, *kinds: Hashable) -> None:
        """Drops the answers whose questions begin with one of these words, so that they are asked anew."""
        for key in [*self._entries]:
            if isinstance(key, tuple) and key and key[0] in kinds and key not in self._running:
                del self._entries[key]
