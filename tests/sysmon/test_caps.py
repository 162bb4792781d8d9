"""Monthly caps: which hosts and counters they are about, in which period, and what it will come to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from sysmon.bandwidth import Amount
from sysmon.caps import applies, concerns, devices_meant, spent, standing
from sysmon.config import CapSettings
from sysmon.frame import DeviceRow
from sysmon.records import HostInfo, KnownDevice, Span, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR = 3_600_000
HOST = HostInfo(id="aa", hostname="db-1", name="db")
TABLET = "02:aa:bb:cc:dd:01"


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


class Counted:
    """A history that counted so much in each hour of some series."""

    def __init__(self, **hourly: int) -> None:
        self.since = 0
        self.hourly = {key.replace("__", ":").replace("_", "."): size for key, size in hourly.items()}

    async def usage(self, host: str, start: int, end: int, step: str, keys: Sequence[str] = ()) -> list[Usage]:
        found = [key for key in self.hourly if not keys or key in keys]
        start = max(start, self.since)
        size = max(0, end - start) / HOUR
        return [
            Usage(host=host, key=key, start=start, end=end, bytes=int(self.hourly[key] * size)) for key in found if size
        ]

    async def gaps(self, host: str, start: int, end: int) -> list[Span]:
        return [Span(start, self.since)] if start < self.since else []

    async def devices(self, host: str) -> list[KnownDevice]:
        row = DeviceRow(key=TABLET, mac=TABLET, name="Tablet")
        return [KnownDevice(host=host, key=TABLET, row=row, first=0, last=0, alias="Jo's tablet")]


@pytest.mark.parametrize(
    ("host", "mine"), [("local", True), ("db-*", True), ("db", True), ("aa", True), ("web-*", False)]
)
def test_a_cap_is_of_the_hosts_that_its_glob_names(host: str, mine: bool) -> None:
    assert applies(CapSettings(name="line", limit=1, host=host), HOST, "aa") is mine


def test_the_local_machine_is_no_other() -> None:
    assert not applies(CapSettings(name="line", limit=1), HOST, "bb")
    # This machine has no devices behind it: that of a device is one of whichever router knows it.
    assert applies(CapSettings(name="tv", limit=1, device="tv"), HOST, "bb")
    assert not applies(CapSettings(name="tv", limit=1, device="tv", host="home"), HOST, "bb")


def test_a_cap_concerns_what_it_counts() -> None:
    line, up = CapSettings(name="line", limit=1), CapSettings(name="up", limit=1, interface="wan*")
    assert concerns(line, ["eth0"], ["eth0"]) and not concerns(line, ["lan1"], ["eth0"])
    assert concerns(up, ["lan1", "wan0"], ["eth0"]) and not concerns(up, ["eth0"], ["eth0"])
    assert not concerns(CapSettings(name="tv", limit=1, device="tv"), ["eth0"], ["eth0"])


@pytest.mark.parametrize(("count", "bytes"), [("both", 30), ("receive", 10), ("transmit", 20), ("larger", 20)])
def test_it_counts_the_ways_that_it_names(count: str, bytes: int) -> None:
    cap = CapSettings(name="line", limit=1, count=count)  # type: ignore[arg-type]
    assert spent(cap, Amount(10, 20)) == bytes


@pytest.mark.anyio
async def test_a_period_begins_on_its_day_and_is_estimated_to_its_end() -> None:
    history = Counted(net_receive__eth0=1000, net_transmit__eth0=500, net_receive__br0=7)
    cap = CapSettings(name="line", limit=720_000, day=15)
    found = await standing(cap, history, "aa", at("2026-11-20T00:00:00"), UTC, ["eth0"])  # type: ignore[arg-type]
    assert found is not None
    assert (found.start, found.end) == (at("2026-11-15T00:00:00"), at("2026-12-15T00:00:00"))
    assert found.used == 5 * 24 * 1500
    assert found.expected == 30 * 24 * 1500
    assert found.utilization == pytest.approx(0.25)
    assert found.forecast == pytest.approx(1.5)


@pytest.mark.anyio
async def test_what_was_not_counted_at_the_beginning_is_not_taken_for_nothing() -> None:
    history = Counted(net_receive__eth0=1000)
    cap = CapSettings(name="line", limit=720_000)
    history.since = at("2026-11-10T00:00:00")
    used = 10 * 24 * 1000
    found = await standing(cap, history, "aa", at("2026-11-20T00:00:00"), UTC, ["eth0"])  # type: ignore[arg-type]
    assert found is not None and found.used == used
    # It goes on as in the ten days that are known.
    assert found.expected == used + used * 11 // 10
    history.since = at("2026-11-19T23:30:00")
    found = await standing(cap, history, "aa", at("2026-11-20T00:00:00"), UTC, ["eth0"])  # type: ignore[arg-type]
    assert found is not None and found.forecast is None, "half an hour says nothing of a month"


@pytest.mark.anyio
async def test_an_interface_may_be_named_that_does_not_count_towards_the_total() -> None:
    history = Counted(net_receive__eth0=1000, net_receive__br0=7)
    cap = CapSettings(name="line", limit=1000, interface="br*")
    found = await standing(cap, history, "aa", at("2026-11-01T10:00:00"), UTC, ["eth0"])  # type: ignore[arg-type]
    assert found is not None
    assert found.used == 70


@pytest.mark.anyio
@pytest.mark.parametrize("device", ["jo's TABLET", "tablet", TABLET.upper()])
async def test_a_device_goes_by_alias_name_or_address(device: str) -> None:
    history = Counted(**{f"device_receive__{TABLET}": 3, "net_receive__eth0": 1000})
    cap = CapSettings(name="kids", limit=1000, device=device)
    found = await standing(cap, history, "aa", at("2026-11-01T10:00:00"), UTC, [])  # type: ignore[arg-type]
    assert found is not None
    assert found.used == 30


def test_whoever_takes_the_name_of_another_adds_to_its_cap() -> None:
    def known(key: str, name: str) -> KnownDevice:
        return KnownDevice(host="aa", key=key, row=DeviceRow(key=key, mac=key, name=name), first=0, last=0)

    both = [known(TABLET, "tv (dd:01)"), known("02:aa:bb:cc:dd:02", "TV (dd:02)"), known("02:aa:bb:cc:dd:03", "nas")]
    assert devices_meant(CapSettings(name="x", limit=1, device="tv"), both) == [TABLET, "02:aa:bb:cc:dd:02"]


@pytest.mark.anyio
@pytest.mark.parametrize("cap", [{"device": "nobody"}, {"interface": "wan9"}, {}])
async def test_what_is_not_known_stands_nowhere(cap: dict[str, str]) -> None:
    history = Counted(net_receive__eth0=1000)
    settings = CapSettings(name="line", limit=1000, **cap)  # type: ignore[arg-type]
    assert await standing(settings, history, "aa", at("2026-11-01T10:00:00"), UTC, []) is None  # type: ignore[arg-type]
