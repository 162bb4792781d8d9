"""Who made a device, by the first half of its MAC: the IEEE's list of MA-L blocks, in a file of this package.

`scripts/oui` writes that file. It is mapped, not read: a look-up touches a few of its pages. Little-endian:

    8 bytes   magic
    4 bytes   P, number of prefixes       4 bytes   N, number of names
    P bytes   first bytes of the prefixes, in order; P second bytes; P third bytes
    P bytes   low bytes of the numbers of their names; P high bytes
    4*(N/64 rounded up, plus 1) bytes    where each group of 64 names begins
    the rest  names in UTF-8, each ended by a line feed
"""

from __future__ import annotations

import functools
import mmap
import struct
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING

from collectors._router.lan import made_up

if TYPE_CHECKING:
    from collections.abc import Mapping

MAGIC = b"sysmoui1"
GROUP = 64
"""Names in a group."""

FILE = Path(__file__).with_name("oui.bin")

_HEAD = struct.Struct("<8sII")


class Registry:
    """A mapped file of prefixes and names.

    Raises:
        OSError: it cannot be read. ValueError: it is not of this form.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if len(self._map) < _HEAD.size:
            raise ValueError(f"{path} is cut off")
        magic, prefixes, names = _HEAD.unpack_from(self._map)
        self._prefixes, self._names = int(prefixes), int(names)
        self._groups = _HEAD.size + 5 * self._prefixes
        self._texts = self._groups + 4 * (-(-self._names // GROUP) + 1)
        if magic != MAGIC or self._texts > len(self._map) or self._texts + self._start(-1) != len(self._map):
            raise ValueError(f"{path} is not of this form")

    def __len__(self) -> int:
        return self._prefixes

    def _start(self, group: int) -> int:
        at = self._groups + 4 * group if group >= 0 else self._texts - 4
        return int.from_bytes(self._map[at : at + 4], "little")

    def _prefix(self, index: int) -> int:
        held, at, count = self._map, _HEAD.size + index, self._prefixes
        return held[at] << 16 | held[at + count] << 8 | held[at + 2 * count]

    def find(self, prefix: int) -> str:
        """Returns the name of the holder of a prefix of 24 bits, '' where nobody holds it."""
        index = bisect_left(range(self._prefixes), prefix, key=self._prefix)
        if index == self._prefixes or self._prefix(index) != prefix:
            return ""
        at = _HEAD.size + 3 * self._prefixes + index
        number = self._map[at] | self._map[at + self._prefixes] << 8
        group, place = divmod(number, GROUP)
        text = self._map[self._texts + self._start(group) : self._texts + self._start(group + 1)]
        return text.split(b"\n")[place].decode("utf-8", "replace")


def packed(holders: Mapping[int, str]) -> bytes:
    """Returns the file for prefixes of 24 bits and the names of their holders.

    Raises:
        ValueError: there are more names than 16 bits can number.
    """
    prefixes = sorted(holders)
    names = sorted(set(holders.values()))
    if len(names) >= 1 << 16:
        raise ValueError(f"{len(names)} names are too many")
    number = {name: index for index, name in enumerate(names)}
    numbers = [number[holders[prefix]] for prefix in prefixes]
    groups = ["".join(f"{name}\n" for name in names[at : at + GROUP]).encode() for at in range(0, len(names), GROUP)]
    starts = [0]
    for group in groups:
        starts.append(starts[-1] + len(group))
    return b"".join(
        (
            _HEAD.pack(MAGIC, len(prefixes), len(names)),
            *(bytes(prefix >> shift & 255 for prefix in prefixes) for shift in (16, 8, 0)),
            *(bytes(each >> shift & 255 for each in numbers) for shift in (0, 8)),
            struct.pack(f"<{len(starts)}I", *starts),
            *groups,
        )
    )


@functools.cache
def _registry() -> Registry | None:
    try:
        return Registry(FILE)
    except (OSError, ValueError):
        return None


@functools.lru_cache(maxsize=8192)
def vendor_of(mac: str) -> str:
    """Returns who made a device, by its MAC in lower case with colons.

    '' where the list does not tell, and for a MAC that no vendor gave (locally administered, as phones draw them).
    """
    if len(mac) != 17 or made_up(mac):
        return ""
    registry = _registry()
    return registry.find(int(mac[:8].replace(":", ""), 16)) if registry is not None else ""
