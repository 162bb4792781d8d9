"""The devices of a router as a whole: from the texts in a tree, over looks, to readings, rows and faults."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors._router import ledger, nlbw
from collectors._router import rows as device_rows
from collectors._router.commands import COMMANDS, FIRST
from collectors._router.counting import FALLBACK_INTERVAL, GIVE_UP, SOON
from collectors._router.texts import LiveTexts, Text
from collectors.base import Reading, Roots
from collectors.devices import DevicesCollector
from collectors.registry import available, build
from sysmon.devicesources import LAYERS, LIMITS
from sysmon.errors import CollectorError, Unsupported
from sysmon.frame import DeviceRow, ServiceRow
from tests.collectors.trees import FIXTURES, derived, known

A, B = "02:aa:bb:cc:dd:01", "02:aa:bb:cc:dd:02"
LAPTOP = "00:11:32:00:00:07"


class Router:
    """A tree of texts that a test changes, and the collector that looks at it every 30 s."""

    def __init__(self, base: Path, **options: object) -> None:
        self.folder = base / "sysmon"
        self.folder.mkdir(parents=True)
        self.collector = DevicesCollector(Roots(base, live=False), {"router": True, **options})
        self.at = 1000.0
        self.collector.clock = lambda: self.at
        self.asked: tuple[str, ...] = ()

    def put(self, name: str, text: str, status: int = 0, said: str = "") -> None:
        (self.folder / name).write_text(text)
        (self.folder / f"{name}.status").write_text(f"{status}\n{said}")

    def capture(self, name: str, file: str) -> None:
        self.put(name, (FIXTURES / "router" / file).read_text())

    def nlbw(self, *rows: tuple[str, str, int, int]) -> None:
        """Rows of MAC, address, bytes received and sent."""
        columns = ["mac", "ip", "conns", "rx_bytes", "tx_bytes"]
        data = [[mac, address, 1, received, sent] for mac, address, received, sent in rows]
        self.put("nlbw", json.dumps({"columns": columns, "data": data}))

    def look(self, seconds: float = 30.0) -> Reading:
        self.at += seconds
        self.asked = self.collector.needs()
        return self.collector.read()


@pytest.fixture
def router(tmp_path: Path) -> Router:
    """A router as it was captured, with nlbwmon."""
    made = Router(tmp_path)
    made.capture("nlbw", "nlbw-host.json")
    made.capture("services", "nlbw.json")
    made.capture("leases", "leases")
    made.capture("neighbours", "neighbours-busybox")
    made.capture("probe", "probe")
    made.put("odhcpd", "", 1)
    made.put("hints", "", 1)
    return made


def rows(reading: Reading) -> dict[str, DeviceRow]:
    return {row.key: row for row in reading.tables.devices or ()}


def told(reading: Reading, metric: str = "receive") -> dict[str, Any]:
    start = f"device.{metric}:"
    return {key.removeprefix(start): value for key, value in reading.values.items() if key.startswith(start)}


# The capture


def test_the_captured_router(router: Router) -> None:
    reading = router.look()
    assert router.asked == FIRST
    known(DevicesCollector, reading)
    assert reading.faults == [] and reading.interval == 30.0
    assert told(reading) == {A: 6642908, B: 2898856}
    assert told(reading, "transmit") == {A: 3115008, B: 101716}
    assert told(reading, "connections") == {A: 5, B: 6}
    first, second = rows(reading).values()
    assert first.services[0] == ServiceRow("HTTPS", 5005572, 102104, 1)
    assert first == DeviceRow(
        key=A,
        mac=A,
        addresses=["192.168.1.101", "192.168.1.184", "fd00:1::101", "fe80::aa:bbff:fecc:dd01"],
        name="Living-Room-TV",
        name_from="lease",
        category="television",
        source="nlbwmon",
        layer="L3",
        online=True,
        services=first.services,
    )
    # Neighbours on the outer side, and those that did not answer, are no devices.
    assert (second.key, second.name, second.name_from) == (B, "", "")


@pytest.mark.parametrize("file", ["neighbours-iproute2", "neighbours-iproute2-s", "neighbours-arp"])
def test_every_form_of_neighbours_gives_the_same_devices(router: Router, file: str) -> None:
    before = router.look()
    router.capture("neighbours", file)
    after = router.look()
    for key, row in rows(after).items():
        assert row.online and row.addresses[:2] == rows(before)[key].addresses[:2]


def test_the_router_and_the_world_are_no_devices(router: Router) -> None:
    router.nlbw(
        (A, "192.168.1.101", 5, 6),
        ("02:11:22:00:00:01", "192.168.1.1", 7, 8),
        ("00:00:00:00:00:00", "198.51.100.7", 7, 8),
        ("00:00:00:00:00:00", "10.8.0.6", 9, 10),
    )
    assert told(router.look()) == {A: 5, "10.8.0.6": 9, B: 0}
    row = rows(router.look())["10.8.0.6"]
    assert (row.mac, row.addresses, row.vendor) == ("", ["10.8.0.6"], "")


def test_without_a_probe_the_devices_are_there_all_the_same(router: Router) -> None:
    (router.folder / "probe").unlink()
    (router.folder / "probe.status").unlink()
    assert told(router.look())[A] == 6642908
    assert "nlbw" in router.collector.needs()


# Over looks


def test_rates_of_a_device(router: Router) -> None:
    router.nlbw((A, "192.168.1.101", 1000, 500))
    first = router.look()
    router.nlbw((A, "192.168.1.101", 31_000, 3500))
    second = router.look()
    found = derived(DevicesCollector, first, second, 30 * 10**9)
    assert found[f"device.receive_rate:{A}"] == 1000.0 and found[f"device.transmit_rate:{A}"] == 100.0
    assert found[f"device.receive_rate:{B}"] == 0.0


def test_a_look_before_nlbwmons_next_step_tells_nothing(router: Router) -> None:
    first = router.look()
    router.nlbw((A, "192.168.1.101", 7_000_000, 4_000_000))
    assert router.look(2.0) is first
    assert router.look(28.0) is not first


def test_a_step_that_is_late_makes_no_zero_and_no_spike(router: Router) -> None:
    router.nlbw((A, "192.168.1.101", 1000, 0))
    router.look()
    router.nlbw((A, "192.168.1.101", 2000, 0))
    moved = router.look()
    # nlbwmon has not looked yet: nothing is told once, and after that it is true that nothing moved.
    assert router.look() is moved
    idle = router.look()
    assert idle is not moved and told(idle)[A] == 2000
    assert router.look() is not idle


def test_the_interval_is_that_of_nlbwmon_where_it_is_longer(tmp_path: Path, router: Router) -> None:
    router.put("probe", (FIXTURES / "router" / "probe").read_text().replace("refresh=30s", "refresh=2m"))
    assert router.look().interval == 120.0
    slow = Router(tmp_path / "slow", interval=60.0)
    slow.capture("nlbw", "nlbw-host.json")
    assert slow.look().interval == 60.0
    quick = Router(tmp_path / "quick", interval=10.0)
    quick.capture("nlbw", "nlbw-host.json")
    assert quick.look().interval == 30.0


def test_a_device_that_comes_counts_from_its_first_byte(router: Router) -> None:
    router.look()
    router.put("neighbours", f"192.168.1.7 dev br-lan lladdr {LAPTOP} REACHABLE\n")
    assert told(router.look())[LAPTOP] == 0
    router.nlbw((A, "192.168.1.101", 6642908, 3115008), (LAPTOP, "192.168.1.7", 700, 70))
    assert told(router.look())[LAPTOP] == 700


def test_a_device_that_nobody_announced_is_told_a_look_late(router: Router) -> None:
    router.look()
    router.nlbw((A, "192.168.1.101", 6642908, 3115008), (LAPTOP, "192.168.1.7", 700, 70))
    assert told(router.look())[LAPTOP] == 0
    router.nlbw((A, "192.168.1.101", 6642909, 3115008), (LAPTOP, "192.168.1.7", 900, 90))
    assert told(router.look())[LAPTOP] == 900


def test_rows_that_vanish_leave_the_counters_and_a_new_period_makes_them_fall(router: Router) -> None:
    router.nlbw((A, "192.168.1.101", 5000, 0), (A, "fd00:1::101", 700, 0), (B, "192.168.1.102", 300, 0))
    router.look()
    router.nlbw((A, "192.168.1.101", 5100, 0))
    assert told(router.look()) == {A: 5800, B: 300}
    router.nlbw((A, "192.168.1.101", 40, 0), ("02:11:22:00:00:01", "192.168.1.1", 0, 0))
    period = router.look()
    assert told(period) == {A: 40, B: 0}
    assert rows(period)[A].services == []
    router.nlbw((A, "192.168.1.101", 60, 0), (B, "192.168.1.102", 10, 0))
    assert told(router.look()) == {A: 60, B: 10}


def test_what_is_asked_for_seldom(router: Router) -> None:
    router.look()
    assert router.collector.needs() == ("nlbw", "leases", "neighbours")
    assert "services" in router.collector.needs(watched=True)
    for _ in range(10):
        router.look()
    assert set(router.asked) == set(FIRST)


# Names


def test_two_devices_of_one_name_are_told_apart(router: Router) -> None:
    router.put("leases", f"0 {A} 192.168.1.101 Phone *\n0 {B} 192.168.1.102 phone *\n0 {LAPTOP} 192.168.1.7 nas *\n")
    names = {key: row.name for key, row in rows(router.look()).items()}
    assert names == {A: "Phone (dd:01)", B: "phone (dd:02)", LAPTOP: "nas"}


def test_leases_go_before_hints_and_hints_alone_list_nobody(router: Router) -> None:
    hints = {A.upper(): {"name": "tv.lan"}, B.upper(): {"name": "box.lan"}, LAPTOP: {"name": "gone.lan"}}
    router.put("hints", json.dumps(hints))
    found = rows(router.look())
    assert {key: (row.name, row.name_from) for key, row in found.items()} == {
        A: ("Living-Room-TV", "lease"),
        B: ("box.lan", "hint"),
    }


def test_a_lease_that_has_expired_names_a_device_and_lists_none(router: Router) -> None:
    # The router's clock says 1795250000.
    router.put("leases", f"1795240000 {A} 192.168.1.9 tv *\n1795240000 {LAPTOP} 192.168.1.7 old *\n")
    found = rows(router.look())
    assert found.keys() == {A, B} and found[A].name == "tv" and "192.168.1.9" not in found[A].addresses


def test_a_device_with_a_lease_alone_is_offline_with_its_vendor(router: Router) -> None:
    router.put("leases", f"0 {LAPTOP.upper()} 192.168.1.7 nas *\n")
    row = rows(router.look())[LAPTOP]
    assert (row.online, row.vendor, row.category, row.source) == (False, "Synology", "server", "nlbwmon")


def test_names_with_escape_codes_stay_harmless(router: Router) -> None:
    router.put("leases", f"0 {A} 192.168.1.101 \x1b[31mTV\u202e *\n")
    assert rows(router.look())[A].name == "\ufffd[31mTV\ufffd"


def test_hints_that_are_cut_off_are_a_fault_as_long_as_they_are(router: Router) -> None:
    router.put("hints", '{"02:AA')
    for _ in range(2):
        reading = router.look()
        assert ["hints" in fault.message for fault in reading.faults] == [True] and told(reading)[A] == 6642908
    router.put("hints", "{}")
    assert router.look().faults == []


# Where nlbwmon does not count


def without(router: Router, status: int = 127, **changes: str) -> None:
    """Has no nlbwmon on the router; `changes` to what it says of itself."""
    lines = {"nlbw": "", "nlbwmon": ""} | changes
    text = (FIXTURES / "router" / "probe").read_text().splitlines()
    kept = [line for line in text if line.partition("=")[0] not in lines]
    router.put("probe", "\n".join([*(f"{name}={value}" for name, value in lines.items()), *kept]))
    router.put("nlbw", "", status, "sh: nlbw: not found" if status == 127 else "Bad file descriptor")


def test_connections_are_counted_where_there_is_no_nlbwmon(router: Router) -> None:
    without(router)
    first = router.look()
    assert told(first) == {} and first.interval == SOON
    (fault,) = first.faults
    assert fault.kind == "unsupported" and "not installed" in fault.message and "opkg install nlbwmon" in fault.hint
    assert "connections are counted instead" in fault.message
    assert {row.source for row in first.tables.devices or ()} == {""}
    router.capture("conntrack", "conntrack-acct1")
    second = router.look(SOON)
    assert "conntrack" in router.asked and "nlbw" not in router.asked
    # What was there when it began is not counted.
    assert told(second) == {A: 0, B: 0} and second.interval == FALLBACK_INTERVAL
    grown = (FIXTURES / "router" / "conntrack-acct1").read_text().replace("bytes=901516", "bytes=1000000")
    router.put("conntrack", grown)
    third = router.look(10.0)
    assert told(third) == {A: 98484, B: 0} and told(third, "transmit") == {A: 0, B: 0}
    assert (rows(third)[A].source, rows(third)[A].layer, rows(third)[A].services) == ("conntrack", "L3", [])


def test_entries_without_bytes_are_a_router_that_does_not_count(router: Router) -> None:
    without(router)
    router.look()
    uncounted = (FIXTURES / "router" / "conntrack-acct0").read_text().splitlines(keepends=True)[6]
    router.put("conntrack", uncounted)
    reading = router.look()
    assert "net.netfilter.nf_conntrack_acct = 0" in reading.faults[-1].message
    assert "sysctl -w" in reading.faults[-1].hint and told(reading) == {}


def test_accounting_that_is_off_is_said_and_no_zero_is_told(router: Router) -> None:
    router.put("probe", (FIXTURES / "router" / "probe").read_text().replace("acct=1", "acct=0"))
    reading = router.look()
    assert [fault.message for fault in reading.faults] == [
        "the router does not count: net.netfilter.nf_conntrack_acct = 0"
    ]
    assert told(reading) == {} and {row.source for row in reading.tables.devices or ()} == {""}


def test_connections_without_any_byte_are_not_believed(router: Router) -> None:
    columns = ["mac", "ip", "conns", "rx_bytes", "tx_bytes"]
    router.put("nlbw", json.dumps({"columns": columns, "data": [[A, "192.168.1.101", 900, 0, 0]]}))
    reading = router.look()
    assert "no bytes" in reading.faults[0].message and told(reading) == {}


def test_nlbwmon_that_died_is_waited_for_and_never_mixed(router: Router) -> None:
    router.look()
    without(router, 247, nlbw="/usr/sbin/nlbw")
    router.capture("conntrack", "conntrack-acct1")
    down = router.look()
    assert "does not run" in down.faults[0].message and "service nlbwmon start" in down.faults[0].hint
    assert told(down) == {} and down.tables.devices
    assert "conntrack" not in router.collector.needs()
    router.capture("nlbw", "nlbw-host.json")
    back = router.look()
    assert told(back) == {A: 6642908, B: 2898856} and back.faults == []


def test_nlbwmon_that_runs_and_does_not_answer_is_not_said_to_be_down(router: Router) -> None:
    router.put("nlbw", "", 247, "Error while processing command: Bad file descriptor")
    reading = router.look()
    assert "does not answer" in reading.faults[0].message and "root" in reading.faults[0].hint
    assert told(reading) == {} and "nlbw" in router.collector.needs()


def test_nlbwmon_that_ended_since_it_was_looked_for_is_said_to_be_down_at_once(router: Router, tmp_path: Path) -> None:
    router.look()
    # As the command really says it where no daemon runs.
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, does in (
        ("nlbw", "echo Error while processing command: Bad file descriptor >&2; exit 247"),
        ("pidof", "exit 1"),
    ):
        (tools / name).write_text(f"#!/bin/sh\n{does}\n")
        (tools / name).chmod(0o755)
    ran = subprocess.run(
        ["sh", "-c", COMMANDS["nlbw"].text], env={"PATH": f"{tools}:/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout) == (247, "")
    router.put("nlbw", "", 247, ran.stderr)
    assert "probe" not in router.collector.needs()
    reading = router.look()
    assert "does not run" in reading.faults[0].message and "service nlbwmon start" in reading.faults[0].hint
    (tools / "pidof").write_text("#!/bin/sh\necho 812\n")
    ran = subprocess.run(
        ["sh", "-c", COMMANDS["nlbw"].text], env={"PATH": f"{tools}:/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert ran.returncode == 247
    router.put("nlbw", "", 247, ran.stderr)
    assert "does not answer" in router.look().faults[0].message


def test_nlbwmon_that_stays_away_is_done_without_and_counters_go_on(router: Router) -> None:
    router.look()
    without(router, 247, nlbw="/usr/sbin/nlbw")
    router.capture("conntrack", "conntrack-acct1")
    router.look(61.0)
    router.look(GIVE_UP)
    assert told(router.look(SOON)) == {A: 6642908, B: 2898856}
    router.put("conntrack", "")
    router.look(10.0)
    router.capture("conntrack", "conntrack-acct1")
    assert told(router.look(10.0))[A] == 6642908 + 901516


def test_a_daemon_that_runs_is_never_counted_beside(router: Router) -> None:
    # Only its client fails; it sets the kernel's counters to zero at each of its looks.
    without(router, 127, nlbwmon="1234")
    router.look()
    assert "conntrack" not in router.collector.needs()


def test_a_table_that_may_not_be_read(router: Router) -> None:
    without(router)
    router.look()
    router.put("conntrack", "", 1, "head: /proc/net/nf_conntrack: \x1b[1mPermission denied\nmore")
    fault = router.look().faults[-1]
    assert fault.kind == "denied" and fault.message.endswith("Permission denied") and "\x1b" not in fault.message


def clients(*stations: tuple[str, int, int]) -> str:
    told = {mac: {"signal": -55, "bytes": {"rx": sent, "tx": received}} for mac, received, sent in stations}
    return f'@clients hostapd.wlan0\n{json.dumps({"clients": told})}\n@status hostapd.wlan0\n{{"ssid": "Home"}}\n'


def test_wifi_clients_are_counted_where_connections_cannot_be(router: Router) -> None:
    without(router, conntrack="", hostapd="hostapd.wlan0 ")
    assert router.look().interval == SOON
    router.put("stations", clients((A, 5000, 100)))
    assert told(router.look()) == {A: 0}
    router.put("stations", clients((A, 5700, 130)))
    grown = router.look()
    assert told(grown) == {A: 700} and told(grown, "transmit") == {A: 30} and told(grown, "connections") == {}
    # Associated anew, its counters begin anew.
    router.put("stations", clients((A, 20, 1), (B, 4, 4)))
    again = router.look()
    assert told(again) == {A: 720, B: 0}
    row = rows(again)[A]
    assert (row.source, row.layer, row.network, row.signal) == ("hostapd", "L2", "Home", -55.0)
    router.put("stations", clients((B, 9, 4)))
    assert told(router.look()) == {A: 720, B: 9}


def test_signals_stand_beside_nlbwmons_numbers(router: Router) -> None:
    router.put("probe", (FIXTURES / "router" / "probe").read_text().replace("hostapd=", "hostapd=hostapd.wlan0"))
    router.look()
    router.put("stations", clients((A, 5000, 100)))
    router.nlbw((A, "192.168.1.101", 6642909, 3115008))
    row = rows(router.look())[A]
    assert (row.source, row.network, row.signal) == ("nlbwmon", "Home", -55.0)


def test_names_alone_have_no_numbers(router: Router) -> None:
    without(router, conntrack="")
    reading = router.look()
    assert reading.values == {} and len(reading.tables.devices or ()) == 2
    assert "listed without numbers" in reading.faults[0].message


def test_accounting_off_without_nlbwmon_says_both(router: Router) -> None:
    without(router, acct="0")
    words = " ".join(fault.message for fault in router.look().faults)
    assert "not installed" in words and "nf_conntrack_acct = 0" in words


def test_something_wrong_has_the_router_looked_at_again_within_a_minute(router: Router) -> None:
    without(router, conntrack="")
    router.look()
    assert "probe" not in router.collector.needs()
    router.at += 60
    assert "probe" in router.collector.needs()


def test_every_source_has_its_limits_in_words() -> None:
    assert LIMITS.keys() == LAYERS.keys() == {"nlbwmon", "conntrack", "hostapd", ""}
    assert all(0 < len(words) < 160 for words in LIMITS.values())


# Bad input


def test_no_text_at_all(tmp_path: Path) -> None:
    with pytest.raises(Unsupported):
        Router(tmp_path).look()


def test_garbage_is_a_fault_and_the_names_stay(router: Router) -> None:
    router.look()
    router.put("nlbw", '{"columns":["mac","ip"')
    reading = router.look()
    assert "cut off" in reading.faults[0].message and told(reading) == {}
    assert rows(reading)[A].name == "Living-Room-TV"


@pytest.mark.parametrize(("status", "words"), [("killed", "status 255"), ("-9", "status 255"), ("124\nlate", "late")])
def test_any_status_but_0_is_a_failure(router: Router, status: str, words: str) -> None:
    (router.folder / "nlbw.status").write_text(status)
    reading = router.look()
    assert words in reading.faults[0].message and told(reading) == {}


def test_services_that_are_garbage_are_a_fault_of_their_own(router: Router) -> None:
    router.put("services", "[[")
    for _ in range(2):
        reading = router.look()
        assert len(reading.faults) == 1 and told(reading)[A] == 6642908 and rows(reading)[A].services == []
    router.capture("services", "nlbw.json")
    assert router.look().faults == []


def test_more_devices_than_are_shown(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_rows, "MAX_DEVICES", 3)
    router.nlbw(*((f"02:00:00:00:00:{n:02x}", f"192.168.1.{n}", n * 1000, 0) for n in range(1, 9)))
    first = router.look()
    assert [row.key[-2:] for row in first.tables.devices or ()] == ["06", "07", "08"]
    assert "9 devices: 3 of them" in first.faults[0].message
    router.nlbw(*((f"02:00:00:00:00:{n:02x}", f"192.168.1.{n}", (20 - n) * 1000, 0) for n in range(1, 9)))
    # Those shown stay.
    assert [row.key[-2:] for row in router.look().tables.devices or ()] == ["06", "07", "08"]


_TEXT = st.one_of(st.text(max_size=60), st.sampled_from(["", "{}", "[]", '{"columns":[],"data":[]}', "acct=0", "\0"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.dictionaries(st.sampled_from(list(COMMANDS)), st.tuples(_TEXT, st.sampled_from([0, 1, 127, 247])), min_size=1)
)
def test_any_texts_are_a_reading_or_a_fault(tmp_path: Path, texts: dict[str, tuple[str, int]]) -> None:
    shutil.rmtree(tmp_path / "box", ignore_errors=True)
    router = Router(tmp_path / "box")
    for name, (text, status) in texts.items():
        (router.folder / name).write_bytes(text.encode("utf-8", "surrogatepass"))
        (router.folder / f"{name}.status").write_text(f"{status}\n{text[:20]!r}")
    for _ in range(3):
        try:
            reading = router.look()
        except CollectorError as error:
            assert error.message
            continue
        known(DevicesCollector, reading)
        assert all(fault.message for fault in reading.faults)


# Which hosts


def test_only_routers_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = Roots(tmp_path, live=False)
    assert not DevicesCollector.applies(tree, {}) and DevicesCollector.applies(tree, {"router": True})
    assert "devices" not in {each.name for each in available(tree)}
    made, faults = build(tree, {"devices": {"router": True}}, disabled=[])
    assert "devices" in {each.name for each in made} and not faults
    monkeypatch.setattr("collectors.devices.PATHS", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not DevicesCollector.applies(Roots(), {})
    (tmp_path / "nlbw").write_text("#!/bin/sh\n")
    (tmp_path / "nlbw").chmod(0o755)
    assert DevicesCollector.applies(Roots(), {})


def test_a_machine_that_is_a_router_itself_runs_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = FIXTURES / "router"
    (tmp_path / "nlbw").write_text(
        f"#!/bin/sh\ncase $4 in *layer7) cat {files}/nlbw.json ;; *) cat {files}/nlbw-host.json ;; esac\n"
    )
    (tmp_path / "nlbw").chmod(0o755)
    monkeypatch.setitem(COMMANDS, "probe", COMMANDS["probe"]._replace(text=f"cat {files}/probe"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    collector = DevicesCollector(Roots())
    reading = collector.read()
    assert told(reading)[A] == 6642908 and rows(reading)[A].services[0].name == "HTTPS"


def test_a_command_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors._router.texts.PATIENCE", 0.2)
    monkeypatch.setitem(COMMANDS, "nlbw", COMMANDS["nlbw"]._replace(text="sleep 60 | cat"))
    text = LiveTexts().take(["nlbw"])["nlbw"]
    assert text == Text("", 124, "no answer within 0.2 s")


@pytest.mark.parametrize("name", list(COMMANDS))
def test_commands_are_one_line_without_single_quotes_and_only_read(name: str) -> None:
    text = COMMANDS[name].text
    assert "\n" not in text and "'" not in text
    for word in ("-c commit", "uci set", "uci commit", "rm ", ">/", "> /", "tee", "sysctl -w", "reload", "restart"):
        assert word not in text.replace(">/dev/null", "")


@pytest.mark.needs("busybox")
@pytest.mark.parametrize("shell", [["busybox", "sh"], ["sh"]])
def test_commands_run_in_small_shells_and_say_nothing_of_a_box_that_has_nothing(
    shell: list[str], tmp_path: Path
) -> None:
    import subprocess

    for name, command in COMMANDS.items():
        done = subprocess.run([*shell, "-c", command.text], capture_output=True, text=True, timeout=20, cwd="/")
        assert "syntax" not in done.stderr and "unexpected" not in done.stderr, name
        if name == "probe":
            assert {"nlbw", "acct", "now"} <= {line.partition("=")[0] for line in done.stdout.splitlines()}


def test_a_router_that_makes_devices_up_neither_grows_us_nor_pushes_out_who_is_there(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_rows, "MAX_DEVICES", 20)
    monkeypatch.setattr(nlbw, "MAX_HELD", 40)
    monkeypatch.setattr(ledger, "MAX_HELD", 40)
    made = iter(range(10_000))
    flood: list[tuple[str, str, int, int]] = []
    for round in range(8):
        flood = [(f"02:00:00:00:{(n := next(made)) >> 8:02x}:{n & 255:02x}", "192.168.1.9", 5000, 5) for _ in range(60)]
        real = [(A, "192.168.1.2", 100_000 + 10 * round, 100)] if round > 3 else []
        router.nlbw(*real, *flood)
        reading = router.look()
    assert reading.values[f"device.receive:{A}"] == 100_070, "who uses the line is told, though it came late"
    counting = router.collector._counting
    assert len(counting._counters._kept) <= 40
    assert len(counting._ledger._told) <= 40
    assert reading.tables.devices is not None
    assert len(reading.tables.devices) == 20
    assert "20 of them are shown" in reading.faults[-1].message
