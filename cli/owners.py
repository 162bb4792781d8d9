"""Whose an id is: the configured host that it was first heard of, at that target. Nobody else gets it while that stays.

A machine may be reached on several ways. That a second way leads to the same one, and not to another that uses its id,
is shown by the boot id of its frames: it is one that the owner has had. Boot ids are random, and no copy has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sysmon.records import HostInfo, RunSpan

BOOTS: Final = 64
"""Boots of one id that are remembered."""
TOGETHER: Final = 20_000
"""Milliseconds for which two ids must have been recorded at the same time to be of two machines."""


class Owners:
    """Knows the owner of each id."""

    def __init__(self) -> None:
        self._targets: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._known: dict[str, HostInfo] = {}
        self._boots: dict[str, dict[str, None]] = {}
        self._recorded: dict[str, list[tuple[int, int]]] = {}
        self._others: set[str] = set()

    def configure(self, targets: Mapping[str, str]) -> None:
        """Takes the configured hosts, also those that are paused: name -> target."""
        self._targets = dict(targets)
        self._names = {target: name for name, target in reversed(list(targets.items()))}

    @property
    def configured(self) -> bool:
        """Whether it was said which hosts are configured."""
        return bool(self._targets)

    def restore(self, infos: Iterable[HostInfo], spans: Iterable[RunSpan]) -> None:
        """Takes who was recorded before, and what."""
        for info in infos:
            self._known.setdefault(info.id, info)
        for span in spans:
            self._add_boot(span.host, span.boot)
            self._recorded.setdefault(span.host, []).append((span.start, span.end))

    def recorded(self, host: str) -> HostInfo | None:
        """Returns who an id was first heard of, or what was split off under it."""
        return self._known.get(host)

    def split(self, info: HostInfo, *, other: bool) -> None:
        """Notes what was split off; `other`: it is surely another machine, both were alive at once."""
        self._known[info.id] = info
        if other:
            self._others.add(info.id)

    def join(self, made: str) -> None:
        """Notes that what was split off under an id is none of its own."""
        self._known.pop(made, None)
        self._others.discard(made)

    def owner(self, host: str) -> str | None:
        """Returns the name of the configured host that an id belongs to.

        None where it belongs to nobody: its host is not configured any more, or was only ever seen through a hub,
        which may be another one tomorrow. A host whose target was changed takes its id along.
        """
        known = self._known.get(host)
        if known is None or not _direct(known):
            return None
        return self._names.get(known.target) or (known.name if known.name in self._targets else None)

    def speaks(self, name: str, info: HostInfo, boot: str) -> None:
        """Notes that a frame was taken under an id."""
        self._add_boot(info.id, boot)
        known = self._known.get(info.id)
        if known is None:
            self._known[info.id] = info
        elif (known.target, known.name) != (info.target, info.name) and self._targets:
            owner = self.owner(info.id)
            if owner == name or (owner is None and (_direct(info) or _direct(known))):
                self._known[info.id] = info

    def named(self, info: HostInfo) -> bool:
        """Whether a host has its name from the configuration, and that still names its target."""
        return _direct(info) and bool(info.name) and self._targets.get(info.name) == info.target

    def kept(self, info: HostInfo) -> HostInfo:
        """Returns a host where it is at home, while its frames come through a hub."""
        known = self._known.get(info.id)
        if _direct(info) or known is None or self.owner(info.id) is None:
            return info
        return msgspec.structs.replace(
            info, name=known.name, target=known.target, origin=known.origin, via=known.via, hub=known.hub
        )

    def same(self, host: str, boot: str) -> bool:
        """Whether an id has had a boot."""
        return boot in self._boots.get(host, ())

    def other(self, host: str, made: str) -> bool:
        """Whether what was split off an id is surely another machine: both were recorded at the same time."""
        if made not in self._others and _overlap(self._recorded.get(host, ()), self._recorded.get(made, ())):
            self._others.add(made)
        return made in self._others

    def _add_boot(self, host: str, boot: str) -> None:
        boots = self._boots.setdefault(host, {})
        if boot not in boots:
            boots[boot] = None
            if len(boots) > BOOTS:
                del boots[next(iter(boots))]


def _direct(info: HostInfo) -> bool:
    """Whether a target is the host itself, an agent or a hub, and no hub before it."""
    return not info.via or info.via == [info.hub]


def _overlap(one: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]]) -> bool:
    """Whether some stretches of both cover each other for long enough."""
    left, right = sorted(one), sorted(other)
    at = to = shared = 0
    while at < len(left) and to < len(right):
        shared += max(0, min(left[at][1], right[to][1]) - max(left[at][0], right[to][0]))
        if shared > TOGETHER:
            return True
        if left[at][1] < right[to][1]:
            at += 1
        else:
            to += 1
    return False
