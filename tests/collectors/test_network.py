"""Interfaces: parser, truth of a measured exchange, what an interface is, and interfaces that are created anew."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors._interfaces import default_routes, is_up, kind_of, parse_fib_trie, parse_if_inet6, placed
from collectors.base import Roots
from collectors.network import NetworkCollector, parse_net_dev
from collectors.protocols import ProtocolsCollector, parse_pairs
from sysmon.catalogue import Catalogue
from sysmon.derive import State, derive
from sysmon.errors import MalformedInput, NoData
from sysmon.frame import Frame, Number

HEAD = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes\n"


def frame(values: dict[str, Number], seconds: float) -> Frame:
    at = int(seconds * 1e9)
    return Frame(host="h", boot="b", run="r", seq=1, time=0, monotonic=at, readings=values, reads={"network": at})


def line(name: str, *numbers: int) -> str:
    return f"{name}: " + " ".join(map(str, [*numbers, *[0] * (16 - len(numbers))])) + "\n"


def test_each_column_has_its_place() -> None:
    counters = parse_net_dev(HEAD + line("eth0", *range(1, 17)))["eth0"]
    assert counters == (1, 2, 3, 4, 8, 9, 10, 11, 12, 14)


def test_old_kernels_leave_no_space_after_the_colon() -> None:
    assert parse_net_dev(HEAD + "  lo:5 1 0 0 0 0 0 0 6 1 0 0 0 0 0 0\n")["lo"].transmit_bytes == 6


@pytest.mark.parametrize("bad", ["eth0: 1 2 3", "eth0", "eth0: " + "x " * 16, line("eth0", -1).strip()])
def test_a_bad_line_is_named(bad: str) -> None:
    with pytest.raises(MalformedInput, match="dev:3"):
        parse_net_dev(HEAD + bad + "\n")


@given(st.text())
def test_any_text_gives_values_or_malformed_input(text: str) -> None:
    for parse in (parse_net_dev, parse_pairs):
        try:
            parse(text)
        except MalformedInput:
            continue


@given(st.text())
def test_texts_of_the_details_never_raise(text: str) -> None:
    parse_if_inet6(text)
    default_routes(text, text)
    placed(parse_fib_trie(text), text)


def test_rates_match_the_datagrams_sent(fixtures: Path) -> None:
    # 500 datagrams of 1000 bytes over lo: 514,000 bytes and 500 packets each way.
    readings = [
        NetworkCollector(Roots(fixtures / name, live=False)).read().values for name in ("vm-load-t0", "vm-load-t1")
    ]
    rates = derive(frame(readings[0], 10), frame(readings[1], 11), Catalogue(NetworkCollector.metrics))
    assert rates["net.receive_rate:lo"] == rates["net.transmit_rate:lo"] == 514_000
    assert rates["net.packets:lo"] == 1000
    assert rates["net.errors:lo"] == rates["net.drops:lo"] == 0


def test_interfaces_of_the_quiet_machine(fixtures: Path) -> None:
    reading = NetworkCollector(Roots(fixtures / "vm-quiet", live=False)).read()
    rows = {row.name: row for row in reading.tables.interfaces or []}
    assert {name: row.kind for name, row in rows.items()} == {"lo": "loopback", "eth0": "ethernet", "eth1": "ethernet"}
    assert [name for name, row in rows.items() if row.default_route] == ["eth0"]
    assert all(row.up for row in rows.values())
    assert rows["eth1"].addresses[0] == "2001:db8:3::15"
    assert rows["eth1"].addresses[-1].startswith("fe80::")
    # virtio tells -1: no speed, and never 0.
    assert rows["eth0"].speed is None
    assert not [key for key in reading.values if key.startswith("net.link_speed")]


class Tree:
    """A made-up machine with interfaces."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "proc" / "net").mkdir(parents=True)

    def interface(self, name: str, **files: str) -> str:
        folder = self.root / "sys" / "class" / "net" / name
        for file, text in ({"type": "1", "ifindex": "2", "iflink": "2", "uevent": f"INTERFACE={name}"} | files).items():
            path = folder / file.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        return str(folder)

    def dev(self, *lines: str) -> None:
        (self.root / "proc" / "net" / "dev").write_text(HEAD + "".join(lines))

    def collector(self) -> NetworkCollector:
        return NetworkCollector(Roots(self.root, live=False))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"type": "772"}, "loopback"),
        ({"device__uevent": ""}, "ethernet"),
        ({"device__uevent": "", "wireless__link": ""}, "wifi"),
        ({"uevent": "DEVTYPE=wlan"}, "wifi"),
        ({"bridge__stp_state": "0"}, "bridge"),
        ({"bonding__mode": "x"}, "bond"),
        ({"uevent": "DEVTYPE=vlan"}, "vlan"),
        ({"type": "65534", "uevent": "DEVTYPE=wireguard"}, "wireguard"),
        ({"type": "65534", "tun_flags": "0x1"}, "tunnel"),
        ({"tun_flags": "0x1002"}, "virtual"),
        ({"type": "776"}, "tunnel"),
        ({"iflink": "7"}, "veth"),
        ({}, "virtual"),
        ({"type": "280", "device__uevent": ""}, "other"),
    ],
)
def test_kinds(tree: Tree, files: dict[str, str], kind: str) -> None:
    assert kind_of(tree.interface("x0", **files)) == kind


