"""The codec: what goes out comes back, and what is hostile is cleaned or refused with its path."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote import clean, wire
from remote.sse import ServerEvent
from sysmon.errors import MalformedInput
from sysmon.frame import Fault, FilesystemRow, Frame, ProcessRow, Tables, clean_instance
from sysmon.records import AlertState, Event, Gap, Hello, HostInfo, RunSpan, Status
from tests.remote.support import CATALOGUE, HOST, OTHER, RUN, T0, frame, harmless

ROW = ProcessRow(pid=7, name="sh", command="sh -c true", user="root", cpu_time=1.5)
EVIL = "a\x1b[31m\u202egpj\x00\u200b"


def changed(**changes: Any) -> bytes:
    """A frame's JSON with some members replaced."""
    return json.dumps({**json.loads(wire.encode_frame(frame(1))), **changes}).encode()


def test_a_frame_comes_back_as_it_was() -> None:
    sent = frame(61, faults=[Fault("gpu", "no_data", "no GPU", "none needed")], cost={"runner": 0.001}, via=[OTHER])
    assert wire.decode_frame(wire.encode_frame(sent)) == sent


@given(
    readings=st.dictionaries(
        st.builds(
            lambda metric, instance: f"{metric}:{clean_instance(instance)}".rstrip(":"),
            st.from_regex(r"[a-z0-9_.]{1,20}", fullmatch=True),
            st.text(max_size=30),
        ),
        st.one_of(st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False, width=32)),
        max_size=8,
    )
)
def test_readings_come_back_exactly(readings: dict[str, int | float]) -> None:
    sent = frame(3, readings=readings)
    assert wire.decode_frame(wire.encode_frame(sent)).readings == readings


@given(st.binary(max_size=200))
def test_any_bytes_give_a_frame_or_malformed_input(data: bytes) -> None:
    for name in ("frame", "hello", "status", "gap", "event", "alert", "host", "heartbeat", "state", "other"):
        try:
            wire.decode_event(ServerEvent(name, data, ""))
        except MalformedInput as error:
            assert harmless(str(error))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(list(Frame.__struct_fields__)), json_values)
