"""What one peer may make this side hold: cut at its bounds, said in a fault, the rest goes on."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.registry import catalogue
from remote import clean, sse, wire
from sysmon.catalogue import gauge
from sysmon.derive import State
from sysmon.errors import SysmonError
from sysmon.frame import Fault, Frame, ProcessRow, Tables
from tests.remote.support import CATALOGUE, HOST, OTHER, T0, frame, harmless


def limits(found: Frame) -> list[str]:
    """What a frame says of limits passed."""
    return [fault.message for fault in found.faults if fault.collector == clean.LIMITS]


def test_ten_thousand_series_are_cut_to_the_limit_and_said() -> None:
    sent = frame(1, full=True, readings={"load.1": 0.5} | {f"m:{n}": n for n in range(10_000)})
    got = wire.decode_frame(wire.encode_frame(sent), now=T0)
    assert len(got.readings) == clean.MAX_SERIES
    assert got.readings["load.1"] == 0.5
    assert limits(got) == ["it has more than 8000 series; the rest is left out"]


def test_series_add_up_over_sparse_frames_and_those_known_stay() -> None:
    cleaner = clean.Cleaner(max_series=10)
    assert not limits(cleaner.frame(frame(1, full=True, readings={f"a:{n}": n for n in range(6)})))
    for seq in range(2, 20):
        got = cleaner.frame(frame(seq, full=False, readings={"a:0": seq} | {f"b:{seq}x{n}": 1 for n in range(3)}))
        assert got.readings["a:0"] == seq
    assert limits(got) == ["it has more than 10 series; the rest is left out"]
    assert len(cleaner._series[HOST]) == 10
    # The next full state begins anew.
    assert not limits(cleaner.frame(frame(20, full=True, readings={f"c:{n}": n for n in range(10)})))


def test_what_was_there_is_not_pushed_out_by_what_comes() -> None:
    cleaner = clean.Cleaner(max_series=3)
    cleaner.frame(frame(1, full=True, readings={"z:1": 1, "z:2": 2}))
    got = cleaner.frame(frame(2, full=True, readings={f"a:{n}": n for n in range(50)} | {"z:1": 1, "z:2": 2}))
    assert {"z:1", "z:2"} < set(got.readings)
    assert len(got.readings) == 3


def test_all_hosts_of_one_peer_share_a_limit() -> None:
    cleaner = clean.Cleaner(max_series=10, max_peer_series=15)
    assert not limits(cleaner.frame(frame(1, full=True, readings={f"a:{n}": n for n in range(10)})))
    got = cleaner.frame(frame(1, full=True, host=OTHER, readings={f"a:{n}": n for n in range(10)}))
    assert len(got.readings) == 5
    assert limits(got) == ["the hosts of this server have more than 15 series; the rest is left out"]
    cleaner.forget(HOST)
    assert not limits(cleaner.frame(frame(2, full=True, host=OTHER, readings={f"a:{n}": n for n in range(10)})))


def test_rows_beyond_the_limit_are_cut_and_said() -> None:
    rows = Tables(processes=[ProcessRow(pid=n) for n in range(30)], sessions=[])
    got = clean.Cleaner(max_rows=20).frame(frame(1, tables=rows))
    assert got.tables.processes is not None
    assert [row.pid for row in got.tables.processes] == list(range(20))
    assert limits(got) == ["its tables have more than 20 rows; the rest is left out"]


def test_numbers_that_are_none_and_names_that_are_too_long_cost_only_themselves() -> None:
    data = json.loads(wire.encode_frame(frame(1)))
    data["readings"] = {"load.1": 2**70, "load.5": 0.5, "temperature:" + "ü" * 400: 2}
    got = wire.decode_frame(json.dumps(data).encode(), now=T0)
    assert got.readings["load.5"] == 0.5
    assert "load.1" not in got.readings
    assert limits(got) == [
        "names of more than 255 bytes are cut",
        "numbers that are out of range are left out, such as 'load.1'",
    ]
    assert all(len(key.encode()) <= 270 for key in got.readings)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 2**64, -(2**63) - 1, 10**400])
@pytest.mark.parametrize("at", [0, 3, 6])
def test_one_number_that_is_none_is_found_wherever_it_stands(bad: float, at: int) -> None:
    readings: dict[str, int | float] = {f"m:{n}": n * 1.5 for n in range(7)}
    readings[f"m:{at}"] = bad
    got = clean.Cleaner().frame(frame(1, readings=readings))
    assert set(got.readings) == {f"m:{n}" for n in range(7)} - {f"m:{at}"}
    assert limits(got) == [f"numbers that are out of range are left out, such as 'm:{at}'"]


def test_a_float_beyond_all_integers_is_a_number() -> None:
    assert clean.Cleaner().frame(frame(1, readings={"m": 1e300, "n": -1e300})).readings == {"m": 1e300, "n": -1e300}


def test_a_limit_is_no_longer_said_once_a_full_state_keeps_to_it() -> None:
    state = State(CATALOGUE)
    cleaner = clean.Cleaner(max_series=2)
    state.apply(cleaner.frame(frame(1, full=True, readings={"a:1": 1, "a:2": 1, "a:3": 1})))
    assert [fault.collector for fault in state.faults] == [clean.LIMITS]
    state.apply(cleaner.frame(frame(2, full=False, readings={"a:1": 1})))
    assert [fault.collector for fault in state.faults] == [clean.LIMITS]
    state.apply(cleaner.frame(frame(3, full=True, readings={"a:1": 1}, faults=[Fault("load", "failed", "x")])))
    assert [fault.collector for fault in state.faults] == ["load"]


def test_the_metrics_that_a_peer_ever_brings_are_bounded_and_their_texts_short() -> None:
    cleaner = clean.Cleaner()
    first = [gauge(f"a{number}", "", "h" * 4000, "s" * 4000) for number in range(1_000)]
    kept = cleaner.metrics(first)
    assert [metric.name for metric in kept] == [metric.name for metric in first]
    assert {len(metric.help) + len(metric.source) for metric in kept} == {2 * clean.MAX_HELP}
    more = [gauge(f"b{number}", "", "") for number in range(1_000)]
    assert len(cleaner.metrics([*more, *first])) == clean.MAX_METRICS
    assert not cleaner.metrics([gauge("c", "", "")])
    assert cleaner.metrics(list(CATALOGUE)[:0]) == []
    own = list(catalogue())
    assert clean.Cleaner().metrics(own) == own


def test_a_frame_of_a_far_future_is_left_out_and_harms_no_other_host() -> None:
    far = frame(1, time=T0 + 2 * clean.FUTURE)
    with pytest.raises(wire.LeftOut, match="lies more than 400 days in the future") as caught:
        wire.decode_event(sse.ServerEvent("frame", wire.encode_frame(far), ""), hosts=[HOST], now=T0)
    assert caught.value.host == HOST


@pytest.mark.parametrize(
    ("schema", "words"), [(2, "it is newer: update sysmon on this machine"), (0, "it is older: update sysmon on that")]
)
def test_another_wire_format_is_told_before_its_members_are_looked_at(schema: int, words: str) -> None:
    with pytest.raises(SysmonError, match=words):
        wire.decode_event(sse.ServerEvent("hello", b'{"schema": %d, "hosts": {"of": "another form"}}' % schema, ""))


def test_a_peer_of_this_format_that_says_more_than_is_known_here_is_understood() -> None:
    data = json.loads(wire.encode_frame(frame(1))) | {"moon": {"phase": 3}, "tables": {"moons": [{"name": "Io"}]}}
    assert wire.decode_frame(json.dumps(data).encode(), now=T0) == frame(1)


EVENTS = [*sorted(wire._DECODERS), "frame", "state", "tomorrow"]


def bounded(value: Any) -> bool:
    """Whether all texts of a decoded update are short, and harmless to a terminal."""
    texts = json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
    return harmless(texts)


@given(st.sampled_from(EVENTS), st.binary(max_size=300))
def test_any_bytes_are_a_clean_error_or_a_bounded_update(name: str, data: bytes) -> None:
    try:
        found = wire.decode_event(sse.ServerEvent(name, data, ""), now=T0)
    except SysmonError as error:
        assert harmless(str(error))
        assert len(str(error)) < 500
    else:
        assert found is None or bounded(found)


@given(
    st.sampled_from(["host", "event", "alert", "status", "gap"]),
    st.dictionaries(
        st.sampled_from(["id", "host", "kind", "state", "rule", "key", "status", "message", "time", "run", "name"]),
        st.text(max_size=6) | st.integers() | st.sampled_from(["live", "firing", HOST, "\x1b[2J", "\u202e", "\ud800"]),
    ),
)
def test_any_members_are_a_clean_error_or_a_bounded_update(name: str, members: dict[str, Any]) -> None:
    data = json.dumps(members).encode()
    try:
        found = wire.decode_event(sse.ServerEvent(name, data, ""), now=T0)
    except SysmonError as error:
        assert harmless(str(error))
    else:
        assert bounded(found)


@given(st.binary(max_size=2000), st.lists(st.integers(1, 50), max_size=20))
def test_any_stream_of_bytes_costs_bounded_memory(data: bytes, cuts: list[int]) -> None:
    parser = sse.Parser(max_line=100, max_event=200)
    at = 0
    try:
        for cut in [*cuts, len(data)]:
            for event in parser.feed(data[at : at + cut]):
                if isinstance(event, sse.ServerEvent):
                    wire.decode_event(event, now=T0)
            at += cut
            assert parser.held <= 100 + 200 + 50
    except SysmonError as error:
        assert harmless(str(error))