def test_speed_only_where_it_is_true(tree: Tree) -> None:
    tree.interface("eth0", device__uevent="", speed="1000", operstate="up", mtu="9000")
    tree.interface("eth1", device__uevent="", speed="-1")
    tree.interface("veth0", iflink="9", speed="10000")
    tree.interface("br0", bridge__stp_state="0", speed="10000")
    tree.dev(*(line(name, 1) for name in ("eth0", "eth1", "veth0", "br0")))
    reading = tree.collector().read()
    assert {key: value for key, value in reading.values.items() if "speed" in key} == {
        "net.link_speed:eth0": 125_000_000
    }
    row = (reading.tables.interfaces or [])[0]
    assert (row.speed, row.mtu, row.up) == (125_000_000, 9000, True)


def test_up() -> None:
    assert is_up("unknown", 0x9)
    assert not is_up("unknown", 0x8)
    assert not is_up("down", 0x1)
    assert is_up("up", None)


def test_the_default_route_of_lowest_metric() -> None:
    route = "Iface\n" + "".join(
        f"{name}\t00000000\t{gateway}\t0003\t0\t0\t{metric}\t00000000\t0\t0\t0\n"
        for name, gateway, metric in (("wlan0", "0101A8C0", 600), ("eth0", "0102A8C0", 100))
    )
    six = f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} 00000400 00000001 00000000 00000003 wlan0\n"
    assert default_routes(route, six) == {"eth0"}
    assert default_routes("Iface\n", six) == {"wlan0"}
    vpn = route + "tun0\t00000000\t0101080A\t0003\t0\t0\t0\t00000080\t0\t0\t0\n"
    assert default_routes(vpn, six) == {"tun0"}


def test_addresses_without_system_calls() -> None:
    local, net = "  |-- {}\n     /32 host LOCAL\n", "  |-- 192.168.1.0\n     /24 link UNICAST\n"
    trie = "Main:\n" + local.format("192.168.1.5") + net + local.format("127.0.0.1")
    route = "Iface\nwlan0\t0001A8C0\t00000000\t0001\t0\t0\t600\t00FFFFFF\t0\t0\t0\n"
    assert placed(parse_fib_trie(trie), route) == [("wlan0", "192.168.1.5"), ("lo", "127.0.0.1")]


def test_an_interface_created_anew_has_no_rate_over_it(tree: Tree) -> None:
    state = State(Catalogue(NetworkCollector.metrics))
    collector = tree.collector()

    def tick(second: int, index: str, received: int, sent: int) -> dict[str, float]:
        tree.interface("wg0", ifindex=index)
        tree.dev(line("wg0", received, *[0] * 7, sent))
        state.apply(frame(collector.read().values, second))
        return state.derived()

    tick(1, "5", 1000, 5000)
    assert tick(2, "5", 1100, 5100)["net.receive_rate:wg0"] == 100
    # Created anew: receive went on to more than before, transmit fell. Neither may give a rate.
    rates = tick(3, "6", 9_000_000, 10)
    assert not [key for key in rates if key.startswith(("net.receive", "net.transmit"))]
    assert state.get("net.transmit:wg0") == 10
    assert state.get("net.receive:wg0") is None
    rates = tick(4, "6", 9_000_200, 30)
    assert "net.receive_rate:wg0" not in rates
    assert rates["net.transmit_rate:wg0"] == 20
    assert tick(5, "6", 9_000_500, 30)["net.receive_rate:wg0"] == 300


def test_interfaces_that_come_and_go(tree: Tree) -> None:
    tree.interface("eth0")
    tree.dev(line("eth0", 1))
    collector = tree.collector()
    collector.read()
    tree.interface("usb0", ifindex="8")
    tree.dev(line("usb0", 1))
    reading = collector.read()
    assert [row.name for row in reading.tables.interfaces or []] == ["usb0"]
    assert "net.receive:eth0" not in reading.values


def test_this_machine() -> None:
    reading = NetworkCollector(Roots()).read()
    row = next(row for row in reading.tables.interfaces or [] if row.name == "lo")
    assert row.kind == "loopback"
    assert reading.values["net.receive:lo"] == reading.values["net.transmit:lo"]


def test_protocols_of_the_quiet_machine(fixtures: Path) -> None:
    values = ProtocolsCollector(Roots(fixtures / "vm-quiet", live=False)).read().values
    assert values.keys() == {metric.name for metric in ProtocolsCollector.metrics if metric.kind == "counter"}
    assert values["tcp.transmit.segments"] > values["tcp.retransmits"]


def test_protocols_truncated_or_missing(tmp_path: Path, fixtures: Path) -> None:
    folder = tmp_path / "proc" / "net"
    folder.mkdir(parents=True)
    with pytest.raises(NoData):
        ProtocolsCollector(Roots(tmp_path, live=False)).read()
    good = (fixtures / "vm-quiet" / "proc" / "net" / "snmp").read_text()
    (folder / "snmp").write_text(good)
    (folder / "netstat").write_text("TcpExt: ListenDrops\n")
    reading = ProtocolsCollector(Roots(tmp_path, live=False)).read()
    assert "tcp.retransmits" in reading.values
    assert [fault.kind for fault in reading.faults] == ["failed"]
    assert "netstat" in reading.faults[0].message
