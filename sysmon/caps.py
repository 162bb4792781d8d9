"""Monthly caps: how much of what may go through in a month has gone through, and what it will come to."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, NamedTuple

from sysmon import bandwidth
from sysmon.catalogue import gauge

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import tzinfo

    from sysmon.bandwidth import Amount
    from sysmon.config import CapSettings
    from sysmon.ports import History
    from sysmon.records import HostInfo, KnownDevice

COLLECTOR: Final = "caps"
"""What the metrics of caps are filed under: whoever records works them out, no frame holds them."""

UTILIZATION: Final = "cap.utilization"
FORECAST: Final = "cap.forecast"

METRICS: Final = (
    gauge(
        UTILIZATION,
        "ratio",
        "Used up of a monthly cap, `[caps.NAME]`",
        "usage since its day of the month",
        instance="cap",
        collector=COLLECTOR,
        rollup=False,
    ),
    gauge(
        FORECAST,
        "ratio",
        "What of a monthly cap the period will come to if it goes on as it began; above 1 it does not last",
        "usage since its day of the month",
        instance="cap",
        collector=COLLECTOR,
        rollup=False,
    ),
)


class Standing(NamedTuple):
    """How a cap stands.

    Attributes:
        used: bytes in this period, as the cap counts them. `amount`: both ways.
        start, end: of the period, Unix milliseconds.
        expected: bytes that the period will come to, None in the first hour that is known of it.
    """

    cap: CapSettings
    used: int
    amount: Amount
    start: int
    end: int
    expected: int | None

    @property
    def utilization(self) -> float:
        """Used of the limit, 1 where all is used."""
        return self.used / self.cap.limit

    @property
    def forecast(self) -> float | None:
        """Expected of the limit, None in the first hour."""
        return None if self.expected is None else self.expected / self.cap.limit


def applies(cap: CapSettings, info: HostInfo, local: str) -> bool:
    """Whether a cap is one of this host. `local`: id of the machine that the configuration is of; a cap of a device is
    one of whichever router knows it.
    """
    if cap.host == "local":
        return info.id == local or bool(cap.device)
    return any(fnmatchcase(label, cap.host) for label in (info.name, info.hostname, info.id) if label)


def devices_meant(cap: CapSettings, known: Iterable[KnownDevice]) -> list[str]:
    """Returns the keys of the devices that a cap names by MAC, alias or name; no difference is made in case.

    Of one name there may be several, shown with the end of their MACs: they count together. Whoever gives its device
    the name of another adds to that one's cap, and takes nothing from it.
    """
    wanted = cap.device.lower()
    return [
        each.key
        for each in known
        if wanted in (each.key.lower(), each.row.mac.lower(), each.alias.lower(), each.row.name.lower())
        or (each.row.mac and each.row.name.lower() == f"{wanted} ({each.row.mac[-5:]})")
    ]


def concerns(cap: CapSettings, names: Collection[str], counted: Collection[str]) -> bool:
    """Whether a cap of interfaces has to do with any of some; `counted`: those that add up to the host's traffic."""
    if cap.device:
        return False
    return any(fnmatchcase(name, cap.interface) if cap.interface else name in counted for name in names)


def spent(cap: CapSettings, amount: Amount) -> int:
    """Returns the bytes that a cap counts of what went both ways."""
    if cap.count == "receive":
        return amount.receive
    if cap.count == "transmit":
        return amount.transmit
    return max(amount.receive, amount.transmit) if cap.count == "larger" else amount.total


async def standing(
    cap: CapSettings, history: History, host: str, now: int, zone: tzinfo, interfaces: Iterable[str]
) -> Standing | None:
    """Works out how a cap of a host stands.

    Args:
        cap: applies to the host.
        history: where the host is recorded.
        host: id.
        now: Unix milliseconds; the past as well.
        zone: of the host: its days begin there.
        interfaces: names of those that add up to the host's traffic (`sysmon.interfaces.counted`).

    Returns:
        None where nothing is known of what the cap names.
    """
    start, end = bandwidth.cap_period(now, cap.day, zone)
    if cap.device:
        names = devices_meant(cap, await history.devices(host))
        if not names:
            return None
        found = await bandwidth.amounts(history, host, "device", start, now, zone, names)
    else:
        found = await bandwidth.amounts(history, host, "interface", start, now, zone)
        wanted = set(interfaces)
        names = [name for name in found if (fnmatchcase(name, cap.interface) if cap.interface else name in wanted)]
        if not names:
            return None
    amount = bandwidth.total(found, names)
    used = spent(cap, amount)
    known = await bandwidth.known_from(history, host, "device" if cap.device else "interface", start, now, zone)
    return Standing(cap, used, amount, start, end, bandwidth.estimate(used, start, now, end, known))
