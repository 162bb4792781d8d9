"""Usage as it is kept: packed, folded into pages, put right by late frames, trimmed, taken over from older files."""

import random
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import schema
from store.engine import Engine
from store.schema import BLOCK, BUCKET, connect, migrate, prepare
from store.usage import AT_LEAST, ESTIMATED, MOST, Contribution
from store.usagecodec import Page, decode_added, encode_added, encode_page
from store.usagepages import DAY, HOUR, KEPT_FINE, PAGES, dispensable, expire, flags_of, fold, marks_of, put_added
from store.views import View
from sysmon.clock import ManualClock
from sysmon.errors import SchemaTooNew
from sysmon.records import HostInfo, Usage
from sysmon.zones import STEPS, span_of, zone_of
from tests.store.helpers import reading, recording, rows
from tests.store.worlds import CATALOGUE, HOST, START

KEY, OTHER = "net.receive:eth0", "net.transmit:eth0"
NOW = START + 60 * DAY
COUNTS = st.one_of(st.integers(0, 10**9), st.sampled_from([0, 1, 2**32, MOST - 1]))
TIMES = st.integers(START // BUCKET, START // BUCKET + 3000).map(lambda number: number * BUCKET)
BUCKETS = st.tuples(TIMES, st.sampled_from([BUCKET, HOUR, 23 * HOUR]))


@contextmanager
def store(zone: str = "Europe/Berlin") -> Iterator[sqlite3.Connection]:
    """A history in memory that knows one host."""
    connection = connect(":memory:")
    prepare(connection)
    migrate(connection, ":memory:", 1)
    Engine(connection, CATALOGUE, ManualClock(START)).take_host(HostInfo(id=HOST, timezone=zone))
    try:
        yield connection
    finally:
        connection.close()


def usage(connection: sqlite3.Connection, step: str, start: int = START - DAY, end: int = NOW) -> list[Usage]:
    return View(connection, 0, Path("history.db"), CATALOGUE).usage(HOST, start, end, step, ())


def done(steps: Iterable[None]) -> None:
    for _ in steps:
        pass


def some(chance: random.Random, first: int, count: int) -> list[list[Contribution]]:
    """What some blocks add; some of it spread over what lies before them."""
    made = []
    for block in range(first, first + count):
        added = []
        for key in (KEY, OTHER):
            added += [
                Contribution(key, start, chance.randrange(10**8), chance.choice((0, 0, 0, 1, 2)))
                for start in (block * BLOCK, block * BLOCK + BUCKET)
                if chance.random() < 0.9
            ]
            if chance.random() < 0.05:
                added.append(Contribution(key, block * BLOCK - 4 * BUCKET, 77, ESTIMATED))
        made.append(added)
    return made


def expected(blocks: Iterable[Iterable[Contribution]], step: str, zone: str) -> list[tuple[int, str, int, int]]:
    """(start, key, bytes, flags) of every step."""
    found: dict[tuple[int, str], tuple[int, int]] = {}
    for added in blocks:
        for each in added:
            place = span_of(each.start, step, zone_of(zone))[0], each.key
            size, flags = found.get(place, (0, 0))
            found[place] = size + each.bytes, flags | each.flags
    return [(*place, *values) for place, values in sorted(found.items()) if any(values)]


def plain(found: Iterable[Usage]) -> list[tuple[int, str, int, int]]:
    return [(each.start, each.key, each.bytes, AT_LEAST * each.at_least | ESTIMATED * each.estimated) for each in found]


@given(st.dictionaries(BUCKETS, st.tuples(COUNTS, st.integers(0, 2**40)), max_size=40))
def test_a_page_gives_back_what_it_was_given(entries: dict[tuple[int, int], tuple[int, int]]) -> None:
    places = sorted(entries)
    page = Page(
        encode_page(
            [start for start, _ in places],
            [length for _, length in places],
            [entries[place][0] for place in places],
            [entries[place][1] for place in places],
        )
    )
    starts, lengths = page.buckets()
    sizes, marks = page.values()
    assert list(zip(starts, lengths, strict=True)) == places
    assert list(zip(sizes, marks or [0] * page.count, strict=True)) == [entries[place] for place in places]


@given(
    st.dictionaries(
        BUCKETS, st.dictionaries(st.integers(1, 60), st.tuples(COUNTS, st.integers(0, 3)), max_size=9), max_size=9
    )
)
def test_a_block_gives_back_what_it_adds(entries: dict[tuple[int, int], dict[int, tuple[int, int]]]) -> None:
    for only in ({3, 20}, {1, 2, 3, 4, 59}):
        few = decode_added(encode_added(entries), only)
        assert [each for each in few.each() if each.counter in only and (each.bytes or each.flags)] == [
            each
            for each in decode_added(encode_added(entries)).each()
            if each.counter in only and (each.bytes or each.flags)
        ]
    found = {
        (each.counter, each.start, each.length): (each.bytes, each.flags)
        for each in decode_added(encode_added(entries)).each()
        if each.bytes or each.flags
    }
    assert found == {
        (counter, *bucket): values
        for bucket, held in entries.items()
        for counter, values in held.items()
        if any(values)
    }


@given(st.lists(st.integers(0, 3), max_size=30))
def test_marks_add_up_and_are_taken_back(flags: list[int]) -> None:
    total = sum(map(marks_of, flags))
    together = 0
    for each in flags:
        together |= each
    assert flags_of(total) == together and flags_of(total - sum(map(marks_of, flags))) == 0


@pytest.mark.parametrize("zone", ["", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"])
def test_folding_and_late_frames_change_no_sum(zone: str) -> None:
    chance = random.Random(zone)
    first = START // BLOCK
    blocks = some(chance, first, 400)
    with store(zone) as connection:
        for number, added in enumerate(blocks):
            put_added(connection, 1, 1 + number % 2, first + number, added)
        for now in (START, START + DAY, START + 2 * DAY, NOW):
            done(fold(connection, 1, now))
            for step in STEPS:
                assert plain(usage(connection, step)) == expected(blocks, step, zone), (now, step)
            # Late frames change blocks that are folded, and some that are not.
            for number in chance.sample(range(400), 25):
                blocks[number] = some(chance, first + number, 1)[0] if chance.random() < 0.8 else []
                put_added(connection, 1, 1 + number % 2, first + number, blocks[number])
            for step in STEPS:
                assert plain(usage(connection, step)) == expected(blocks, step, zone), (now, step)
        assert connection.execute("SELECT count(*) FROM usage_block WHERE folded = 0").fetchone()[0] < 30
        for each in usage(connection, "day"):
            assert (each.start, each.end) == span_of(each.start, "day", zone_of(zone))


def test_a_fold_that_is_cut_off_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    blocks = some(random.Random(2), START // BLOCK, 300)
    connection = connect(path)
    prepare(connection)
    migrate(connection, path, 1)
    Engine(connection, CATALOGUE, ManualClock(START)).take_host(HostInfo(id=HOST))
    for number, added in enumerate(blocks):
        put_added(connection, 1, 1, START // BLOCK + number, added)
    counted = 0
    steps = fold(connection, 1, NOW)
    while True:
        # Another process sees what a crash at this moment would leave.
        other = connect(path, read_only=True)
        assert plain(usage(other, "hour")) == expected(blocks, "hour", "")
        other.close()
        counted += 1
        if next(steps, steps) is steps:
            break
    assert counted > 4 and connection.execute("SELECT count(*) FROM usage_page").fetchone()[0] > 0
    connection.close()


def test_blocks_whose_readings_are_gone_are_folded_once() -> None:
    blocks = some(random.Random(5), START // BLOCK, 100)
    with store("") as connection:
        for number, added in enumerate(blocks):
            put_added(connection, 1, 1, START // BLOCK + number, added)
        connection.execute("UPDATE usage_block SET run = 0 WHERE block % 3 = 0")
        done(fold(connection, 1, START))
        assert plain(usage(connection, "day")) == expected(blocks, "day", "")
        for _ in range(2):
            done(fold(connection, 1, NOW))
            assert plain(usage(connection, "day")) == expected(blocks, "day", "")
        assert connection.execute("SELECT count(*) FROM usage_block WHERE run = 0").fetchone()[0] == 0


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Europe/Berlin"])
def test_five_minutes_that_are_gone_are_hours(zone: str) -> None:
    chance = random.Random(1)
    blocks = some(chance, START // BLOCK, 12 * 144)
    end = START + 12 * DAY
    with store(zone) as connection:
        for number, added in enumerate(blocks):
            put_added(connection, 1, 1, START // BLOCK + number, added)
        done(fold(connection, 1, NOW))
        before = expected(blocks, "hour", zone)
        done(expire(connection, START + 5 * DAY + KEPT_FINE))
        assert (
            connection.execute("SELECT min(page) FROM usage_page WHERE tier = ?", (BUCKET,)).fetchone()[0]
            == (START + 5 * DAY) // PAGES[BUCKET]
        )
        assert plain(usage(connection, "hour")) == before
        fine = [each for each in usage(connection, "fiveminute", START - HOUR, end) if each.key == KEY]
        assert sum(each.bytes for each in fine) == sum(size for _, key, size, _ in before if key == KEY)
        lengths = {each.end - each.start for each in fine}
        assert lengths == {BUCKET, HOUR}
        assert all(one.end <= two.start for one, two in pairwise(fine))
        # Where space is short more goes, the days never.
        while (steps := dispensable(connection, START + 500 * DAY)) is not None:
            done(steps)
        assert {tier for (tier,) in connection.execute("SELECT DISTINCT tier FROM usage_page")} == {DAY}
        for step in ("day", "month", "year"):
            assert plain(usage(connection, step)) == expected(blocks, step, zone)
        assert {each.end - each.start for each in usage(connection, "hour", START, end)} == {DAY}
        # What comes in late for a time whose five minutes are gone is kept by the hour and day.
        late = [Contribution(KEY, START + HOUR, 1000, 0)]
        put_added(connection, 1, 9, (START + HOUR) // BLOCK, late)
        done(fold(connection, 1, NOW))
        assert plain(usage(connection, "month")) == expected([*blocks, late], "month", zone)
    with store() as connection:
        assert dispensable(connection, NOW) is None


def test_totals_stay_below_what_others_can_hold() -> None:
    with store() as connection:
        for block in range(START // BLOCK, START // BLOCK + 4):
            put_added(connection, 1, 1, block, [Contribution(KEY, block * BLOCK, MOST - 1, 0)])
        for _ in range(2):
            (day,) = usage(connection, "day")
            assert day.bytes == MOST - 1 == msgspec.json.decode(msgspec.json.encode(day), type=Usage).bytes
            done(fold(connection, 1, NOW))


def test_what_others_counted_is_added() -> None:
    with store("") as connection:
        put_added(connection, 1, 1, START // BLOCK, [Contribution(KEY, START, 1000, 0)])
        connection.executemany(
            "INSERT INTO past(host, key, start, length, bytes, flags, source) VALUES (1, ?, ?, ?, ?, ?, 'vnstat')",
            [(KEY, START - DAY, DAY, 500, 0), (KEY, START + HOUR, HOUR, 70, ESTIMATED), (OTHER, START, HOUR, 3, 0)],
        )
        assert [
            (each.start, each.end, each.bytes, each.estimated) for each in usage(connection, "hour") if KEY == each.key
        ] == [
            (START - DAY, START, 500, False),
            (START, START + HOUR, 1000, False),
            (START + HOUR, START + 2 * HOUR, 70, True),
        ]
        assert [each.bytes for each in usage(connection, "day", START, START + 1)] == [1070, 3]
        view = View(connection, 0, Path("history.db"), CATALOGUE)
        assert [each.bytes for each in view.usage(HOST, START, START + DAY, "day", [KEY], own=True)] == [1000]


def old_file(path: Path, version: int) -> list[list[Contribution]]:
    """A file as older versions made it, with usage of every age; returns what it holds."""
    connection = connect(path)
    prepare(connection)
    migrate(connection, path, 1, schema.MIGRATIONS[:version])
    connection.execute(
        "INSERT INTO host(id, host, info) VALUES (1, ?, ?)",
        (HOST, msgspec.msgpack.encode(HostInfo(id=HOST, timezone="Europe/Berlin"))),
    )
    connection.execute("INSERT INTO host(id, host) VALUES (2, 'another')")
    chance = random.Random(4)
    zone = zone_of("Europe/Berlin")
    made: list[list[Contribution]] = []
    put = "INSERT INTO usage(host, key, start, run, block, length, bytes, flags) VALUES (1, ?, ?, ?, ?, ?, ?, ?)"
    for day in range(500):
        start, end = span_of(START - (500 - day) * DAY + HOUR, "day", zone)
        step = end - start if day < 440 else HOUR
        for at in range(start, end, step) if day < 498 else ():
            each = Contribution(KEY, at, chance.randrange(10**10), chance.choice((0, 0, 1, 2, 3)), step)
            connection.execute(put, (KEY, at, 0, 0, step, each.bytes, each.flags))
            made.append([each])
    for number, added in enumerate(some(chance, START // BLOCK - 200, 200)):
        for each in added:
            connection.execute(
                put,
                (each.key, each.start, 1 + number % 2, START // BLOCK - 200 + number, BUCKET, each.bytes, each.flags),
            )
        made.append(added)
    connection.execute(
        "INSERT INTO usage(host, key, start, run, block, length, bytes, flags)"
        " VALUES (2, 'net.receive:lo', 0, 0, 0, 300000, 5, 0)"
    )
    connection.execute("INSERT INTO floor(host, key, boot, value, at) VALUES (1, ?, 'boot', 5, 1)", (KEY,))
    connection.close()
    return made


@pytest.mark.anyio
@pytest.mark.parametrize("version", [1, 2])
async def test_an_older_file_is_taken_over_whole(tmp_path: Path, version: int) -> None:
    path = tmp_path / "history.db"
    made = old_file(path, version)
    first = START - 520 * DAY
    wanted = {step: expected(made, step, "Europe/Berlin") for step in ("day", "month", "year")}
    async with reading(path) as history:
        for step, totals in wanted.items():
            assert plain(await history.usage(HOST, first, START + DAY, step)) == totals
    before = rows(path, "SELECT count(*) FROM usage")
    with pytest.raises(ZeroDivisionError):
        connection = connect(path)
        migrate(connection, path, 2, (*schema.MIGRATIONS, (lambda _: 1 // 0,)))  # type: ignore[arg-type]
    connection.close()
    assert rows(path, "SELECT count(*) FROM usage") == before
    async with recording(path, ManualClock(START)), reading(path) as history:
        for step, totals in wanted.items():
            assert plain(await history.usage(HOST, first, START + DAY, step)) == totals
        hours = await history.usage(HOST, first, START + DAY, "hour")
        assert sum(each.bytes for each in hours) == sum(size for *_, size, _ in wanted["year"])
        assert {each.end - each.start for each in hours} == {HOUR, 23 * HOUR, DAY, 25 * HOUR}
        assert [each.bytes for each in await history.usage("another", 0, DAY, "day")] == [5]
    assert rows(path, "SELECT missed FROM floor") == [(0,)]
    assert rows(path, "SELECT name FROM sqlite_master WHERE name = 'usage'") == []
    with pytest.raises(SchemaTooNew):
        connection = connect(path)
        migrate(connection, path, 3, schema.MIGRATIONS[:version])
    connection.close()
