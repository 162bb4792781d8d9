"""What Prometheus is given: the names of node_exporter, exact numbers, and nothing that a name could break."""

from __future__ import annotations

import gzip
import http.client
import re
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.registry import catalogue
from remote.foreign.exposition import Page as Parsed
from remote.foreign.exposition import Sample, parse
from remote.foreign.metricsroute import MetricsRoute, wants_openmetrics
from remote.foreign.nodeexporter import Family, info_of, read_page
from remote.foreign.nodenames import CPU_STATES, NAMES, WORKED_OUT, table
from remote.foreign.openmetrics import MAX_DEVICES, HostPage, Page, exposed_name
from sysmon.catalogue import counter, gauge
from sysmon.derive import State
from sysmon.frame import (
    DeviceRow,
    DiskRow,
    FilesystemRow,
    Frame,
    InterfaceRow,
    Number,
    Tables,
    clean_instance,
    join_key,
    split_key,
)
from sysmon.records import HostInfo, Status
from tests.remote.support import BOOT, HOST, OTHER, RUN, T0, frame, make_feed, served

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from remote.server.feed import Feed

CATALOGUE = catalogue("linux")
RAW = [metric for metric in CATALOGUE if metric.kind != "derived"]
INFO = HostInfo(id=HOST, hostname="web", name="shop", kernel="6.1.0", arch="x86_64", os="Debian", cpus=2)
GOOD_NAME = re.compile("[a-z_][a-zA-Z0-9_]*")


def state_of(readings: dict[str, Number], tables: Tables | None = None) -> State:
    """The state of a host that has said this."""
    state = State(CATALOGUE)
    state.apply(
        Frame(
            host=HOST,
            boot=BOOT,
            run=RUN,
            seq=1,
            time=T0,
            monotonic=10**12,
            readings=readings,
            full=True,
            tables=tables or Tables(),
        )
    )
    return state


def exposed(state: State, info: HostInfo = INFO, *, openmetrics: bool = False) -> Parsed:
    """What a strict reader of the page of one host finds."""
    page = Page(openmetrics=openmetrics)
    HostPage(page, CATALOGUE, info).state(state)
    return parse(page.text(), openmetrics=openmetrics, grouped=True)


def find(page: Parsed, name: str, **labels: str) -> Sample:
    """The only sample of a name with these labels."""
    (found,) = [each for each in page.samples if each.name == name and labels.items() <= each.labels.items()]
    return found


def everything() -> dict[str, Number]:
    """A value of every raw metric, each another."""
    readings: dict[str, Number] = {}
    for number, metric in enumerate(RAW):
        instance = {"": "", "sensor": "chip/temp1", "mount": "/srv", "core": "0"}.get(metric.instance, "one")
        value: Number = 2**60 + number if metric.kind == "counter" and metric.unit != "seconds" else 100 + number
        readings[join_key(metric.name, instance)] = value * (4096 if metric.name.startswith("swap.") else 1)
    readings["battery.charge:one"] = 0.87
    readings["temperature:chip/temp1"] = 48.5
    return readings


def test_every_metric_has_one_name_and_every_name_one_metric() -> None:
    names: dict[str, list[str]] = {}
    for metric in RAW:
        names.setdefault(exposed_name(metric), []).append(metric.name)
    assert names.pop("node_cpu_seconds_total") == [f"cpu.time.{state}" for state in CPU_STATES]
    assert {name: metrics for name, metrics in names.items() if len(metrics) > 1} == {}
    untyped = {name.theirs for name in NAMES if not name.typed}
    for metric in RAW:
        name = exposed_name(metric)
        assert GOOD_NAME.fullmatch(name)
        if name not in untyped:
            assert name.endswith("_total") == (metric.kind == "counter"), name


