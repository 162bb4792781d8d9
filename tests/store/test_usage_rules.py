"""What a read adds to usage: counters with a life of their own, 32 bits, interfaces created anew, long holes."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.usage import AT_LEAST, ESTIMATED, GIGABIT, Contribution, Last, accounted, contributions, is_narrow
from sysmon.catalogue import Catalogue, Metric, counter
from sysmon.zones import span_of, zone_of
from tests.store.worlds import START

KEY = "device.receive:02:00:00:00:00:01"
OWN = counter("device.receive", "bytes", "in", instance="device", lifetime="own")
WIDE = counter("net.receive", "bytes", "in", instance="interface")
SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000


def added(metric: Metric, values: list[int | None], last: Last | None, every: int = 30 * SECOND) -> list[Contribution]:
    """What reads add that come evenly after the last."""
    ats = [START + every * index for index in range(1, len(values) + 1)]
    return contributions(KEY, metric, "boot", START - HOUR, ats, values, last)[0]


def told(found: list[Contribution]) -> tuple[int, int]:
    """Bytes and flags of all."""
    flags = 0
    for each in found:
        flags |= each.flags
    return sum(each.bytes for each in found), flags


def test_what_devices_move_is_accounted() -> None:
    catalogue = Catalogue([OWN, WIDE, counter("device.connections", "", "n", instance="device")])
    assert accounted([KEY, "device.transmit:x", "device.connections:x", "net.receive:eth0"], catalogue) == [
        KEY,
        "device.transmit:x",
        "net.receive:eth0",
    ]


@pytest.mark.parametrize(
    ("value", "wanted", "flags"),
    [
        (1500, 500, 0),  # It went on, whatever the box did.
        (1000, 0, 0),
        (999, 0, AT_LEAST),  # The source let go of something.
        (500, 0, AT_LEAST),
        (499, 499, AT_LEAST),  # A new period.
        (0, 0, AT_LEAST),
    ],
)
@pytest.mark.parametrize("boot", ["boot", "before"])
def test_a_counter_with_a_life_of_its_own(value: int, wanted: int, flags: int, boot: str) -> None:
    assert told(added(OWN, [value], Last(boot, 1000, START))) == (wanted, flags)


def test_a_device_that_was_away_goes_on_where_it_was() -> None:
    assert told(added(OWN, [None, None, 1200], Last("boot", 1000, START))) == (200, 0)


@pytest.mark.parametrize(
    ("values", "wanted", "flags"),
    [
        ([1100, 1200], 200, 0),
        ([None, 5000, 5200], 5200, AT_LEAST),  # Created anew, and already further than the old one.
        ([None, 300, 400], 400, AT_LEAST),
        ([300, 400], 400, AT_LEAST),
        ([None, None], 0, 0),
    ],
)
def test_an_interface_created_anew_counts_from_nothing(values: list[int | None], wanted: int, flags: int) -> None:
    assert told(added(WIDE, values, Last("boot", 1000, START), SECOND)) == (wanted, flags)


def test_what_another_producer_leaves_out_is_not_gone() -> None:
    ats = [START + SECOND * index for index in range(1, 5)]
    column = [1100, None, None, 1400]
    own = [True, True, True, True]
    last = Last("boot", 1000, START)
    for runs, wanted in (([1, 2, 2, 1], 400), ([1, 1, 1, 1], 1500)):
        found, _ = contributions(KEY, WIDE, "boot", 0, ats, column, last, own, runs)
        assert told(found)[0] == wanted


def test_a_known_absence_before_the_first_read_counts_too() -> None:
    assert told(added(WIDE, [1500], Last("boot", 1000, START, gone=True))) == (1500, AT_LEAST)


@pytest.mark.parametrize(
    ("arch", "narrow"),
    [
        ("armv7l", True),
        ("armv6l", True),
        ("mips", True),
        ("mipsel", True),
        ("i686", True),
        ("ppc", True),
        ("armv8l", False),  # A 64-bit kernel that serves a 32-bit program.
        ("aarch64", False),
        ("x86_64", False),
        ("mips64", False),
        ("", False),
    ],
)
def test_which_machines_count_in_32_bits(arch: str, narrow: bool) -> None:
    assert is_narrow(arch) is narrow


@pytest.mark.parametrize(
    ("speed", "seconds", "wraps"),
    [
        (None, 10, True),  # A gigabit link carries 1.25 GB in 10 s.
        (12.5e6, 10, False),  # One of 100 Mbit/s does not carry 1 GB in 10 s,
        (12.5e6, 90, True),  # but does in 90.
        (1.25e9, 1, True),
        (None, 1, False),
    ],
)
def test_a_wrap_is_bounded_by_the_link(speed: float | None, seconds: int, wraps: bool) -> None:
    last = Last("boot", 2**32 - 500_000_000, START)
    ats = [START + seconds * SECOND]
    found, _ = contributions(KEY, WIDE, "boot", 0, ats, [500_000_000], last, narrow=True, speed=speed)
    assert told(found)[0] == (1_000_000_000 if wraps else 500_000_000)
    assert bool(told(found)[1] & AT_LEAST) is not wraps


def test_a_greater_number_shows_that_there_are_more_bits() -> None:
    last = Last("boot", 2**32 - 100, START)
    ats = [START + SECOND, START + 2 * SECOND]
    for column, flags in (([200, 300], 0), ([200, 2**32 + 5], AT_LEAST)):
        found, _ = contributions(KEY, WIDE, "boot", 0, ats, column, last, narrow=True)
        assert told(found)[1] & AT_LEAST == flags
    metric = msgspec.structs.replace(WIDE, bits=32)
    assert told(contributions(KEY, metric, "boot", 0, ats, [200, 300], last)[0]) == (400, 0)
    assert GIGABIT * SECOND > 2**32


@given(
    st.sampled_from(["UTC", "Asia/Kathmandu", "Europe/Berlin", "Australia/Lord_Howe", "-03:30"]),
    st.integers(START, START + 400 * DAY),
    st.one_of(st.integers(1, DAY), st.integers(1, 400 * DAY)),
    st.integers(0, 10**12),
)
def test_a_hole_is_tiled_by_few_buckets(name: str, start: int, length: int, size: int) -> None:
    zone = zone_of(name)
    found, _ = contributions(KEY, WIDE, "boot", 0, [start + length], [size], Last("boot", 0, start), zone=zone)
    assert told(found)[0] == size
    assert len(found) <= 1700
    assert all(each.start + each.length <= after.start for each, after in pairwise(found))
    for each in found:
        step = {300_000: "fiveminute"}.get(each.length, "hour" if each.length <= HOUR else "day")
        assert span_of(each.start, step, zone) == (each.start, each.start + each.length)
    if size and length > 300_000:
        assert found[0].start <= start and start + length <= found[-1].start + found[-1].length


def test_a_clock_set_right_after_years_spreads_nothing() -> None:
    last = Last("boot", 0, START - 20_000 * DAY)
    assert contributions(KEY, WIDE, "boot", 0, [START], [777], last)[0] == [Contribution(KEY, START, 777, ESTIMATED)]
