"""Connections that a router tracks, as counters of devices where no nlbwmon counts them.

The kernel forgets a connection soon after its end, with its bytes: the sum of what each grew by from look to look is
kept here, so that it counts since it is looked at. Bytes are those of layer 3, both ways through the router.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from collectors._router.lan import address_of
from collectors._router.nlbw import Sums, forget

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from collectors._router.lan import Lan

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
    known: dict[str, str] = {}
    for line in text.splitlines()[:MAX_ENTRIES]:
        # ipv4 2 tcp 6 431999 ESTABLISHED src= dst= sport= dport= packets= bytes= [UNREPLIED] src= … bytes= … zone= use=
        begin = line.find(" src=")
        half = line.find(" src=", begin + 5)
        if begin < 0 or half < 0:
            continue
        there, back = line[begin:half], line[half:]
        ends = []
        for word in (*there.split(None, 2)[:2], *back.split(None, 2)[:2]):
            address = known.get(word)
            if address is None:
                address = known[word] = address_of(word[4:44]) if word.startswith(("src=", "dst=")) else ""
            ends.append(address)
        # A line that was cut off has no end, and half a number of bytes.
        if len(ends) != 4 or not all(ends) or " use=" not in back:
            continue
        source, target, answerer, _ = ends
        # Opened from the LAN; else from outside, to a port that is forwarded.
        outward = lan.holds(source)
        if not (outward or lan.holds(answerer)) or lan.near(target if outward else source):
            continue
        if outward and lan.near(answerer):
            continue
        head = line[:begin].split(None, 4)
        if len(head) < 4:
            continue
        sent, received = _bytes(there), _bytes(back)
        # Neither time nor state, nor what it counts, belong to what it is.
        until, zone = there.find(" packets="), back.find(" zone=")
        scope = back[zone : back.find(" ", zone + 1)] if zone >= 0 else ""
        flow = f"{head[0]} {head[3]}{there if until < 0 else there[:until]}{scope}"
        flows.append(Flow(flow, source, received, sent) if outward else Flow(flow, answerer, sent, received))
    return flows


def _bytes(text: str) -> int | None:
    at = text.find(" bytes=")
    if at < 0:
        return None
    digits = text[at + 7 : at + 28].partition(" ")[0]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else None


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
        forget(self._sums, {key for key, _, _ in now.values()})
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
