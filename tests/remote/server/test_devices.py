"""`/v1/devices` of what is behind routers and `/v1/usage?by=`, on a made month."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from collectors.registry import catalogue
from remote.server.feed import Feed
from store.reader import SqliteHistory
from sysmon.clock import ManualClock
from sysmon.frame import DeviceRow, InterfaceRow, Tables
from sysmon.records import HostInfo, KnownDevice, Status, Usage
from tests.cli import months
from tests.cli.months import DEVICES, NOW, OWN, ROUTER, mac
from tests.remote.server.test_server import get
from tests.remote.support import MemoryHistory, frame, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history of a month."""
    path = tmp_path_factory.mktemp("month") / "history.db"
    months.make(path)
    return path


@asynccontextmanager
async def hub(month: Path) -> AsyncIterator[int]:
    """A server that knows the month, and says that the machine's eth0 is there now; its port."""
    clock = ManualClock(NOW)
    feed = Feed(catalogue(), clock=clock)
    feed.publish(HostInfo(id=OWN, hostname="laptop", timezone="UTC"))
    rows = [
        InterfaceRow(name="eth0", kind="ethernet", physical=True, up=True, state="up", master="br0"),
        InterfaceRow(name="br0", kind="bridge", lower=["eth0"], up=True),
        InterfaceRow(name="lo", kind="loopback"),
    ]
    for seq in (1, 2):
        at = frame(seq, start=NOW - 10_000).monotonic
        readings = {
            f"net.{way}:{name}": seq * 1000 for way in ("receive", "transmit") for name in ("eth0", "br0", "lo")
        }
        feed.publish(
            frame(
                seq,
                host=OWN,
                start=NOW - 10_000,
                readings=readings,
                reads={"network": at},
                tables=Tables(interfaces=rows),
            )
        )
    history = SqliteHistory.open(month, catalogue(), clock=clock)
    try:
        async with served(feed, history, clock=clock) as server:
            yield server.port
    finally:
        await history.close()


async def asked(port: int, path: str, status: int = 200) -> Any:
    given, answer, _ = await get(port, path)
    assert given == status, answer
    return answer


async def test_interfaces_say_which_of_them_count(month: Path) -> None:
    async with hub(month) as port:
        answer = await asked(port, "/v1/devices?host=laptop")
        devices = {each["name"]: each for each in answer["devices"]}
        assert answer["total"] == 3
        assert [devices[name].get("counted") for name in ("eth0", "br0", "lo")] == [True, False, False]
        assert devices["eth0"]["rates"] == {"receive": 1000.0, "transmit": 1000.0}
        assert devices["eth0"]["today"]["receive"] == 11 * 10**9
        assert devices["eth0"]["recorded"]["receive"] == months.DAYS * 24 * 10**9
        assert (devices["eth0"]["share"], devices["br0"].get("share")) == (1.0, None)
        assert devices["br0"]["link"]["lower"] == ["eth0"]
        without = await asked(port, "/v1/devices?host=laptop&totals=no")
        assert all("today" not in each for each in without["devices"])


async def test_devices_come_in_order_and_in_pages(month: Path) -> None:
    async with hub(month) as port:
        query = "/v1/devices?kind=device&range=7d&sort=total&limit=15"
        pages = [await asked(port, f"{query}&offset={offset}") for offset in (0, 15, 30, 45)]
        assert [page["total"] for page in pages] == [DEVICES] * 4
        listed = [each for page in pages for each in page["devices"]]
        assert [each["name"] for each in listed] == [mac(number) for number in range(DEVICES, 0, -1)]
        hours = 6 * 24 + 11
        assert listed[0]["range"]["receive"] == hours * DEVICES * 1_000_000
        assert sum(each["share"] for each in listed) == pytest.approx(1.0)
        assert all(each["host"] == ROUTER and "services" not in each for each in listed)
        everything = await asked(port, "/v1/devices?kind=all")
        assert {each["kind"] for each in everything["devices"]} == {"interface", "device"}


async def test_one_device_tells_what_it_did(month: Path) -> None:
    async with hub(month) as port:
        for name in (mac(1), mac(1).upper(), "ANNA-PHONE", "192.168.1.11", "52-54-00-00-00-01"):
            (device,) = (await asked(port, f"/v1/devices?kind=device&name={name}"))["devices"]
            assert device["name"] == mac(1)
            assert [each["name"] for each in device["services"]] == ["HTTPS", "DNS"]
        assert len((await asked(port, "/v1/devices?kind=device&name=tv"))["devices"]) == 2
        answer = await asked(port, "/v1/devices?kind=device&name=nobody", 404)
        assert "'nobody' is no interface and no device" in answer["error"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("devices?kind=tv", "kind 'tv' is not interface, device or all"),
        ("devices?range=week", "range 'week' is not today, yesterday"),
        ("devices?range=7d&since=3h", "'range' and 'since' exclude each other"),
        ("devices?until=3h", "'until=3h' goes with 'since' only"),
        ("devices?since=1h&until=2h", "since is not before until"),
        ("devices?sort=size", "sort 'size' is not name, now"),
        ("devices?limit=0", "limit '0' is not a whole number from 1 to 10000"),
        ("devices?limit=10001", "limit '10001' is not"),
        ("devices?offset=-1", "offset '-1' is not"),
        ("devices?totals=maybe", "totals 'maybe' is not yes or no"),
        ("usage?host=laptop&by=week", "by 'week' is not 5min, hour, day, month, year, top or periods"),
        ("usage?host=laptop&by=day&step=day", "'step' and 'by' exclude each other"),
        ("usage?host=laptop&name=eth0", "'name=eth0' goes with 'by' only"),
        ("usage?host=laptop&step=week", "step 'week' is not fiveminute, hour, day, month or year"),
    ],
)
async def test_what_is_wrong_is_named(month: Path, query: str, words: str) -> None:
    async with hub(month) as port:
        assert words in (await asked(port, f"/v1/{query}", 400))["error"]