def test_the_table_speaks_of_metrics_there_are() -> None:
    assert {name.ours for name in NAMES} <= {metric.name for metric in RAW}
    assert len({name.theirs for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize("openmetrics", [False, True])
def test_every_value_goes_out_exactly(openmetrics: bool) -> None:
    readings = everything()
    page = exposed(state_of(readings), openmetrics=openmetrics)
    scales = {name.ours: name.scale for name in NAMES}
    for key, value in readings.items():
        metric = CATALOGUE.require(split_key(key)[0])
        if metric.name.startswith("cpu.time.") and metric.name.rpartition(".")[2] in CPU_STATES:
            continue
        samples = [each for each in page.samples if each.name == exposed_name(metric)]
        assert len(samples) == 1, metric.name
        scaled = samples[0].value * scales.get(metric.name, 1)
        assert scaled == value if metric.kind == "counter" else scaled == pytest.approx(value)
        assert samples[0].labels["host_id"] == HOST
        assert samples[0].labels["host"] == "shop"
    stem = {True: "node_network_receive_bytes", False: "node_network_receive_bytes_total"}[openmetrics]
    assert page.types[stem] == "counter"
    assert page.types["node_netstat_Tcp_ActiveOpens"] == ("unknown" if openmetrics else "untyped")


def test_what_goes_out_comes_back_the_same() -> None:
    readings = everything()
    tables = Tables(
        filesystems=[FilesystemRow(mount="/srv", device="/dev/sda1", type="xfs", read_only=True)],
        interfaces=[InterfaceRow(name="one", kind="ethernet", up=True, mtu=1500)],
        disks=[DiskRow(name="one", device="dm-0", kind="mapped")],
    )
    page = Family(exposed(state_of(readings, tables)).samples)
    back = read_page(page)
    left = {"swap.used", "fs.used", "memory.used", "memory.available", "temperature.high", "temperature.critical"}
    for name in NAMES:
        for key, value in readings.items():
            if split_key(key)[0] == name.ours and name.ours not in left:
                assert back[key] == pytest.approx(value), key
    assert back["temperature:chip/temp1"] == readings["temperature:chip/temp1"]
    assert info_of(page).hostname == "web"
    assert page.labels("node_filesystem_size_bytes")["device"] == "/dev/sda1"
    assert page.labels("node_filesystem_size_bytes")["fstype"] == "xfs"
    assert page.value("node_filesystem_readonly") == 1
    assert page.value("node_network_up") == 1


def test_processors_add_up_and_average_to_what_was_counted() -> None:
    readings: dict[str, Number] = {f"cpu.time.{state}": 100.0 + at for at, state in enumerate(CPU_STATES)}
    for core in range(3):
        readings |= {f"cpu.time.busy:{core}": 10.0 * core, f"cpu.time.idle:{core}": 50.0}
    page = exposed(state_of(readings))
    for at, mode in enumerate(CPU_STATES):
        shares = [
            each.value for each in page.samples if each.name == "node_cpu_seconds_total" and each.labels["mode"] == mode
        ]
        assert len(shares) == 3
        assert sum(shares) == pytest.approx(100.0 + at)
    assert find(page, "sysmon_cpu_core_time_busy_seconds_total", core="2").value == 20.0
    assert find(page, "sysmon_cpu_core_time_idle_seconds_total", core="2").value == 50.0


def test_a_container_has_as_many_processors_as_its_quota_needs() -> None:
    page = exposed(state_of({"cpu.time.idle": 30.0, "cpu.time.user": 3.0, "cpu.capacity": 1.5}))
    idle = [each for each in page.samples if each.labels.get("mode") == "idle"]
    assert [each.value for each in idle] == [15.0, 15.0]


def test_pages_of_swap_are_counted_where_their_size_is_known() -> None:
    state = state_of({"swap.in": 8192})
    assert find(exposed(state), "node_vmstat_pswpin").value == 2
    arm = exposed(state, HostInfo(id=HOST, arch="aarch64"))
    assert find(arm, "sysmon_swap_in_bytes_total").value == 8192
    assert not [each for each in arm.samples if each.name == "node_vmstat_pswpin"]


def test_what_a_dashboard_asks_for_beside() -> None:
    state = state_of(
        {
            "sockets.tcp:established": 5,
            "sockets.tcp:close_wait": 2,
            "sockets.tcp:time_wait": 7,
            "fs.inodes.total:/": 100,
            "fs.inodes.used:/": 30,
            "temperature:acpitz/zone0": 27.8,
        }
    )
    page = exposed(state)
    assert find(page, "node_netstat_Tcp_CurrEstab").value == 7
    assert find(page, "node_sockstat_TCP_tw").value == 7
    assert find(page, "node_filesystem_files_free").value == 70
    assert find(page, "node_thermal_zone_temp", type="acpitz", zone="0").value == 27.8
    assert find(page, "node_time_seconds").value == T0 / 1000
    assert find(page, "node_uname_info", nodename="web", release="6.1.0", machine="x86_64").value == 1


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(texts, texts, texts, st.booleans())
def test_no_name_breaks_the_page(host: str, device: str, mount: str, openmetrics: bool) -> None:
    info = HostInfo(id=HOST, name=host, hostname=device, os=mount, kernel=host, arch=device)
    instance = clean_instance(device) or "x"
    tables = Tables(filesystems=[FilesystemRow(mount=mount or "/", device=device, type=host)])
    page = exposed(
        state_of({f"net.receive:{instance}": 1, f"fs.size:{mount or '/'}": 2}, tables), info, openmetrics=openmetrics
    )
    found = find(page, "node_network_receive_bytes_total")
    assert found.labels["device"] == instance
    for sample in page.samples:
        for value in sample.labels.values():
            assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", value)


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text; version=1.0.0", True),
        ("application/openmetrics-text; version=0.0.1", False),
        ("application/openmetrics-text;version=1.0.0;q=0", False),
        ("application/openmetrics-text;version=1.0.0;q=0.4,text/plain;q=0.5", False),
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
            "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            True,
        ),
        ("application/openmetrics-text;q=lots", False),
    ],
)
def test_what_a_reader_prefers(accept: str, openmetrics: bool) -> None:
    assert wants_openmetrics(accept) is openmetrics


# Over HTTP


