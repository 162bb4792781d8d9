"""What one way to some hosts has shown of them, and the ids that they go by here."""

from __future__ import annotations

import hashlib
from collections import deque
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from sysmon.records import Hello, HostInfo

if TYPE_CHECKING:
    from sysmon.records import Status, Update

CONFIRM: Final = 20 * 1_000_000_000
"""Nanoseconds that two boots must go on side by side: a reboot is seen by one way later than by another."""
FRAMES: Final = 3
"""Frames that each must give meanwhile."""


def clone_id(host: str, target: str) -> str:
    """Returns the id under which the clone at a target is kept: 16 hex digits."""
    return hashlib.blake2b(f"clone\0{host}\0{target}".encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


class Sight:
    """One boot of one id, as one way shows it. `first`: boot clock (ns) of its first frame; `recent`: of its last."""

    __slots__ = ("boot", "first", "recent")

    def __init__(self, boot: str, now: int) -> None:
        self.boot = boot
        self.first = now
        self.recent: deque[int] = deque(maxlen=FRAMES)


class Way:
    """What one configured host has said: its last greeting, who its hosts are and how fresh, and what is due there.

    Attributes:
        split: ids there -> ids here. `held`: ids that are left out until it is clear whose they are; `asked`:
            as what that was said last. `sure`: those that
            belong to another way, and were shown to be of the same machine.
    """

    __slots__ = ("asked", "due", "held", "hello", "infos", "offline", "split", "statuses", "sure", "target")

    def __init__(self) -> None:
        self.target = ""
        self.offline = False
        self.hello: Hello | None = None
        self.infos: dict[str, HostInfo] = {}
        self.statuses: dict[str, Status] = {}
        self.split: dict[str, str] = {}
        self.held: dict[str, Sight | None] = {}
        self.sure: set[str] = set()
        self.asked: Literal["", "connecting", "offline"] = ""
        self.due: list[Update] = []


def side_by_side(one: Sight, other: Sight) -> bool:
    """Whether two boots have gone on beside each other for long enough."""
    begun = max(one.first, other.first)
    full = len(one.recent) == len(other.recent) == FRAMES
    return (
        full and min(one.recent[0], other.recent[0]) > begun and min(one.recent[-1], other.recent[-1]) - begun > CONFIRM
    )


def under_ids(update: Update, way: Way) -> Update:
    """Returns what a way said under the ids that its hosts have here, without those that are left out of a greeting."""
    if not way.split and not (way.held and isinstance(update, Hello)):
        return update
    if isinstance(update, HostInfo):
        return msgspec.structs.replace(update, id=way.split.get(update.id, update.id))
    if isinstance(update, Hello):

        def under(each: object) -> object:
            return msgspec.structs.replace(each, host=way.split.get(each.host, each.host))  # type: ignore[type-var,attr-defined]

        infos = [info for info in update.hosts if info.id not in way.held]
        return msgspec.structs.replace(
            update,
            hosts=[msgspec.structs.replace(info, id=way.split.get(info.id, info.id)) for info in infos],
            spans=[under(span) for span in update.spans if span.host not in way.held],
            alerts=[under(alert) for alert in update.alerts if alert.host not in way.held],
        )
    made = way.split.get(update.host)
    return update if made is None else msgspec.structs.replace(update, host=made)
