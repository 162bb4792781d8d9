"""Numbers and times, both ways."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sysmon.errors import UsageError
from sysmon.units import (
    MISSING,
    format_bytes,
    format_duration,
    format_value,
    parse_duration,
    parse_quantity,
    parse_time,
    rfc3339,
)

BERLIN = ZoneInfo("Europe/Berlin")
NOON = 1_795_258_800_000  # 2026-11-21 12:00:00 in Berlin


@pytest.mark.parametrize(
    ("value", "unit", "text", "short"),
    [
        (None, "bytes", MISSING, MISSING),
        (float("nan"), "ratio", MISSING, MISSING),
        (0, "bytes", "0 B", "0B"),
        (1023.99 * 1024, "bytes", "1.0 MiB", "1.0M"),
        (1536, "bytes/s", "1.5 KiB/s", "1.5K"),
        (-2048, "bytes", "-2.0 KiB", "-2.0K"),
        (0.374, "ratio", "37.4 %", "37%"),
        (2.4e9, "hertz", "2.4 GHz", "2.4GHz"),
        (45, "celsius", "45 °C", "45°C"),
        (0.0123, "seconds", "12 ms", "12ms"),
        (75, "seconds", "1m 15s", "1m"),
        (100_000, "seconds", "1d 03h", "1d"),
        (0.25, "", "0.25", "0.25"),
        (1234567, "", "1234567", "1234567"),
    ],
)
def test_formats(value: float | None, unit: str, text: str, short: str) -> None:
    assert format_value(value, unit) == text
    assert format_value(value, unit, short=True) == short


@given(st.floats(min_value=-1e30, max_value=1e30))
def test_formatting_never_fails_and_stays_narrow(value: float) -> None:
    assert len(format_bytes(value, short=True)) <= 17
    assert format_duration(value)
    assert format_value(value, "hertz")


@pytest.mark.parametrize(
    ("text", "seconds"), [("5m", 300), ("1h30m", 5400), ("90", 90), ("2.5 s", 2.5), ("7d", 604800), ("250ms", 0.25)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["x", "", "5 parsecs", "m5", "-5m", "1h-3m"])
def test_what_is_no_duration_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match='write "5m"'):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("90 %", "ratio", 0.9),
        ("0.9", "ratio", 0.9),
        (0.9, "ratio", 0.9),
        ("2 GiB", "bytes", 2 << 30),
        ("2G", "bytes", 2 << 30),
        ("2 GB", "bytes", 2e9),
        ("10 MiB/s", "bytes/s", 10 << 20),
        ("100 Mbit/s", "bytes/s", 12.5e6),
        ("80 °C", "celsius", 80),
        ("5m", "seconds", 300),
        ("2.4 GHz", "hertz", 2.4e9),
        ("12", "", 12),
        ("1500 rpm", "rpm", 1500),
    ],
)
def test_quantities(text: str | float, unit: str, value: float) -> None:
    assert parse_quantity(text, unit) == pytest.approx(value)


@pytest.mark.parametrize(("text", "unit"), [("ninety", "ratio"), ("5 %", "bytes"), ("5 GiB", "ratio"), ("", "celsius")])
def test_what_is_no_quantity_gives_an_example(text: str, unit: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse_quantity(text, unit)


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("now", 0),
        ("3h ago", 3 * 3600),
        ("3h", 3 * 3600),
        ("-90s", 90),
        ("11:59", 60),
        ("12:00:01", 86400 - 1),
        ("yesterday 12:00", 86400),
        ("2026-11-21 11:00", 3600),
        ("2026-11-21T10:00:00Z", 3600),
        ("2026-11-20", 36 * 3600),
        ("1795258800", 0),
    ],
)
def test_moments(text: str, back: int) -> None:
    assert NOON - parse_time(text, NOON, BERLIN) == back * 1000


@given(st.text(max_size=30))
def test_any_text_is_a_moment_or_a_clear_error(text: str) -> None:
    try:
        assert isinstance(parse_time(text, NOON, BERLIN), int)
    except UsageError as error:
        assert "is not a moment" in error.message


def test_rfc3339() -> None:
    assert rfc3339(NOON) == "2026-11-21T11:00:00Z"
    assert rfc3339(NOON + 5) == "2026-11-21T11:00:00.005Z"


@pytest.mark.parametrize("text", ["9999999999d", "999999999999y ago", "60y"])
def test_what_lies_before_1970_is_as_good_as_the_beginning(text: str) -> None:
    assert parse_time(text, NOON, BERLIN) == 0
