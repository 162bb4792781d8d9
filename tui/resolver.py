"""Names of addresses, asked for on demand: by few threads, each address once, bounded. No Textual here.

A resolver may take half a minute to say nothing. It is asked by threads that nobody waits for, so that the program can
end meanwhile.
"""

from __future__ import annotations

import socket
import threading
from collections import OrderedDict
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from sysmon.frame import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

THREADS: Final = 2
KEPT: Final = 2000
"""Names kept."""
WAITING: Final = 200
"""Addresses that may wait to be asked for; more are asked for when they are looked at again."""
LONGEST: Final = 253


def by_system(address: str) -> str:
    """Asks this machine's resolver for the name of an address; '' where there is none."""
    try:
        return socket.getnameinfo((address, 0), socket.NI_NAMEREQD)[0]
    except (OSError, UnicodeError):
        return ""


class Resolver:
    """Knows names of addresses, and finds out those it does not.

    Args:
        told: is called, in the thread of whoever passes it on, when names came.
        ask: finds the name of an address; may block.
    """

    def __init__(self, told: Callable[[], None], ask: Callable[[str], str] = by_system) -> None:
        self._told = told
        self._ask = ask
        self._known: OrderedDict[str, str] = OrderedDict()
        self._waiting: set[str] = set()
        self._queue: SimpleQueue[str | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0

    def name(self, address: str) -> str | None:
        """The name of an address; '' where it has none, None where it is not known (yet)."""
        return self._known.get(address)

    def want(self, addresses: Iterable[str]) -> None:
        """Finds out what is not known of these."""
        for address in addresses:
            with self._lock:
                if not address or address in self._known or address in self._waiting or len(self._waiting) >= WAITING:
                    continue
                self._waiting.add(address)
            self._queue.put(address)
            if self._threads < THREADS:
                self._threads += 1
                threading.Thread(target=self._work, name="names", daemon=True).start()

    def _work(self) -> None:
        while (address := self._queue.get()) is not None:
            with self._lock:
                wanted = address in self._waiting
            if not wanted:
                continue
            name = clean_text(self._ask(address), LONGEST).rstrip(".")
            with self._lock:
                self._waiting.discard(address)
                self._known[address] = name
                while len(self._known) > KEPT:
                    self._known.popitem(last=False)
            self._told()

    def rest(self) -> None:
        """Asks for nothing more of what still waits."""
        with self._lock:
            self._waiting.clear()

    def close(self) -> None:
        """Lets the threads end once they have their answer."""
        self.rest()
        for _ in range(self._threads):
            self._queue.put(None)
        self._threads = 0
