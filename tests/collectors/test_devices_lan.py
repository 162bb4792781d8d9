"""Who is in a LAN: addresses, leases, hints, neighbours, Wi-Fi clients and what a router says of itself."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors._router.lan import Lan, address_of, mac_of, made_up, network_of, order, single
from collectors._router.leases import Lease, host_name, parse_hints, parse_leases, parse_odhcpd
from collectors._router.neighbours import Neighbour, parse_neighbours
from collectors._router.probe import parse_probe, seconds
from collectors._router.stations import Station, parse_stations
from sysmon.errors import MalformedInput

FIXTURES = Path(__file__).parent.parent / "fixtures" / "router"
A, B = "02:aa:bb:cc:dd:01", "02:aa:bb:cc:dd:02"


def fixture(name: str) -> str:
    return (FIXTURES / name).read_text()


# MACs and addresses


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("02:AA:BB:CC:DD:01", A),
        ("06-02:aa:bb:cc:dd:01", A),
        ("02-AA-BB-CC-DD-01", A),
        (" 02:aa:bb:cc:dd:01\n", A),
        ("00:00:00:00:00:00", ""),
        ("ff:ff:ff:ff:ff:ff", ""),
        ("01:00:5e:00:00:01", ""),
        ("02:aa:bb:cc:dd", ""),
        ("02:aa:bb:cc:dd:01:02", ""),
        ("02:aa:bb:cc:dd:0²", ""),
        ("*", ""),
        ("", ""),
    ],
)
def test_macs(given: str, made: str) -> None:
    assert mac_of(given) == made


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_none(text: str) -> None:
    assert mac_of(text) in ("", text.strip().lower()[-17:].replace("-", ":"))
    found = address_of(text)
    if found:
        assert address_of(found) == found
        order(found), single(found)


def test_addresses() -> None:
    assert address_of("fd00:0001:0000:0000:0000:0000:0000:0102") == "fd00:1::102"
    assert address_of("fe80::1%br-lan") == "fe80::1"
    assert address_of("192.168.1.1/24") == "192.168.1.1"
    assert address_of("192.168.1.256") == address_of("\udcff") == address_of("1\0") == address_of("localhost") == ""
    given = ["fe80::1", "fd00::2", "192.168.1.10", "192.168.1.9", "169.254.1.1"]
    assert sorted(given, key=order) == ["192.168.1.9", "192.168.1.10", "fd00::2", "169.254.1.1", "fe80::1"]
    assert [single(each) for each in ("224.0.0.1", "0.0.0.0", "127.0.0.1", "ff02::1", "::", "::1", "1.1.1.1")] == [
        *[False] * 6,
        True,
    ]


def test_made_up_macs() -> None:
    assert made_up(A) and made_up("da:00:00:00:00:01") and not made_up("dc:a6:32:00:00:01") and not made_up("10.8.0.6")


def test_a_lan() -> None:
    networks = [each for text in ("192.168.1.1/24", "fd00:1::1/64") if (each := network_of(text))]
    lan = Lan(networks, own=["192.168.1.1", "203.0.113.2"])
    assert [lan.holds(each) for each in ("192.168.1.7", "fd00:1::7", "fe80::7")] == [True] * 3
    for address in (
        "192.168.1.1",
        "192.168.1.255",
        "192.168.2.7",
        "10.0.0.1",
        "203.0.113.2",
        "224.0.0.1",
        "2001:db8::1",
    ):
        assert not lan.holds(address)
    assert [lan.near(each) for each in ("192.168.1.1", "203.0.113.2", "192.168.1.7", "255.255.255.255", "8.8.8.8")] == [
        *[True] * 4,
        False,
    ]
    # Behind another router of the house.
    assert lan.routed("10.8.0.6") and not lan.routed("8.8.8.8") and not lan.routed("203.0.113.2")
    # Where nothing is known of its networks, private ones are taken.
    assert Lan().holds("192.168.77.1") and Lan().holds("fd12::1") and not Lan().holds("8.8.8.8")


# Leases


def test_leases_of_dnsmasq_with_a_duid() -> None:
    assert parse_leases(fixture("leases")) == [
        Lease(B, ("192.168.1.185",), "", 1795290404),
        Lease(A, ("192.168.1.184",), "Living-Room-TV", 1795290400),
    ]


def test_leases_of_ipv6_behind_the_duid() -> None:
    text = (
        "0 06-02:AA:BB:CC:DD:01 192.168.1.7 tv 01:02:aa\n"
        "duid 00:01:00:01:32:94:08:dc:02:11:22:00:00:01\n"
        "1795290404 12345 fd00:1::7 tv 00:01:00:01:32:94:08:dc:02:aa:bb:cc:dd:01\n"
        "1795290404 12346 fd00:1::8 * 00:03:00:01:02:aa:bb:cc:dd:02\n"
        "1795290404 T12347 fd00:1::9 box 00:04:aa:bb\n"
        "oops\nx y z w v\n\xb2 a b c d\n"
    )
    assert parse_leases(text) == [
        Lease(A, ("192.168.1.7",), "tv", None),
        Lease(A, ("fd00:1::7",), "tv", 1795290404),
        Lease(B, ("fd00:1::8",), "", 1795290404),
        Lease("", ("fd00:1::9",), "box", 1795290404),
    ]


def test_leases_of_odhcpd() -> None:
    text = (
        "# br-lan 00010001329408dc02aabbccdd01 2b1 tv 1795290404 7 128 fd00:1::7/128 2001:db8::7/128 \n"
        "fd00:1::7\ttv\n"
        "# br-lan 02aabbccdd02 ipv4 laptop 0 b9 32 192.168.1.185/32\n"
        "# br-lan 0004aabb 2b1 - -1 7 128 fd00:1::9/128\n"
        "# short\n"
    )
    assert parse_odhcpd(text) == [
        Lease(A, ("fd00:1::7", "2001:db8::7"), "tv", 1795290404),
        Lease(B, ("192.168.1.185",), "laptop", None),
        Lease("", ("fd00:1::9",), "", None),
    ]


def test_names_cannot_harm() -> None:
    assert host_name("\x1b]0;evil\x07\u202eTV") == "\ufffd]0;evil\ufffd\ufffdTV"
    assert len(host_name("x" * 5000)) == 63
    assert host_name("*") == host_name("?") == host_name("") == ""


def test_hints_of_new_and_old_luci() -> None:
    text = json.dumps(
        {
            "02:AA:BB:CC:DD:01": {"name": "tv.lan", "ipaddrs": ["192.168.1.7"], "ip6addrs": ["fd00:1::7", "nonsense"]},
            "02:AA:BB:CC:DD:02": {"ipv4": "192.168.1.8", "ipv6": "fe80::8", "new": [1]},
            "garbage": {"name": "x"},
        }
    )
    assert parse_hints(text) == [
        Lease(A, ("192.168.1.7", "fd00:1::7"), "tv.lan"),
        Lease(B, ("192.168.1.8", "fe80::8")),
    ]
    for length in range(len(text)):
        with pytest.raises(MalformedInput):
            parse_hints(text[:length])


# Neighbours

ANSWERED = {
    ("192.168.1.185", B, "br-lan"),
    ("192.168.1.102", B, "br-lan"),
    ("192.168.1.184", A, "br-lan"),
    ("203.0.113.1", "02:99:99:99:99:01", "eth1"),
    ("192.168.1.101", A, "br-lan"),
}
"""Those of IPv4 in the captures; 192.168.1.77 and 203.0.113.77 never answered."""


@pytest.mark.parametrize("name", ["busybox", "iproute2", "iproute2-s", "arp"])
def test_neighbours_in_every_form(name: str) -> None:
    found = parse_neighbours(fixture(f"neighbours-{name}"))
    assert {(each.address, each.mac, each.device) for each in found if "." in each.address} == ANSWERED
    if name != "arp":
        assert Neighbour("fd00:1::102", B, "br-lan", "DELAY") in found and len(found) == 11


def test_neighbours_of_another_form_are_left_out() -> None:
    text = "Usage: ip neigh show\n192.168.1.9 dev br-lan lladdr\n192.168.1.9 lladdr 02:aa dev x REACHABLE\nx y z w\n"
    assert parse_neighbours(text) == []


# Wi-Fi


CLIENTS = {
    "freq": 5180,
    "clients": {
        A: {"auth": True, "signal": -51, "bytes": {"rx": 1000, "tx": 50_000}, "rate": {"rx": 1, "tx": 2}},
        B.upper(): {"signal": 0},
    },
}


def test_stations_received_what_the_access_point_sent() -> None:
    text = (
        f"@clients hostapd.phy0-ap0\n{json.dumps(CLIENTS, indent=1)}\n"
        '@status hostapd.phy0-ap0\n{"status": "ENABLED", "ssid": "Home\\u001b"}\n'
        f"@clients hostapd.phy1-ap0\n{json.dumps({'clients': {A: {'signal': -60}}})}\n@status hostapd.phy1-ap0\n"
    )
    assert parse_stations(text) == [
        Station("hostapd.phy0-ap0", A, "Home\ufffd", -51.0, 50_000, 1000),
        Station("hostapd.phy0-ap0", B, "Home\ufffd", None, None, None),
        Station("hostapd.phy1-ap0", A, "phy1-ap0", -60.0, None, None),
    ]
    assert parse_stations("") == parse_stations("Command failed: Not found\n") == []


def test_stations_that_are_cut_off() -> None:
    with pytest.raises(MalformedInput, match=r"phy0-ap0 tells is not its JSON"):
        parse_stations(f"@clients hostapd.phy0-ap0\n{json.dumps(CLIENTS)[:40]}")


# The router itself


def test_probe() -> None:
    probe = parse_probe(fixture("probe"))
    assert probe.nlbw and probe.nlbwmon and probe.accounting and probe.conntrack and not probe.stations
    assert (probe.refresh, probe.now, probe.periods) == (30.0, 1795250000, ("2026-11-01",))
    lan = probe.lan
    assert {str(each) for each in lan.networks} == {"192.168.1.0/24", "fd00:1::/64"}
    assert lan.outer == {"eth1"} and {"02:11:22:00:00:01", "02:99:99:99:99:02"} == lan.macs
    assert {"192.168.1.1", "203.0.113.2", "fe80::11:22ff:fe00:1"} <= lan.own


def test_probe_of_a_box_that_has_nothing() -> None:
    probe = parse_probe(
        "nlbw=\nnlbwmon=\nacct=\nconntrack=\nrefresh=\nhostapd= \nnow=x\nmac=/sys/class/net/*/address \n"
    )
    assert not probe.nlbw and probe.accounting is None and probe.refresh == 30.0 and probe.now is None
    assert probe.lan.holds("192.168.1.7")


def test_networks_named_by_the_user_are_local_and_the_wide_private_ones_are_not() -> None:
    probe = parse_probe(fixture("probe").replace("lan\n", "10.8.0.0/24 0.0.0.0/0\n", 1))
    assert probe.lan.holds("10.8.0.6") and not probe.lan.holds("10.9.0.6") and not probe.lan.holds("8.8.8.8")


@given(st.text(max_size=200))
def test_any_text_is_a_probe(text: str) -> None:
    for name in ("", "address=inet ", "route=default dev ", "now=", "refresh=", "local=", "database=", "mac="):
        parse_probe(name + text)
        parse_leases(name + text)
        parse_odhcpd("# " + text)
        parse_neighbours(name + text)


def test_durations() -> None:
    assert [seconds(each) for each in ("30s", "90", "2m", "24h", "1d", "", "x", "-3", "²")] == [
        30,
        90,
        120,
        86400,
        86400,
        0,
        0,
        0,
        0,
    ]
