"""The event stream's bytes: written, and read however they are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.sse import Comment, Parser, ServerEvent, encode, encode_retry
from sysmon.errors import MalformedInput

STREAM = (
    b"\xef\xbb\xbf: welcome\r\nretry: 1500\r\n\r\n"
    b"event: hello\rid: r-1\rdata: {\rdata:  two}\r\r"
    b"data:no space\nid\n\n"
    b": beat\n\nevent: lost\n\n"
    b"event: frame\nid: r-2\nunknown: x\ndata: \xc3\xa9\n\n"
    b"data\n\nid: with\0nul\ndata: last\n\nevent: cut\ndata: never finished\n"
)
EVENTS = [
    ServerEvent("hello", b"{\n two}", "r-1"),
    ServerEvent("message", b"no space", ""),
    ServerEvent("frame", b"\xc3\xa9", "r-2"),
    ServerEvent("message", b"", "r-2"),
    ServerEvent("message", b"last", "r-2"),
]


def events(chunks: list[bytes]) -> tuple[list[ServerEvent], Parser]:
    parser = Parser()
    found = [event for chunk in chunks for event in parser.feed(chunk)]
    return [event for event in found if isinstance(event, ServerEvent)], parser


@pytest.mark.parametrize("at", range(len(STREAM) + 1))
def test_split_at_every_byte(at: int) -> None:
    found, parser = events([STREAM[:at], STREAM[at:]])
    assert found == EVENTS
    assert parser.retry == 1500
    assert parser.last_id == "r-2"


@given(st.lists(st.integers(1, len(STREAM)), max_size=12))
def test_split_anywhere(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    found, _ = events([STREAM[a:b] for a, b in pairwise(edges)])
    assert found == EVENTS


def test_byte_by_byte() -> None:
    found, _ = events([STREAM[at : at + 1] for at in range(len(STREAM))])
    assert found == EVENTS


@given(
    st.lists(st.tuples(st.sampled_from(["hello", "frame", "gap"]), st.binary(max_size=60), st.integers(0, 9**9))),
    st.integers(1, 40),
)
def test_what_is_encoded_is_read_back(sent: list[tuple[str, bytes, int]], size: int) -> None:
    sent = [(name, data.replace(b"\n", b" ").replace(b"\r", b" "), number) for name, data, number in sent]
    stream = encode_retry(3000) + b"".join(encode(name, data, f"run-{number}") for name, data, number in sent)
    found, _ = events([stream[at : at + size] for at in range(0, len(stream), size)])
    assert found == [ServerEvent(name, data, f"run-{number}") for name, data, number in sent]


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_any_bytes_give_events_or_malformed_input_and_stay_bounded(chunks: list[bytes]) -> None:
    parser = Parser(max_line=100, max_event=150)
    try:
        for chunk in chunks:
            parser.feed(chunk)
            assert parser.held <= 250
    except MalformedInput as error:
        assert "longer than" in error.message


def test_a_line_beyond_the_cap_is_refused_before_it_ends() -> None:
    parser = Parser(max_line=1000)
    with pytest.raises(MalformedInput, match="a line of 1100 bytes is longer than 1000"):
        for _ in range(100):
            parser.feed(b"x" * 100)


def test_an_event_beyond_the_cap_is_refused() -> None:
    parser = Parser(max_event=1000)
    with pytest.raises(MalformedInput, match="an event"):
        for _ in range(100):
            parser.feed(b"data: " + b"x" * 100 + b"\n")


def test_empty_data_lines_do_not_pile_up() -> None:
    with pytest.raises(MalformedInput, match="an event"):
        Parser().feed(b"data\n" * 100_000)


def test_a_flood_of_comments_costs_one_entry() -> None:
    assert Parser().feed(b":\n" * 100_000) == [Comment(b"")]


def test_retry_that_is_no_number_is_ignored() -> None:
    parser = Parser()
    parser.feed(b"retry: 12x\n\nretry: -5\n\nretry: 99999999999\n\n")
    assert parser.retry is None