def test_any_value_in_any_member_gives_a_frame_or_malformed_input(member: str, value: Any) -> None:
    try:
        found = wire.decode_frame(changed(**{member: value}), now=T0)
    except MalformedInput:
        return
    assert wire.decode_frame(wire.encode_frame(found, wire.TABLES), now=T0) == found


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seq": -1}, r"\$\.seq: -1 is not a sequence number"),
        ({"seq": 0, "full": False}, r"\$\.seq"),
        ({"seq": 2**60}, r"\$\.seq"),
        ({"host": "a b"}, r"\$\.host: 'a b' is not an id"),
        ({"host": "x" * 65}, r"\$\.host"),
        ({"run": "../../etc"}, r"\$\.run"),
        ({"boot": ""}, r"\$\.boot"),
        ({"time": -5}, r"\$\.time"),
        ({"time": T0 + 2 * clean.FUTURE}, "lies more than 400 days in the future"),
        ({"monotonic": -1}, r"\$\.monotonic"),
        ({"reads": {"network": 10**19}}, r"\$\.reads\[network\]"),
        ({"reads": {"net work": 5}}, "is not a collector's name"),
        ({"readings": {"Load": 1}}, "does not begin with a metric's name"),
        ({"readings": {"load.1": None}}, r"\$\.readings"),
        ({"readings": {"load.1": "1"}}, r"\$\.readings"),
        ({"cost": {"cpu": -1}}, r"\$\.cost"),
        ({"intervals": {"cpu": 0}}, r"\$\.intervals"),
        ({"faults": [{"collector": "x", "kind": "gone", "message": ""}]}, r"\$\.faults\[0\]\.kind"),
        ({"faults": [{"collector": "x", "kind": "failed", "message": ""}] * 1001}, "1001 entries"),
        ({"via": ["x"] * 65}, r"\$\.via"),
        ({"tables": {"processes": [{"pid": 2**70}]}}, r"\$\.tables\.processes\[\]\.pid"),
    ],
)
def test_hostile_frames_are_refused_with_their_path(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(MalformedInput, match=words):
        wire.decode_frame(changed(**changes), now=T0)


def test_a_frame_of_a_host_that_was_not_announced_is_refused() -> None:
    with pytest.raises(MalformedInput, match="not a host that this server announced"):
        wire.decode_frame(wire.encode_frame(frame(1, host=OTHER)), hosts=[HOST])


@pytest.mark.parametrize(
    "data", [b'{"a":1e400}', b"[" * 100_000, b'{"host":"\xff"}', b"<html>", b"", b"null", b'{"x":' * 5000]
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedInput, match=r"^frame: "):
        wire.decode_frame(data)


def test_texts_are_cleaned_on_the_way_in() -> None:
    sent = frame(
        1,
        readings={f"fs.used:/mnt/{EVIL}": 1, "temperature:" + "ü" * 400: 2},
        faults=[Fault("sensors", "failed", EVIL)],
        tables=Tables(
            processes=[ROW, ProcessRow(pid=8, name=EVIL, command=EVIL * 5000)], filesystems=[FilesystemRow(mount=EVIL)]
        ),
    )
    got = wire.decode_frame(wire.encode_frame(sent, wire.TABLES))
    shown = msgspec.json.decode(msgspec.json.encode(got))
    texts = json.dumps(shown, ensure_ascii=False)
    assert harmless(texts)
    assert "fs.used:/mnt/a%1B[31m%E2%80%AEgpj%00%E2%80%8B" in got.readings
    assert all(len(key.encode()) <= 300 for key in got.readings)
    assert got.tables.processes is not None
    assert got.tables.processes[0] == ROW
    assert len(got.tables.processes[1].command) == clean.MAX_TEXT


def test_a_usual_frame_is_handed_on_as_it_is() -> None:
    cleaner = clean.Cleaner()
    first, second = frame(2), frame(3)
    cleaner.frame(first)
    assert cleaner.frame(second) is second


def test_tables_go_out_only_when_asked_for() -> None:
    sent = frame(1, tables=Tables(processes=[ROW], filesystems=[FilesystemRow(mount="/")]))
    assert wire.decode_frame(wire.encode_frame(sent)).tables == Tables()
    assert wire.decode_frame(wire.encode_frame(sent, ["processes"])).tables == Tables(processes=[ROW])


def test_a_collectors_nonsense_does_not_spoil_the_frame() -> None:
    sent = frame(1, readings={"load.1": float("nan"), "temperature:x": float("inf"), "net.receive:eth0": 5})
    assert wire.decode_frame(wire.encode_frame(sent)).readings == {"net.receive:eth0": 5}
    odd = frame(1, tables=Tables(processes=[ProcessRow(pid=1, command="caf\udce9")]))
    assert b"caf\xef\xbf\xbd" in wire.encode_frame(odd, ["processes"])


@pytest.mark.parametrize(
    "update",
    [
        Hello(
            schema=1,
            version="1",
            server="ab" * 8,
            time=T0,
            hosts=[HostInfo(id=HOST, hostname="web")],
            metrics=list(CATALOGUE),
            spans=[RunSpan(host=HOST, run=RUN, boot="b", first=1, last=9, start=T0, end=T0 + 8000)],
            alerts=[AlertState(host=HOST, rule="disk", key="fs.used:/", status="firing")],
        ),
        HostInfo(id=HOST, hostname="web", cpus=4),
        Status(host=HOST, state="late", message="a frame is overdue"),
        Event(id="e1", time=T0, host=HOST, kind="boot", evidence=["a", "b"], value=1.5),
        AlertState(host=HOST, rule="disk", key="fs.used:/", status="firing"),
        Gap(host=HOST, run=RUN, first=3, last=9, start=T0, status="lost"),
        wire.Heartbeat(T0),
    ],
)
def test_every_update_comes_back(update: Any) -> None:
    event = ServerEvent(wire.event_name(update), wire.encode_json(update), "")
    assert wire.decode_event(event) == update


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("gap", {"host": HOST, "run": RUN, "first": 9, "last": 3}),
        ("gap", {"host": HOST, "run": RUN, "first": 0, "last": 3}),
        ("status", {"host": "a\nb", "state": "live"}),
        ("status", {"host": HOST, "state": "dancing"}),
        ("heartbeat", {"time": -1}),
        ("heartbeat", {"time": 10**40}),
        ("event", {"id": "e", "time": T0 + 2 * clean.FUTURE, "host": HOST, "kind": "boot"}),
        ("hello", {"schema": 1, "version": "", "server": "", "time": T0, "hosts": [], "metrics": []}),
        (
            "hello",
            {
                "schema": 1,
                "version": "",
                "server": "ab",
                "time": T0,
                "hosts": [],
                "metrics": [{"name": "A b", "kind": "gauge"}],
            },
        ),
    ],
)
def test_hostile_events_are_refused(name: str, data: dict[str, Any]) -> None:
    with pytest.raises(MalformedInput, match=f"^{name}: "):
        wire.decode_event(ServerEvent(name, json.dumps(data).encode(), ""), now=T0)


def test_a_state_is_a_frame_with_seq_0_and_nothing_else_is() -> None:
    state = wire.encode_frame(frame(0, full=True))
    assert wire.event_name(frame(0, full=True)) == "state"
    found = wire.decode_event(ServerEvent("state", state, ""))
    assert isinstance(found, Frame)
    assert found.seq == 0
    with pytest.raises(MalformedInput, match="sequence number"):
        wire.decode_event(ServerEvent("frame", state, ""))
    with pytest.raises(MalformedInput, match="sequence number"):
        wire.decode_event(ServerEvent("state", wire.encode_frame(frame(1)), ""))


def test_unknown_events_are_passed_over() -> None:
    assert wire.decode_event(ServerEvent("tomorrow", b"{", "")) is None
