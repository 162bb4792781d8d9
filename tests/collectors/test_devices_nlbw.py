"""nlbwmon's rows: the captures, other columns, damage, exit statuses, and counters over looks."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors._router.lan import Lan
from collectors._router.nlbw import (
    TOP_SERVICES,
    Counters,
    Row,
    ServiceUse,
    Sums,
    failure,
    key_of,
    parse_nlbw,
    parse_services,
    services_of,
)
from sysmon.errors import CollectorError, MalformedInput, NoData, Unsupported
from sysmon.frame import ServiceRow

FIXTURES = Path(__file__).parent.parent / "fixtures" / "router"
A, B = "02:aa:bb:cc:dd:01", "02:aa:bb:cc:dd:02"


def fixture(name: str) -> str:
    return (FIXTURES / name).read_text()


def answer(*rows: list[object], columns: str = "mac ip conns rx_bytes tx_bytes") -> str:
    return json.dumps({"columns": columns.split(), "data": rows})


def row(mac: str = A, ip: str = "192.168.1.9", received: int = 0, sent: int = 0, connections: int = 1) -> Row:
    return Row(mac, ip, Sums(received, sent, connections))


def totals(rows: list[Row]) -> dict[str, Sums]:
    return Counters().take(rows, Lan(), 0.0)[0]


# Captures


@pytest.mark.parametrize("name", ["nlbw.json", "nlbw-host.json"])
def test_rows_add_up_to_what_nlbw_says_of_each_mac(name: str) -> None:
    # As `nlbw -c json -g mac` of the same moment.
    told = json.loads(fixture("nlbw-mac.json"))["data"]
    assert totals(parse_nlbw(fixture(name))) == {mac: Sums(rx, tx, conns) for mac, conns, rx, _, tx, _ in told}
    assert totals(parse_nlbw(fixture(name)))[A] == Sums(6642908, 3115008, 5)


def test_both_families_are_rows_of_one_device() -> None:
    rows = parse_nlbw(fixture("nlbw-host.json"))
    assert {each.address for each in rows if each.mac == B} == {"192.168.1.102", "fd00:1::102"}
    assert Row(B, "fd00:1::102", Sums(2806520, 44312, 3)) in rows


def test_no_data_is_no_rows() -> None:
    assert parse_nlbw(fixture("nlbw-empty.json")) == []
    assert parse_services(fixture("nlbw-empty.json")) == []


def test_services_of_the_capture() -> None:
    found = services_of(parse_services(fixture("nlbw.json")))
    assert found[A][0] == ServiceRow("HTTPS", 5005572, 102104, 1)
    # What nlbwmon has no name for.
    assert ServiceRow("IP", 25208, 3005380, 1) in found[A]
    assert [each.name for each in found[B]] == ["HTTPS", "HTTP", "SSH", "QUIC", "IPv6-ICMP", "ICMP"]


# Other columns


@given(st.permutations(["mac", "ip", "conns", "rx_bytes", "tx_bytes", "family", "rx_pkts", "quota"]))
def test_columns_in_any_order_with_new_ones(order: list[str]) -> None:
    values = {"mac": A, "ip": "192.168.1.7", "conns": 3, "rx_bytes": 10, "tx_bytes": 20, "family": 4, "quota": [1]}
    text = json.dumps({"columns": order, "data": [[values.get(name) for name in order]], "version": 2})
    assert parse_nlbw(text) == [row(ip="192.168.1.7", received=10, sent=20, connections=3)]


def test_missing_columns_are_named() -> None:
    with pytest.raises(MalformedInput, match="no column ip, tx_bytes"):
        parse_nlbw(answer([A, 1, 2], columns="mac conns rx_bytes"))


def test_macs_are_those_of_lower_case() -> None:
    rows = parse_nlbw(answer(["02:AA:BB:CC:DD:01", "192.168.1.9", 1, 5, 6]))
    assert totals(rows) == {A: Sums(5, 6, 1)}


def test_a_mac_that_is_not_known_stands_by_its_address() -> None:
    lan = Lan(own=["192.168.1.1"])
    rows = parse_nlbw(
        answer(
            ["00:00:00:00:00:00", "10.8.0.6", 1, 5, 6],
            ["00:00:00:00:00:00", "fd00:0008:0::0006", 1, 1, 2],
            ["00:00:00:00:00:00", "192.168.1.1", 1, 7, 8],
            ["00:00:00:00:00:00", "203.0.113.9", 1, 7, 8],
            ["00:00:00:00:00:00", "239.255.255.250", 1, 7, 8],
            ["01:00:5e:7f:ff:fa", "192.168.1.9", 1, 7, 8],
            ["", "nonsense", 1, 7, 8],
        )
    )
    assert Counters().take(rows, lan, 0.0)[0] == {"10.8.0.6": Sums(5, 6, 1), "fd00:8::6": Sums(1, 2, 1)}


def test_the_router_itself_is_no_device() -> None:
    lan = Lan(own=["192.168.1.1"], macs=["02:11:22:00:00:01"])
    assert key_of(row(mac="02:11:22:00:00:01"), lan) == ""
    assert key_of(row(ip="192.168.1.1"), lan) == ""
    assert key_of(row(), lan) == A


# Damage


@pytest.mark.parametrize("name", ["nlbw.json", "nlbw-host.json"])
def test_cut_off_at_any_byte(name: str) -> None:
    text = fixture(name).rstrip()
    for length in range(len(text)):
        for parse in (parse_nlbw, parse_services):
            with pytest.raises(MalformedInput):
                parse(text[:length])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "printed nothing"),
        ("Error while processing command: x", "is not its JSON"),
        ('{"columns":["mac"', "cut off"),
        ("[]", "is not its JSON"),
        ('{"columns":"mac","data":[]}', "is not its JSON"),
        (answer([A, "192.168.1.9", 1, 5]), "row 1"),
        (answer([A, "192.168.1.9", 1, 5, 6], [A, "192.168.1.9", 1, -5, 6]), "row 2"),
        (answer([A, "192.168.1.9", 1, 5.5, 6]), "row 1"),
        (answer([A, "192.168.1.9", True, 5, 6]), "row 1"),
        (answer([A, "192.168.1.9", 1, 1 << 63, 6]), "row 1"),
        (answer([A, "192.168.1.9", 1, 10**30, 6]), "row 1"),
        (answer([A, None, 1, 5, 6]), "row 1"),
        (answer([7, "192.168.1.9", 1, 5, 6]), "row 1"),
        (answer([[A], "192.168.1.9", 1, 5, 6]), "row 1"),
        (answer(["zz", "192.168.1.9", 1, 5, 6]), "row 1"),
        ("[" * 100_000, "is not its JSON"),
    ],
)
def test_garbage_is_told_in_words(text: str, words: str) -> None:
    with pytest.raises(MalformedInput, match=words) as caught:
        parse_nlbw(text)
    assert len(caught.value.message) < 400


def test_escape_codes_stay_harmless() -> None:
    with pytest.raises(MalformedInput) as caught:
        parse_nlbw("\x1b[2J\u202e oops")
    assert "\x1b" not in caught.value.message and "\u202e" not in caught.value.message
    with pytest.raises(MalformedInput) as caught:
        parse_nlbw(answer(["\x1b]0;x\x07", "192.168.1.9", 1, 5, 6]))
    assert "\x1b" not in caught.value.message
    use = parse_services(
        answer([A, "TCP", 1, "\x1b[31mred", 1, 2, 3], columns="mac proto port layer7 conns rx_bytes tx_bytes")
    )
    assert use == [ServiceUse(A, "\ufffd[31mred", Sums(2, 3, 1))]


@given(st.text(max_size=80))
def test_any_text_is_rows_or_malformed(text: str) -> None:
    for parse in (parse_nlbw, parse_services):
        for each in (
            text,
            '{"columns":' + text,
            '{"columns":["mac","ip","conns","rx_bytes","tx_bytes"],"data":[[' + text,
        ):
            try:
                parse(each)
            except MalformedInput as error:
                assert error.message


_JUNK = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just(A), st.just([]))


@given(st.lists(st.lists(_JUNK, max_size=6), max_size=4))
def test_any_rows_are_rows_or_malformed(rows: list[list[object]]) -> None:
    try:
        found = parse_nlbw(answer(*rows))
    except MalformedInput:
        return
    for sums in totals(found).values():
        assert min(sums) >= 0


def test_10_000_rows() -> None:
    rows = [[f"02:00:00:00:{n % 200 >> 8:02x}:{n % 200:02x}", f"fd00::{n:x}", 1, 1000, 100] for n in range(10_000)]
    found = totals(parse_nlbw(answer(*rows)))
    assert len(found) == 200 and set(found.values()) == {Sums(50_000, 5_000, 50)}


# Services


def test_services_are_named_by_port_where_they_have_no_name_and_only_the_largest_are_kept() -> None:
    columns = "port layer7 mac conns tx_bytes rx_bytes proto"
    rows: list[list[object]] = [
        [9999, None, A, 1, 5, 6, "TCP"],
        [0, None, A, 1, 1, 1, "IP"],
        [443, "HTTPS", A, 1, 9, 9, "TCP"],
    ]
    rows += [[443, "HTTPS", A, 2, 1, 1, "UDP"], [1, None, "00:00:00:00:00:00", 1, 5, 6, "TCP"]]
    found = services_of(parse_services(answer(*rows, columns=columns)))
    assert found == {A: [ServiceRow("HTTPS", 10, 10, 3), ServiceRow("TCP/9999", 6, 5, 1), ServiceRow("IP", 1, 1, 1)]}
    many: list[list[object]] = [[port, None, A, 1, port, port, "TCP"] for port in range(1, 40)]
    kept = services_of(parse_services(answer(*many, columns=columns)))[A]
    assert len(kept) == TOP_SERVICES and kept[0].name == "TCP/39"


# Exit statuses


@pytest.mark.parametrize(
    ("status", "said", "kind", "words", "mend"),
    [
        (127, "sh: nlbw: not found", Unsupported, "not installed", "opkg install"),
        (247, "Error while processing command: Bad file descriptor", NoData, "does not run", "service nlbwmon start"),
        (195, "Error while processing command: No data available", NoData, "no data of the present period", "once"),
        (1, "Unrecognized field 'foo'", CollectorError, "Unrecognized field 'foo'", "update nlbwmon"),
        (124, "no answer within 4 s", CollectorError, "status 124: no answer", ""),
        (139, "\x1b[31mSegmentation fault", CollectorError, "Segmentation", ""),
    ],
)
def test_exit_statuses(status: int, said: str, kind: type[CollectorError], words: str, mend: str) -> None:
    error = failure(status, said)
    assert type(error) is kind
    assert words in error.message and mend in error.hint and "\x1b" not in error.message


def test_no_failure() -> None:
    assert failure(0, "nlbw: invalid option -- 'i'") is None


# Counters over looks


def looks(*each: list[Row], seconds: float = 30.0) -> list[tuple[Sums | None, bool]]:
    """The counters of device A over looks, and whether a period began at each."""
    counters = Counters()
    found = []
    for number, rows in enumerate(each):
        sums, begun = counters.take(rows, Lan(), number * seconds)
        found.append((sums.get(A), begun))
    return found


def test_counters_grow() -> None:
    assert looks([row(received=100)], [row(received=130, sent=5)]) == [
        (Sums(100, 0, 1), False),
        (Sums(130, 5, 1), False),
    ]


def test_a_row_that_vanished_is_kept() -> None:
    one, two = row(received=1000), row(ip="fd00::9", received=900)
    assert looks([one, two], [one], [row(received=1100)]) == [
        (Sums(1900, 0, 2), False),
        (Sums(1900, 0, 2), False),
        (Sums(2000, 0, 2), False),
    ]


def test_a_row_that_was_overwritten_begins_anew() -> None:
    other = row(mac=B, received=5000)
    assert looks([row(received=1000), other], [row(received=30), other])[1] == (Sums(1030, 0, 2), False)


def test_a_row_of_an_older_state_goes_on_from_what_it_had_reached() -> None:
    # Killed, nlbwmon begins with what it had saved.
    assert looks([row(received=1000, sent=9)], [row(received=900, sent=10)], [row(received=950, sent=11)]) == [
        (Sums(1000, 9, 1), False),
        (Sums(1000, 10, 1), False),
        (Sums(1050, 11, 1), False),
    ]


def test_a_new_period_is_a_fall() -> None:
    first = [row(received=1000), row(mac=B, received=5000), row(ip="fd00::9", received=10)]
    assert looks(first, [row(received=40)], [row(received=70)]) == [
        (Sums(1010, 0, 2), False),
        (Sums(40, 0, 1), True),
        (Sums(70, 0, 1), False),
    ]


def test_a_new_period_without_any_row_yet() -> None:
    assert looks([row(received=1000)], [], [row(received=70)]) == [
        (Sums(1000, 0, 1), False),
        (None, True),
        (Sums(70, 0, 1), False),
    ]


def many(factor: int) -> list[Row]:
    return [row(mac=B, ip=f"fd00::{number:x}", received=number * factor) for number in range(1, 20)] + [
        row(received=factor)
    ]


def test_an_old_state_of_many_rows_is_no_new_period() -> None:
    assert looks(many(1000), many(100), many(110)) == [
        (Sums(1000, 0, 1), False),
        (Sums(1000, 0, 1), False),
        (Sums(1010, 0, 1), False),
    ]
    # After an hour unseen it may be a new period in which all have come back.
    assert looks(many(1000), many(100), seconds=3600.0)[1] == (Sums(100, 0, 1), True)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 1000), max_size=3), min_size=1, max_size=8))
def test_within_a_period_no_counter_falls(states: list[dict[str, int]]) -> None:
    counters, before = Counters(), -1
    for number, state in enumerate(states):
        # B keeps the sum from falling by half: the period goes on.
        rows = [row(ip=f"fd00::{name}", received=value) for name, value in state.items()]
        sums, begun = counters.take([*rows, row(mac=B, received=1_000_000)], Lan(), number * 30.0)
        assert not begun
        now = sums[A].received if A in sums else 0
        assert now >= sum(state.values()) and now >= before
        before = now