async def test_usage_comes_by_step(month: Path) -> None:
    async with hub(month) as port:
        answer = await asked(port, "/v1/usage?host=laptop&by=day&range=7d")
        (series,) = answer["series"]
        assert (series["name"], answer["by"], answer["timezone"]) == ("eth0", "day", "UTC")
        assert [step["receive"] for step in series["steps"]] == [24 * 10**9] * 6 + [11 * 10**9]
        assert series["steps"][0]["start"] == "2026-11-15T00:00:00Z"
        assert series["expected"]["receive"] == 24 * 10**9
        both = await asked(port, "/v1/usage?host=laptop&by=month&name=br0&name=lo")
        assert [each["name"] for each in both["series"]] == ["br0", "lo"]
        device = await asked(port, "/v1/usage?host=home&kind=device&by=hour&name=anna-phone")
        assert {step["receive"] for step in device["series"][0]["steps"]} == {1_000_000}
        everyone = await asked(port, "/v1/usage?host=home&kind=device&by=day&range=yesterday")
        assert everyone["series"][0]["steps"][0]["receive"] == 24 * 1_000_000 * sum(range(1, DEVICES + 1))
        top = await asked(port, "/v1/usage?host=laptop&by=top")
        assert len(top["series"][0]["steps"]) == 10
        periods = await asked(port, "/v1/usage?host=laptop&by=periods")
        eth0 = next(each for each in periods["series"] if each["name"] == "eth0")
        assert eth0["yesterday"]["total"] == 24 * 11 * 10**8
        (behind,) = (await asked(port, "/v1/usage?host=home&kind=device&by=periods"))["series"]
        assert behind["today"]["receive"] == 11 * 820 * 10**6 and behind["yesterday"]["transmit"] == 24 * 820 * 10**3
        assert (behind["names"], behind["counted"]) == ([], True) and behind["figures"] is None
        assert "eth9" in (await asked(port, "/v1/usage?host=laptop&by=day&name=eth9", 404))["error"]
        much = await asked(port, "/v1/usage?host=home&since=1980-01-01T00:00:00Z&step=hour", 400)
        assert "totals, more than 250000" in much["error"]
        few = await asked(port, "/v1/usage?host=home&since=1980-01-01T00:00:00Z&step=month")
        assert few
        assert "2 devices" in (await asked(port, "/v1/usage?host=home&kind=device&by=day&name=tv", 404))["error"]
        plain = await asked(port, "/v1/usage?host=laptop&step=year&since=40d&key=net.receive:eth0")
        assert [each["bytes"] for each in plain] == [months.DAYS * 24 * 10**9]


async def test_of_a_router_that_is_away_nothing_is_told_of_now() -> None:
    feed = Feed(catalogue())
    feed.publish(HostInfo(id=ROUTER, name="home", timezone="UTC"))
    for seq in (1, 2):
        made = frame(
            seq, host=ROUTER, readings={f"device.receive:{mac(1)}": 1000 * seq, f"device.connections:{mac(1)}": 3}
        )
        rows = [DeviceRow(key=mac(1), mac=mac(1), online=True)]
        feed.publish(msgspec.structs.replace(made, reads={"devices": made.monotonic}, tables=Tables(devices=rows)))

    async def told() -> dict[str, Any]:
        (device,) = (await asked(server.port, "/v1/devices?kind=device"))["devices"]
        return dict(device)

    async with served(feed) as server:
        feed.publish(Status(host=ROUTER, name="home", state="late"))
        there = await told()
        assert (there["rates"], there["online"], there["connections"]) == ({"receive": 1000.0}, True, 3)
        feed.publish(Status(host=ROUTER, name="home", state="offline"))
        gone = await told()
        assert there.keys() - gone.keys() == {"online", "connections"} and not gone["rates"]
        assert gone["last"] == there["last"] == made.time and gone["total"] == {"receive": 2000}


class Crowd(MemoryHistory):
    """A history of ten thousand devices."""

    SIZE = 10_000

    async def devices(self, host: str) -> list[KnownDevice]:
        return [
            KnownDevice(host=host, key=f"{number:012x}", row=DeviceRow(key=f"{number:012x}"), first=1, last=2)
            for number in range(self.SIZE)
        ]

    async def usage(self, host: str, start: int, end: int, step: str, keys: Sequence[str] = ()) -> list[Usage]:
        return [
            Usage(host=host, key=f"device.{way}:{number:012x}", start=start, end=end, bytes=number)
            for number in range(self.SIZE)
            for way in ("receive", "transmit")
        ]


async def test_ten_thousand_devices_let_others_through() -> None:
    feed = Feed(catalogue())
    feed.publish(HostInfo(id=ROUTER, name="home", timezone="UTC"))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with served(feed, Crowd()) as server:
        counter = asyncio.create_task(count())
        answer = await asked(server.port, "/v1/devices?kind=device&sort=total&limit=3&offset=2")
        counter.cancel()
    assert answer["total"] == Crowd.SIZE
    assert [each["month"]["receive"] for each in answer["devices"]] == [9997, 9996, 9995]
    # It was made in slices and in a thread: the loop came round meanwhile.
    assert turns > 20
