"""Answers about hosts and devices, and what is said where there is none of that name."""

from __future__ import annotations

import pytest

from remote.server.feed import Feed, Limits
from sysmon.catalogue import Catalogue, counter, rate
from sysmon.errors import StoreError
from sysmon.frame import InterfaceRow, Tables
from sysmon.records import HostInfo, Status
from tests.remote.server.test_server import get
from tests.remote.support import CATALOGUE, HOST, OTHER, MemoryHistory, frame, make_feed, served

pytestmark = pytest.mark.anyio

NETWORK = Catalogue(
    [
        metric
        for way in ("receive", "transmit")
        for metric in (
            counter(f"net.{way}", "bytes", "", instance="interface", collector="network"),
            counter(f"net.{way}.errors", "", "", instance="interface", collector="network"),
            rate(f"net.{way}_rate", f"net.{way}", "bytes/s", "", collector="network"),
        )
    ]
)


async def test_hosts_tell_of_all_that_are_configured() -> None:
    feed = Feed(CATALOGUE, hub="a" * 16)
    feed.publish(HostInfo(id=HOST, name="web", tags=["prod"], via=["b" * 16]))
    feed.publish(Status(host=HOST, state="live", name="web"))
    feed.publish(Status(host="", name="never", state="offline", message="connection refused"))
    feed.publish(Status(host="", name="asleep", state="paused"))
    async with served(feed) as server:
        _, answer, _ = await get(server.port, "/v1/hosts")
        assert answer["hub"] == "a" * 16
        (web,) = answer["hosts"]
        assert (web["tags"], web["via"]) == (["prod"], ["b" * 16, "a" * 16])
        states = {(each["host"], each["name"]): each["state"] for each in answer["statuses"]}
        assert states == {(HOST, "web"): "live", ("", "never"): "offline", ("", "asleep"): "paused"}
        _, answer, _ = await get(server.port, "/v1/hosts?host=never")
        assert (answer["hosts"], [each["message"] for each in answer["statuses"]]) == ([], ["connection refused"])
        _, answer, _ = await get(server.port, "/v1/hosts?host=web")
        assert [each["host"] for each in answer["statuses"]] == [HOST]
        status, answer, _ = await get(server.port, "/v1/hosts?host=wbe")
        assert (status, answer["hint"]) == (404, "did you mean 'web'?")


async def test_devices_are_the_interfaces_with_their_rates_and_totals() -> None:
    feed = Feed(NETWORK)
    history = MemoryHistory()
    feed.publish(HostInfo(id=HOST, hostname="web"))
    feed.publish(HostInfo(id=OTHER, hostname="db"))
    row = InterfaceRow(name="eth0", kind="ethernet", up=True, speed=125_000_000, address="192.0.2.1")
    for seq in (1, 2):
        readings = {"net.receive:eth0": 1000 * seq, "net.transmit:eth0": 10 * seq, "net.receive.errors:eth0": 3}
        at = frame(seq).monotonic
        feed.publish(frame(seq, readings=readings, reads={"network": at}, tables=Tables(interfaces=[row])))
    feed.publish(frame(1, host=OTHER, readings={"net.receive:lo": 5, "net.receive:a": 6}, reads={"network": at}))
    async with served(feed, history) as server:
        _, answer, _ = await get(server.port, "/v1/devices?host=web&kind=interface")
        (device,) = answer["devices"]
        assert device["rates"] == {"receive": 1000.0, "transmit": 10.0}
        assert device["total"] == {"receive": 2000, "transmit": 20}
        assert device["today"]["receive"] == device["month"]["transmit"] == 2**40
        assert device["today"]["at_least"] is True
        assert device["errors"] == 3
        assert device["link"] == {"kind": "ethernet", "up": True, "speed": 125_000_000, "address": "192.0.2.1"}
        _, answer, _ = await get(server.port, "/v1/devices")
        assert [(each["host"], each["name"]) for each in answer["devices"]] == [
            (HOST, "eth0"),
            (OTHER, "a"),
            (OTHER, "lo"),
        ]
        assert answer["devices"][1]["rates"] == {}
        status, answer, _ = await get(server.port, "/v1/devices?kind=phone")
        assert (status, answer["error"]) == (400, "kind 'phone' is not interface, device or all")
    history.broken = StoreError("history.db: disk I/O error")
    async with served(feed, history) as server:
        _, answer, _ = await get(server.port, "/v1/devices?host=web")
        assert answer["problems"] == ["web: history.db: disk I/O error"]
        assert "today" not in answer["devices"][0]
    feed = Feed(NETWORK, limits=Limits(deadline=0.1))
    feed.publish(frame(1, readings={"net.receive:eth0": 1}))
    history = MemoryHistory()
    history.delay = 5.0
    async with served(feed, history) as server:
        _, answer, _ = await get(server.port, "/v1/devices")
        assert (len(answer["devices"]), answer["problems"]) == (1, [f"{HOST}: the history did not answer in time"])
    async with served(feed) as server:
        _, answer, _ = await get(server.port, "/v1/devices")
        assert (len(answer["devices"]), answer["problems"]) == (1, [])


@pytest.mark.parametrize(
    ("path", "status", "error", "hint"),
    [
        ("/v1/history?host=web&metric=nosuch.metric", 404, "'nosuch.metric' is not a metric known here", "lists"),
        ("/v1/history?host=web&metric=load.2", 404, "'load.2' is not a metric known here", "did you mean 'load.1'?"),
        ("/v1/history?host=web&metric=load.1&step=5", 400, "'step=5' is not a parameter of /v1/history", "known:"),
        ("/v1/frame?step=1", 400, "'step=1' goes with 'time' only", "add time"),
        ("/v1/frame?time=1", 400, "time '1' is not a moment", "write RFC 3339"),
        ("/v1/moment?time=3h&step=2", 400, "step '2' is not a whole number from -1 to 1", ""),
        ("/v1/history?host=wbe&metric=load.1", 404, "'wbe' is not a host known here", "did you mean 'web'?"),
        ("/v1/devices?host=wbe", 404, "'wbe' is not a host known here", "did you mean 'web'?"),
        ("/v1/stream?hosts=wbe", 404, "'wbe' is not a host known here", "did you mean 'web'?"),
    ],
)
async def test_what_is_not_there_or_odd_is_named(path: str, status: int, error: str, hint: str) -> None:
    class Empty(MemoryHistory):
        async def series(self, query):  # type: ignore[no-untyped-def]
            from sysmon.records import SeriesAnswer

            return SeriesAnswer(series=[])

    feed = make_feed()
    feed.publish(frame(1))
    async with served(feed, Empty([HostInfo(id=HOST, hostname="web")], [frame(1)])) as server:
        given, answer, _ = await get(server.port, path)
    assert (given, answer["error"]) == (status, error)
    assert hint in answer["hint"]