async def get(port: int, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """One request, as curl makes it."""

    def ask() -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    return await anyio.to_thread.run_sync(ask)


def hub() -> Feed:
    """A feed with a live host, one that is gone, and one that was never reached."""
    feed = make_feed()
    feed.publish(frame(1))
    feed.publish(HostInfo(id=OTHER, hostname="db"))
    feed.publish(frame(1, host=OTHER))
    feed.publish(Status(host=OTHER, state="offline", message="gone"))
    feed.publish(Status(host="", name="nas", state="offline", message="connection refused"))
    return feed


def labels(samples: Iterable[Sample], name: str) -> list[dict[str, str]]:
    """Labels of the samples of a name."""
    return [each.labels for each in samples if each.name == name]


@pytest.mark.anyio
async def test_a_hub_shows_all_its_hosts_but_no_value_of_the_past() -> None:
    feed = hub()
    more: dict[str, Any] = {"routes": MetricsRoute(feed).routes()}
    async with served(feed, **more) as server:
        status, headers, body = await get(server.port, "/metrics")
        page = parse(body, grouped=True)
        assert status == 200
        assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        up = {each.labels["host"]: each.value for each in page.samples if each.name == "sysmon_host_up"}
        assert up == {"web": 1, "db": 0, "nas": 0}
        assert [each["host"] for each in labels(page.samples, "node_load1")] == ["web"]
        assert labels(page.samples, "sysmon_build_info") == [{"version": "1.2.3"}]

        feed.publish(Status(host=OTHER, state="live"))
        _, _, body = await get(server.port, "/metrics")
        assert {each["host_id"] for each in labels(parse(body).samples, "node_load1")} == {HOST, OTHER}
        _, _, body = await get(server.port, "/metrics?host=db")
        assert [each["host"] for each in labels(parse(body).samples, "node_load1")] == ["db"]
        assert [each["host"] for each in labels(parse(body).samples, "sysmon_host_up")] == ["db"]

        status, headers, body = await get(
            server.port, "/metrics", accept="application/openmetrics-text; version=1.0.0", accept_encoding="gzip"
        )
        assert headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        assert headers["content-encoding"] == "gzip"
        assert parse(gzip.decompress(body), openmetrics=True).types["node_network_receive_bytes"] == "counter"

        assert (await get(server.port, "/metrics?host=nobody"))[0] == 404
        assert (await get(server.port, "/metrics?name=x"))[0] == 400


def test_the_devices_behind_a_router_that_moved_most_go_out() -> None:
    readings: dict[str, Number] = {}
    rows = []
    for number in range(MAX_DEVICES + 20):
        readings[f"device.receive:aa:{number}"] = number
        readings[f"device.transmit:aa:{number}"] = 1
        rows.append(
            DeviceRow(key=f"aa:{number}", name='the "tv" {1}' if number == 100 else "", addresses=["192.0.2.1"])
        )
    page = Page(openmetrics=False)
    HostPage(page, CATALOGUE, INFO).state(state_of(readings, Tables(devices=rows)))
    samples = [sample for sample in parse(page.text()).samples if sample.name.startswith("sysmon_device_")]
    received = {
        sample.labels["device"]: sample.value
        for sample in samples
        if sample.name == "sysmon_device_receive_bytes_total"
    }
    assert received == {f"aa:{number}": number for number in range(20, MAX_DEVICES + 20)}
    named = {
        sample.labels["device"]: sample.labels["name"] for sample in samples if sample.name == "sysmon_device_info"
    }
    assert named.keys() == received.keys()
    assert named["aa:100"] == 'the "tv" {1}'


def test_the_page_for_people_shows_the_table(checkout: Path) -> None:
    page = (checkout / "docs" / "others.md").read_text()
    assert page.endswith(table()), "docs/others.md is to end with what remote.foreign.nodenames.table() returns"
    metrics = {metric.name for metric in CATALOGUE}
    for row in WORKED_OUT:
        for metric in row.split(", "):
            name = metric.partition(":")[0].replace("STATE", "user")
            assert name in metrics, name


def test_metrics_of_strangers_cannot_break_the_page() -> None:
    strange = CATALOGUE.merged(
        [
            gauge("a.b", "", "One", instance="host"),
            gauge("a_b", "", "Two", instance="host"),
            counter("c", "", "Three", instance="9 lives"),
            gauge("c.count", "", "Four"),
            gauge("build_info", "", "Five"),
            gauge("9", "", "Six\n# TYPE x gauge", instance="{}"),
        ]
    )
    readings: dict[str, Number] = {"a.b:x": 1, "a_b:x": 2, "c:y": 3, "c.count": 4, "build_info": 5, "9:z": 6}
    state = State(strange)
    state.apply(Frame(host=HOST, boot=BOOT, run=RUN, seq=1, time=T0, monotonic=10**12, readings=readings, full=True))
    for openmetrics in (False, True):
        page = Page(openmetrics=openmetrics)
        page.add("sysmon_build_info", "gauge", "Which", 'version="1"', 1)
        HostPage(page, strange, INFO).state(state)
        found = parse(page.text(), openmetrics=openmetrics, grouped=True)
        assert find(found, "sysmon_a_b").labels["instance"] == "x"
        assert find(found, "sysmon_c_total").value == 3
        assert not [each for each in found.samples if each.name == "sysmon_c"]
