"""Connections that a router tracks, as counters of devices where no nlbwmon counts them.

The kernel forgets a connection soon after its end, with its bytes: the sum of what each grew by from look to look is
kept here, so that it counts since it is looked at. Bytes are those of layer 3, both ways through the router.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from collectors._lan import address_of
from collectors._nlbw import Sums

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from collectors._lan import Lan

MAX_ENTRIES = 100_000
"""Connections taken of one look at most."""


class Flow(NamedTuple):
    """One connection of a device with the world.

    Attributes:
        id: what tells it from others.
        address: of the device.
        received, sent: bytes of the device; None where the kernel did not count this connection.
    """

    id: str
    address: str
    received: int | None
    sent: int | None


def parse_conntrack(text: str, lan: Lan) -> list[Flow]:
    """Parses /proc/net/nf_conntrack: connections with exactly one end in the LAN.

    Those between devices, with the router itself or with a group are left out, as are lines of another form.

    Source: ct_seq_show in the kernel's net/netfilter/nf_conntrack_standalone.c.
    """
    flows = []
    for line in text.splitlines()[:MAX_ENTRIES]:
        words = line.split()
        ends: list[str] = []
        counts: list[int] = []
        names: list[str] = words[:4:3] if len(words) > 4 else []
        for word in words:
            name, equals, value = word.partition("=")
            if not equals:
                continue
            if name == "src" or name == "dst":
                ends.append(value)
            elif name == "bytes":
                if not (value.isascii() and value.isdigit() and len(value) < 19):
                    break
                counts.append(int(value))
            elif name in ("sport", "dport", "id", "type", "code", "zone"):
                names.append(word)
        if len(ends) != 4 or len(counts) not in (0, 2):
            continue
        source, target, answerer, answered = (address_of(each) for each in ends)
        if not (source and target and answerer and answered):
            continue
        if lan.holds(source):
            address, out, back = source, 0, 1
            if lan.near(target) or lan.near(answerer):
                continue
        elif lan.holds(answerer):
            # Opened from outside, to a port that is forwarded.
            address, out, back = answerer, 1, 0
            if lan.near(source):
                continue
        else:
            continue
        received, sent = (counts[back], counts[out]) if counts else (None, None)
        flows.append(Flow(" ".join((*ends, *names)), address, received, sent))
    return flows


class Growth:
    """Sums of what counters grew by since the first look, of counters that come and go.

    What is there at the first look is not counted. A counter that is new later, or fell, counts whole.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, int]] | None = None
        self._sums: dict[str, Sums] = {}

    def take(self, now: Mapping[str, tuple[str, int, int]], *, whole: bool = True) -> dict[str, Sums]:
        """Takes one look.

        Args:
            now: counter -> device, bytes that it received and sent.
            whole: whether all counters were seen; else those that are new may be old, and count from here on.

        Returns:
            Sums by device.
        """
        before = self._last
        last: dict[str, tuple[int, int]] = {}
        for name, (key, received, sent) in now.items():
            last[name] = received, sent
            old = None if before is None else before.get(name)
            if old is None:
                grown = Sums(received, sent, 1) if whole and before is not None else Sums(0, 0, 0)
            else:
                anew = received < old[0] or sent < old[1]
                grown = Sums(received, sent, 1) if anew else Sums(received - old[0], sent - old[1], 0)
            sums = self._sums.get(key)
            self._sums[key] = (
                grown if sums is None else Sums(sums[0] + grown[0], sums[1] + grown[1], sums[2] + grown[2])
            )
        if before is not None and not whole:
            # What was not among those seen may be there still.
            for name, old in before.items():
                if name not in last and len(last) < MAX_ENTRIES:
                    last[name] = old
        self._last = last
        return dict(self._sums)


def by_device(flows: Iterable[Flow], keys: Mapping[str, str]) -> tuple[dict[str, tuple[str, int, int]], int]:
    """Returns what `Growth` takes, and how many connections the kernel did not count.

    Args:
        flows: of `parse_conntrack`.
        keys: address -> device; an address that is in none is its own.
    """
    found: dict[str, tuple[str, int, int]] = {}
    uncounted = 0
    for flow in flows:
        if flow.received is None or flow.sent is None:
            uncounted += 1
        else:
            found[flow.id] = keys.get(flow.address, flow.address), flow.received, flow.sent
    return found, uncounted
