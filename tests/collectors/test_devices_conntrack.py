"""Connections that a router tracks: the captures, directions, and sums over looks."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors._router.conntrack import Growth, by_device, parse_conntrack
from collectors._router.lan import Lan
from collectors._router.ledger import Ledger
from collectors._router.nlbw import Sums
from collectors._router.probe import parse_probe

FIXTURES = Path(__file__).parent.parent / "fixtures" / "router"
LAN = parse_probe((FIXTURES / "probe").read_text()).lan


def fixture(name: str) -> str:
    return (FIXTURES / name).read_text()


def entry(there: str, back: str, kind: str = "ipv4     2 tcp      6 119 TIME_WAIT", zone: int = 0) -> str:
    return f"{kind} {there} {back} [ASSURED] mark=0 zone={zone} use=2\n"


def test_of_the_capture_only_what_goes_out_is_taken() -> None:
    flows = parse_conntrack(fixture("conntrack-acct1"), LAN)
    assert [(each.address, each.received, each.sent) for each in flows] == [
        ("fd00:1::102", 104, 104),
        ("192.168.1.101", 901516, 5920),
        ("192.168.1.102", 84, 84),
    ]


def test_connections_of_before_accounting_have_no_bytes() -> None:
    flows = parse_conntrack(fixture("conntrack-acct0"), LAN)
    assert [each.received for each in flows] == [104, 901568, 84, None]
    counted, uncounted = by_device(flows, {"192.168.1.101": "02:aa:bb:cc:dd:01"})
    assert uncounted == 1
    assert sorted(counted.values()) == [
        ("02:aa:bb:cc:dd:01", 901568, 5972),
        ("192.168.1.102", 84, 84),
        ("fd00:1::102", 104, 104),
    ]


def test_what_was_opened_from_outside_is_the_other_way_round() -> None:
    text = entry(
        "src=198.51.100.7 dst=203.0.113.2 sport=5000 dport=22 packets=3 bytes=600",
        "src=192.168.1.101 dst=198.51.100.7 sport=22 dport=5000 packets=2 bytes=70",
    )
    (flow,) = parse_conntrack(text, LAN)
    assert (flow.address, flow.received, flow.sent) == ("192.168.1.101", 600, 70)


def test_what_stays_in_the_house_is_left_out() -> None:
    inside = (
        ("192.168.1.101", "192.168.1.102", "192.168.1.102", "192.168.1.101"),
        ("192.168.1.101", "192.168.1.1", "192.168.1.1", "192.168.1.101"),
        ("192.168.1.101", "224.0.0.251", "224.0.0.251", "192.168.1.101"),
        # Through the router's outer address, and back in.
        ("192.168.1.101", "203.0.113.2", "192.168.1.102", "192.168.1.1"),
        ("203.0.113.2", "198.51.100.7", "198.51.100.7", "203.0.113.2"),
    )
    for source, target, answerer, answered in inside:
        assert not parse_conntrack(
            entry(f"src={source} dst={target} bytes=1", f"src={answerer} dst={answered} bytes=1"), LAN
        )


def test_the_same_connection_is_known_again_and_others_apart() -> None:
    def name(there: str, **more: object) -> str:
        (flow,) = parse_conntrack(entry(there, "src=1.1.1.1 dst=203.0.113.2 bytes=1", **more), LAN)  # type: ignore[arg-type]
        return flow.id

    tcp = "src=192.168.1.9 dst=1.1.1.1 sport=5 dport=443"
    first = name(f"{tcp} packets=1 bytes=5")
    assert name(f"{tcp} packets=9 bytes=900", kind="ipv4     2 tcp      6 432000 ESTABLISHED") == first
    assert name(f"{tcp} packets=1 bytes=5", kind="ipv4     2 udp      17 30") != first
    assert name(f"{tcp} packets=1 bytes=5", zone=3) != first
    assert name(f"{tcp}1 packets=1 bytes=5") != first


@pytest.mark.parametrize("name", ["conntrack-acct0", "conntrack-acct1"])
def test_cut_off_at_any_byte(name: str) -> None:
    text = fixture(name)
    whole = parse_conntrack(text, LAN)
    for length in range(len(text)):
        found = parse_conntrack(text[:length], LAN)
        assert found == whole[: len(found)]


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    for each in (
        text,
        f"ipv4 2 tcp 6 1 src={text}",
        entry("src=192.168.1.9 dst=1.1.1.1 bytes=" + text, "src= dst=" + text),
    ):
        parse_conntrack(each, Lan())


# Sums over looks


def test_what_was_there_before_counts_nothing_and_what_comes_counts_whole() -> None:
    growth = Growth()
    assert growth.take({"a": ("pc", 1000, 100)}) == {"pc": Sums(0, 0, 0)}
    assert growth.take({"a": ("pc", 1500, 110), "b": ("tv", 40, 4)}) == {"pc": Sums(500, 10, 0), "tv": Sums(40, 4, 1)}
    # Gone, it stays counted; a port used again begins anew.
    assert growth.take({"b": ("tv", 30, 3)}) == {"pc": Sums(500, 10, 0), "tv": Sums(70, 7, 2)}
    assert growth.take({}) == {"pc": Sums(500, 10, 0), "tv": Sums(70, 7, 2)}


def test_of_a_table_that_is_cut_new_ones_may_be_old() -> None:
    growth = Growth()
    growth.take({"a": ("pc", 1000, 0), "b": ("pc", 9000, 0)}, whole=False)
    assert growth.take({"b": ("pc", 9005, 0), "c": ("pc", 700, 0)}, whole=False) == {"pc": Sums(5, 0, 0)}
    # It was out of sight only.
    assert growth.take({"a": ("pc", 1007, 0), "c": ("pc", 701, 0)}, whole=False) == {"pc": Sums(13, 0, 0)}


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 100)), min_size=1))
def test_sums_never_fall(looks: list[dict[str, int]]) -> None:
    growth, before = Growth(), 0
    for look in looks:
        now = (
            growth.take({name: ("pc", value, 0) for name, value in look.items()}).get("pc", Sums(before, 0, 0)).received
        )
        assert now >= before
        before = now


# What is told


def told(ledger: Ledger, source: str, sums: dict[str, int], *listed: str, begun: bool = False) -> dict[str, int]:
    found = ledger.settle(source, {key: Sums(value, 0, 0) for key, value in sums.items()}, listed, begun=begun)
    return {key: each.received for key, each in found.items()}


def test_a_device_that_comes_while_we_watch_counts_from_its_first_byte() -> None:
    ledger = Ledger()
    assert told(ledger, "nlbwmon", {"pc": 5000}, "printer") == {"pc": 5000, "printer": 0}
    # Known as a neighbour, or first known by its bytes.
    assert told(ledger, "nlbwmon", {"pc": 5000, "printer": 30, "guest": 700}) == {"pc": 5000, "printer": 30, "guest": 0}
    assert told(ledger, "nlbwmon", {"pc": 5000, "printer": 30, "guest": 900}) == {
        "pc": 5000,
        "printer": 30,
        "guest": 900,
    }


def test_a_device_that_left_goes_on_being_told() -> None:
    ledger = Ledger()
    told(ledger, "nlbwmon", {"pc": 5000}, "printer")
    assert told(ledger, "nlbwmon", {"pc": 5000}) == {"pc": 5000, "printer": 0}


def test_a_new_period_is_a_real_fall() -> None:
    ledger = Ledger()
    told(ledger, "nlbwmon", {"pc": 5000, "tv": 10}, "printer")
    assert told(ledger, "nlbwmon", {"pc": 40}, "printer", begun=True) == {"pc": 40, "printer": 0}
    assert told(ledger, "nlbwmon", {"pc": 50, "tv": 7}) == {"pc": 50, "printer": 0, "tv": 0}
    assert told(ledger, "nlbwmon", {"pc": 50, "tv": 8}) == {"pc": 50, "printer": 0, "tv": 8}


def test_another_source_goes_on_from_where_the_last_one_was() -> None:
    ledger = Ledger()
    told(ledger, "nlbwmon", {"pc": 5000})
    assert told(ledger, "conntrack", {"pc": 10, "tv": 3}) == {"pc": 5000, "tv": 3}
    assert told(ledger, "conntrack", {"pc": 60, "tv": 4}) == {"pc": 5050, "tv": 4}
    assert told(ledger, "nlbwmon", {"pc": 9000, "tv": 100, "guest": 70}) == {"pc": 5050, "tv": 4, "guest": 70}
    assert told(ledger, "nlbwmon", {"pc": 9001, "tv": 100, "guest": 71}) == {"pc": 5051, "tv": 4, "guest": 71}
