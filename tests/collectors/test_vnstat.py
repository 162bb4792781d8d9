"""vnStat: its JSON of every version, its tiers as one tiling, and its states, through a played `vnstat`."""

from __future__ import annotations

import json
import random
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors._vnstatjson import TIERS, Bucket, VnstatHistory, parse_vnstat
from collectors._vnstattiles import pieces
from collectors.base import Roots
from collectors.vnstat import ANSWER, STATUS, VnstatCollector, refused, run_vnstat
from collectors.vnstat import zone as vnstat_zone
from sysmon.errors import CollectorError, Denied, MalformedInput, NoData, SysmonError, Unsupported
from sysmon.records import UsagePiece
from sysmon.zones import zone_of

FIXTURES = Path(__file__).parents[1] / "fixtures" / "vnstat"
ALL = (FIXTURES / "all.json").read_text()
THEN = 1_795_246_160_000
"""A minute after the captures were made."""
BERLIN = zone_of("Europe/Berlin")


def parsed(text: str, zone: str = "UTC", now: int = THEN) -> VnstatHistory:
    """Parses an answer."""
    return parse_vnstat(text, zone_of(zone), now)


def at(text: str, zone: str = "UTC") -> int:
    """A moment as Unix milliseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=zone_of(zone)).timestamp() * 1000)


def date(wall: datetime, *parts: str) -> dict[str, int]:
    """Some of a date's fields, as vnStat writes them."""
    return {part: getattr(wall, part) for part in parts}


def answer(rows: dict[str, list[dict[str, Any]]], updated: datetime, **more: Any) -> str:
    """An answer of one interface, as version 2.6 writes it: without stamps."""
    interface = {
        "name": "eth0",
        "alias": "",
        "created": {"date": {"year": 2020, "month": 1, "day": 1}},
        "updated": {"date": date(updated, "year", "month", "day"), "time": date(updated, "hour", "minute")},
        "traffic": {"total": {"rx": 1, "tx": 1}, **{tier: [] for tier in TIERS}, **rows},
    }
    return json.dumps({"vnstatversion": "2.6", "jsonversion": "2", "interfaces": [interface | more]})


def row(wall: str, receive: int, transmit: int = 0, parts: int = 5) -> dict[str, Any]:
    """A bucket that begins at a time of the clock's face; `parts`: how many fields of it there are."""
    when = datetime.fromisoformat(wall)
    made: dict[str, Any] = {"id": 1, "rx": receive, "tx": transmit}
    made["date"] = date(when, *("year", "month", "day")[: min(3, parts)])
    if parts == 5:
        made["time"] = date(when, "hour", "minute")
    return made


def received(found: list[UsagePiece]) -> list[tuple[int, int, int]]:
    """The pieces of what was received."""
    return [(piece.start, piece.end, piece.bytes) for piece in found if piece.key == "net.receive:eth0"]


def disjoint(found: list[UsagePiece]) -> bool:
    """Whether no two pieces of a key overlap."""
    for key in {piece.key for piece in found}:
        spans = sorted((piece.start, piece.end) for piece in found if piece.key == key)
        if any(before[1] > after[0] for before, after in pairwise(spans)):
            return False
    return all(piece.start < piece.end and piece.bytes > 0 for piece in found)


# What it says


def test_the_capture_of_two_years_is_told_whole_and_once() -> None:
    history = parsed(ALL)
    assert (history.version, history.jsonversion) == ("2.10", "2")
    assert [each.name for each in history.interfaces] == ["br-lan", "eth1", "lan1", "lan2"]
    assert history.updated == at("2026-11-21 07:28:20")
    for interface in history.interfaces:
        found = pieces(interface)
        assert disjoint(found)
        for metric, total in (("net.receive", interface.receive), ("net.transmit", interface.transmit)):
            assert sum(piece.bytes for piece in found if piece.key == f"{metric}:{interface.name}") == total
        assert max(piece.end for piece in found) <= interface.updated
        assert interface.created == at("2025-03-10") and not interface.merged and not interface.empty
    five = next(piece for piece in pieces(history.interfaces[1]) if piece.start == at("2026-11-21 07:10"))
    assert five == UsagePiece("net.receive:eth1", at("2026-11-21 07:10"), at("2026-11-21 07:15"), 7209182)


def test_version_1_counts_in_kib_and_has_hours_by_number() -> None:
    history = parsed((FIXTURES / "v1.json").read_text())
    (interface,) = history.interfaces
    assert (interface.name, interface.alias) == ("eth1", "eth1") and history.version == "1.18"
    until = at("2026-11-21 07:32")  # its minutes have no seconds: the one it names is counted
    assert interface.tiers["hour"] == [Bucket(at("2026-11-21 07:00"), until, 24446 * 1024, 2940 * 1024)]
    assert pieces(interface) == [
        UsagePiece("net.receive:eth1", at("2026-11-21 07:00"), until, 24446 * 1024),
        UsagePiece("net.transmit:eth1", at("2026-11-21 07:00"), until, 2940 * 1024),
    ]


def test_time_is_that_of_the_clock_s_face_in_the_host_s_zone() -> None:
    # The stamps are those of whoever ran vnstat: a reader in New York gets others for the same buckets.
    elsewhere = json.loads(ALL)
    for interface in elsewhere["interfaces"]:
        for tier in ("fiveminute", "hour", "day", "month", "year", "top"):
            for bucket in interface["traffic"][tier]:
                bucket["timestamp"] += 5 * 3600
        interface["updated"]["timestamp"] += 5 * 3600
    assert parsed(json.dumps(elsewhere)) == parsed(ALL)
    shifted = parsed(ALL, "Asia/Tokyo").interfaces[0]
    assert shifted.tiers["fiveminute"][0].start == at("2026-11-19 08:00", "Asia/Tokyo")
    without = json.loads(ALL)
    for interface in without["interfaces"]:
        for tier in ("fiveminute", "hour", "day", "month", "year"):
            for bucket in interface["traffic"][tier]:
                del bucket["timestamp"]
    assert [each.tiers for each in parsed(json.dumps(without)).interfaces] == [
        each.tiers for each in parsed(ALL).interfaces
    ]


def test_a_sum_of_interfaces_is_left_out() -> None:
    (interface,) = parsed((FIXTURES / "merged.json").read_text()).interfaces
    assert interface.merged and not interface.empty and pieces(interface) == []


def test_an_interface_that_counted_nothing_yet_has_no_pieces() -> None:
    history = parsed((FIXTURES / "no_data.json").read_text())
    assert all(each.empty and not pieces(each) for each in history.interfaces) and len(history.interfaces) == 4


# Zones


def test_the_hour_that_clocks_repeat_is_one_stretch_of_two() -> None:
    five = [row(f"2026-10-25 {hour:02d}:{minute:02d}", 10) for hour in (1, 2, 3) for minute in range(0, 60, 5)]
    hours = [row(f"2026-10-25 {hour:02d}:00", 120) for hour in (1, 2, 3)]
    now = at("2026-10-25 12:00", "Europe/Berlin")
    (interface,) = parsed(
        answer({"fiveminute": five, "hour": hours}, datetime(2026, 10, 25, 11)), "Europe/Berlin", now
    ).interfaces
    found = received(pieces(interface))
    begin = at("2026-10-25 01:00", "UTC") - 3_600_000  # 02:00 of summer time
    assert (begin, begin + 2 * 3_600_000, 120) in found and len(found) == 25
    assert sum(count for _, _, count in found) == 360 and disjoint(pieces(interface))
    # Nothing is left open between the hours before and after.
    assert all(one[1] == two[0] for one, two in pairwise(found))
    alone = parsed(answer({"hour": hours}, datetime(2026, 10, 25, 11)), "Europe/Berlin", now).interfaces[0]
    assert [end - start for start, end, _ in received(pieces(alone))] == [3_600_000, 7_200_000, 3_600_000]


def test_the_hour_that_clocks_skip_does_not_exist() -> None:
    rows = {
        "fiveminute": [row("2026-03-29 01:55", 1), row("2026-03-29 02:05", 2), row("2026-03-29 03:00", 4)],
        "hour": [row("2026-03-29 01:00", 1), row("2026-03-29 02:00", 2), row("2026-03-29 03:00", 4)],
        "day": [row("2026-03-29", 7, parts=3)],
    }
    now = at("2026-03-30 12:00", "Europe/Berlin")
    (interface,) = parsed(answer(rows, datetime(2026, 3, 30, 11)), "Europe/Berlin", now).interfaces
    assert [bucket.receive for bucket in interface.tiers["hour"]] == [1, 4]
    assert interface.tiers["day"][0].end - interface.tiers["day"][0].start == 23 * 3_600_000
    found = received(pieces(interface))
    # What a bucket of no hour held is part of its day all the same.
    assert sum(count for _, _, count in found) == 7 and disjoint(pieces(interface))


@pytest.mark.parametrize(("now", "first"), [("00:30", True), ("01:30", False)])
def test_within_the_repeated_hour_the_reader_s_clock_tells_which_one_it_is(now: str, first: bool) -> None:
    rows = {"hour": [row("2026-10-25 02:00", 5)]}
    text = answer(rows, datetime(2026, 10, 25, 2, 20))
    (interface,) = parsed(text, "Europe/Berlin", at(f"2026-10-25 {now}")).interfaces
    assert interface.updated == at("2026-10-25 00:21") + (0 if first else 3_600_000)


def test_clocks_set_back_by_half_an_hour_and_days_without_midnight_tile_too() -> None:
    hours = [row(f"2026-04-05 {hour:02d}:00", 1) for hour in range(4)]
    (howe,) = parsed(
        answer({"hour": hours}, datetime(2026, 4, 5, 9)), "Australia/Lord_Howe", at("2026-04-05 12:00")
    ).interfaces
    assert [end - start for start, end, _ in received(pieces(howe))] == [
        3_600_000,
        5_400_000,
        3_600_000,
        3_600_000,
    ]
    days = [row(f"2026-04-{day:02d}", 1, parts=3) for day in (23, 24, 25)]
    (cairo,) = parsed(answer({"day": days}, datetime(2026, 4, 27)), "Africa/Cairo", at("2026-04-28")).interfaces
    assert [end - start for start, end, _ in received(pieces(cairo))] == [86_400_000, 82_800_000, 86_400_000]


# Tiling


def test_of_a_coarser_bucket_what_is_left_over_lies_before_the_finer_ones() -> None:
    rows = {
        "fiveminute": [row("2026-06-10 10:30", 5), row("2026-06-10 10:35", 7), row("2026-06-10 10:50", 1)],
        "hour": [row("2026-06-10 10:00", 113), row("2026-06-10 08:00", 1000)],
        "day": [row("2026-06-10", 1613, parts=3), row("2026-06-08", 40, parts=3)],
        "month": [row("2026-06-01", 5000, parts=2)],
        "year": [row("2026-01-01", 9000, parts=1)],
    }
    (interface,) = parsed(answer(rows, datetime(2026, 6, 10, 10, 54)), now=at("2026-06-10 11:00")).interfaces
    found = pieces(interface)
    got = received(found)
    assert (at("2026-06-10 10:00"), at("2026-06-10 10:30"), 100) in got  # not between the five minutes that are there
    assert (at("2026-06-10 00:00"), at("2026-06-10 08:00"), 500) in got
    assert (at("2026-06-10 10:50"), at("2026-06-10 10:55"), 1) in got and max(
        end for _, end, _ in got
    ) <= interface.updated
    assert (at("2026-06-01"), at("2026-06-08"), 3347) in got and (at("2026-01-01"), at("2026-06-01"), 4000) in got
    assert sum(count for _, _, count in got) == 9000 and disjoint(found)


def test_a_coarser_bucket_that_holds_less_takes_nothing_back() -> None:
    rows = {"fiveminute": [row("2026-06-10 10:30", 50)], "hour": [row("2026-06-10 10:00", 20)]}
    (interface,) = parsed(answer(rows, datetime(2026, 6, 10, 12)), now=at("2026-06-10 12:00")).interfaces
    assert received(pieces(interface)) == [(at("2026-06-10 10:30"), at("2026-06-10 10:35"), 50)]


def test_the_first_year_begins_with_the_first_day_and_a_month_where_it_is_told_to() -> None:
    created = {"date": {"year": 2026, "month": 3, "day": 10}}
    rows = {"month": [row("2026-04-01", 10, parts=2)], "year": [row("2026-01-01", 15, parts=1)]}
    (interface,) = parsed(
        answer(rows, datetime(2026, 6, 10), created=created, monthrotate=5), now=at("2026-06-10 12:00")
    ).interfaces
    assert received(pieces(interface)) == [
        (at("2026-03-10"), at("2026-04-05"), 5),
        (at("2026-04-05"), at("2026-05-05"), 10),
    ]


def test_a_database_younger_than_its_rows_is_counted_since_the_first_of_them() -> None:
    created = {"date": {"year": 2026, "month": 6, "day": 10}}
    rows = {
        "hour": [row("2026-06-10 10:00", 1)],
        "day": [row("2026-06-08", 100, parts=3), row("2026-06-10", 3, parts=3)],
        "month": [row("2026-05-01", 1000, parts=2), row("2026-06-01", 203, parts=2)],
        "year": [row("2026-01-01", 5203, parts=1)],
    }
    (interface,) = parsed(
        answer(rows, datetime(2026, 6, 10, 12), created=created), now=at("2026-06-10 12:00")
    ).interfaces
    assert interface.created == at("2026-01-01")
    found = received(pieces(interface))
    assert sum(count for _, _, count in found) == 5203 and disjoint(pieces(interface))
    # What the year has more was before its first month, and nothing of it was today.
    assert found[0] == (at("2026-01-01"), at("2026-05-01"), 4000)
    assert sum(count for start, _, count in found if start >= at("2026-06-10")) == 3


@st.composite
def traffic(draw: st.DrawFn) -> tuple[str, dict[str, list[Bucket]], int, int]:
    """What went through in five minutes of some days, and the answer of a vnStat that saw it and kept some of it."""
    zone = draw(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]))
    begin = datetime(2026, draw(st.sampled_from([1, 3, 10, 11])), 24, tzinfo=zone_of(zone)).astimezone(UTC)
    rng = random.Random(draw(st.integers(0, 1 << 30)))
    count = draw(st.integers(1, 200))
    found: dict[str, dict[tuple[int, ...], int]] = {tier: {} for tier in TIERS}
    last = begin
    for _ in range(count):
        last = begin + timedelta(minutes=5 * rng.randrange(12 * 24 * 9))
        wall = last.astimezone(zone_of(zone))
        fields = (wall.year, wall.month, wall.day, wall.hour, wall.minute)
        size = rng.choice([0, 1, rng.randrange(1 << 40)])
        for tier, parts in zip(TIERS, (5, 4, 3, 2, 1), strict=True):
            found[tier][fields[:parts]] = found[tier].get(fields[:parts], 0) + size
    keep = {tier: rng.randrange(1, 300) for tier in TIERS[:3]}
    rows = {}
    for tier, buckets in found.items():
        names = ("year", "month", "day", "hour", "minute")
        rows[tier] = [
            {
                "date": dict(zip(names[:3], fields, strict=False)),
                **({"time": {"hour": fields[3], "minute": (*fields, 0)[4]}} if len(fields) > 3 else {}),
                "rx": size,
                "tx": 0,
            }
            for fields, size in sorted(buckets.items())[-keep.get(tier, 1000) :]
        ]
    end = begin + timedelta(days=10)
    text = answer(rows, end.astimezone(zone_of(zone)).replace(tzinfo=None))
    return text, {}, sum(found["year"].values()), int(end.timestamp() * 1000) + 3_600_000


@given(traffic())
def test_whatever_was_let_go_of_no_byte_is_lost_or_told_twice(
    made: tuple[str, dict[str, list[Bucket]], int, int],
) -> None:
    text, _, total, now = made
    for zone in ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"):
        # Also where it is read in a zone that it was not written in.
        (interface,) = parsed(text, zone, now).interfaces
        found = pieces(interface)
        assert disjoint(found) and sum(piece.bytes for piece in found) == total


# What it should not say


def broken(**changes: Any) -> str:
    """The capture with something changed in its second interface."""
    made = json.loads(ALL)
    for path, value in changes.items():
        place: Any = made
        *way, last = path.split("__")
        for step in way:
            place = place[int(step) if step.isdigit() else step]
        place[int(last) if last.isdigit() else last] = value
    return json.dumps(made)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'' is not JSON"),
        (ALL[:5000], "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "the answer: [] is not an object"),
        (ALL + "x", "is not JSON"),
        ('{"jsonversion":2}', "jsonversion: 2 is not a word"),
        ("{}", "jsonversion: nothing is not a word"),
        (broken(interfaces={}), "interfaces: {} is not a list"),
        (broken(interfaces=[7]), "interfaces[0]: 7 is not an object"),
        (broken(interfaces=[{}] * 201), "201 are more than 200"),
        (broken(interfaces__1__name=""), "interfaces[1].name: '' is not a word"),
        (broken(interfaces__1__name="x" * 300), "interfaces[1].name: 'xxx"),
        (broken(interfaces__1__updated={}), "interfaces[1].updated.date: nothing is not an object"),
        (broken(interfaces__1__updated__time__minute=60), "updated.time.minute: 60 is not a whole number from 0 to 59"),
        (broken(interfaces__1__traffic__total__rx=-1), "traffic.total.rx: -1 is not a whole number from 0"),
        (broken(interfaces__1__traffic__hour__0__tx=1 << 63), "hour[0].tx: 9223372036854775808 is not"),
        (broken(interfaces__1__traffic__hour__0__tx=1.5), "hour[0].tx: 1.5 is not"),
        (broken(interfaces__1__traffic__hour__0__rx="7"), "hour[0].rx: '7' is not"),
        (broken(interfaces__1__traffic__hour__0__rx=True), "hour[0].rx: True is not"),
        (broken(interfaces__1__traffic__hour__0__time__minute=30), "is not the begin of an hour"),
        (broken(interfaces__1__traffic__fiveminute__0__time__minute=7), "is not the begin of five minutes"),
        (
            broken(interfaces__1__traffic__day__0__date__day=32),
            "day[0].date.day: 32 is not a whole number from 1 to 31",
        ),
        (broken(interfaces__1__traffic__day__0__date={"year": 2026, "month": 2, "day": 30}), "is not a date"),
        (broken(interfaces__1__traffic__year__0__date__year=99999), "year[0].date.year: 99999 is not"),
        (broken(interfaces__1__traffic__month=None), "traffic.month: nothing is not a list"),
        ((FIXTURES / "lines.ndjson").read_text(), "is not JSON"),
        ('{"jsonversion":"2","interfaces":"' + "x" * (8 << 20) + '"}', "are more than 8 MiB"),
    ],
)
def test_what_is_no_answer_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(MalformedInput) as caught:
        parsed(text)
    assert words in str(caught.value) and len(str(caught.value)) < 300


def test_another_version_of_its_json_is_refused_in_words() -> None:
    with pytest.raises(Unsupported, match=r"vnStat 3.0 answers with jsonversion '3'; this sysmon reads 1 and 2"):
        parsed('{"vnstatversion":"3.0","jsonversion":"3","interfaces":[]}')


@given(st.data())
def test_any_damage_gives_an_answer_or_the_words_for_it(data: st.DataObject) -> None:
    made: Any = json.loads(ALL if data.draw(st.booleans()) else (FIXTURES / "v1.json").read_text())
    for _ in range(data.draw(st.integers(1, 3))):
        place = made
        while True:
            options = sorted(place) if isinstance(place, dict) else list(range(len(place)))
            if not options:
                break
            step = data.draw(st.sampled_from(options))
            if isinstance(place[step], dict | list) and data.draw(st.integers(0, 5)):
                place = place[step]
                continue
            place[step] = data.draw(
                st.none()
                | st.integers()
                | st.integers(0, 3000)
                | st.floats()
                | st.text(max_size=5)
                | st.just([])
                | st.just({})
            )
            break
    text = json.dumps(made)
    cut = data.draw(st.integers(0, len(text)) | st.none())
    zone = data.draw(st.sampled_from(["UTC", "Europe/Berlin"]))
    try:
        history = parsed(text if cut is None else text[:cut], zone)
    except SysmonError as error:
        assert error.message
        return
    for interface in history.interfaces:
        assert disjoint(pieces(interface))


@pytest.mark.parametrize(
    ("name", "status", "kind", "words"),
    [
        ("never_ran.txt", 1, "no_data", "its daemon never ran"),
        ("no_folder.txt", 1, "no_data", "its daemon never ran"),
        ("v1_never_ran.txt", 0, "no_data", "its daemon never ran"),
        ("unreadable.txt", 1, "denied", "/var/lib/vnstat/vnstat.db may not be read by this user"),
        ("", 127, "unsupported", "vnStat is not installed"),
        ("", 137, "timeout", "did not answer in time"),
        ("", 124, "timeout", "did not answer in time"),
        ("", 0, "failed", "ended with status 0 and said nothing"),
        ("", 1, "failed", "ended with status 1 and said nothing"),
    ],
)
def test_each_state_has_its_words(name: str, status: int, kind: str, words: str) -> None:
    error = refused((FIXTURES / name).read_text() if name else "", status)
    assert isinstance(error, CollectorError)
    assert error.kind == kind and words in error.message and error.hint


def test_words_that_it_was_never_heard_to_say_are_harmless() -> None:
    error = refused('Unknown parameter "--json". Use --help for help.\n', 1)
    assert error is not None and error.kind == "unsupported" and "too old" in error.message
    error = refused('Error: Unable to read database "/x": Permission denied\n', 0)
    assert error is not None and error.kind == "denied"
    error = refused("\x1b[31mBoom\n" + "x" * 5000, 3)
    assert error is not None and error.kind == "failed" and "\x1b" not in str(error) and len(str(error)) < 250
    assert refused("{}", 0) is None and refused("{}", 1) is not None


# The program


def play(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Puts a `vnstat` alone on PATH."""
    folder.mkdir(exist_ok=True)
    program = folder / "vnstat"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_it_is_asked_without_a_shell_in_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("SECRET", "x")
    play(tmp_path / "bin", monkeypatch, 'echo "{$# $1 $LC_ALL ${SECRET-none}}"; exit 3')
    assert run_vnstat() == (b"{1 --json C none}\n", 3)


def test_what_it_says_of_its_configuration_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = 'Config: Invalid value "100000" for MaxBandwidth.'
    play(tmp_path / "bin", monkeypatch, f"echo '{words}'; echo '{words}'; exec /bin/cat {FIXTURES}/all.json")
    collector = VnstatCollector(Roots())
    assert collector.read().values["vnstat.interfaces"] == 4 and collector.past is not None
    play(tmp_path / "bin", monkeypatch, f"echo '{words}'; /bin/cat {FIXTURES}/never_ran.txt; exit 1")
    with pytest.raises(NoData, match="daemon never ran"):
        collector.read()


def test_what_is_not_there_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(
        "collectors.vnstat.subprocess.Popen", lambda *given, **named: pytest.fail("a process was started")
    )
    collector = VnstatCollector(Roots())
    with pytest.raises(Unsupported, match="not installed") as caught:
        collector.read()
    assert collector.fault(caught.value).kind == "unsupported" and collector.past is None


def test_one_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(
        tmp_path / "bin",
        monkeypatch,
        f"echo $$ >{tmp_path}/pid; echo '{{'; PATH=/bin:/usr/bin; sleep 1000 & sleep 1000",
    )
    began = time.monotonic()
    text, status = run_vnstat(timeout=0.3)
    assert time.monotonic() - began < 3 and status == 137 and text == b"{\n"
    error = refused(text.decode(), status)
    assert error is not None and error.kind == "timeout"
    group = int((tmp_path / "pid").read_text())
    gone = time.monotonic() + 5
    while _alive(group):
        assert time.monotonic() < gone
        time.sleep(0.01)


def _alive(group: int) -> bool:
    """Whether a process group still has one that is not a zombie."""
    for entry in Path("/proc").iterdir():
        try:
            state, _, leader, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue
        if int(leader) == group and state != "Z":
            return True
    return False


def test_one_that_closes_its_output_and_goes_on_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(tmp_path / "bin", monkeypatch, "echo '{}'; exec >&-; PATH=/bin:/usr/bin; exec sleep 1000")
    began = time.monotonic()
    assert run_vnstat() == (b"{}\n", 137)
    assert time.monotonic() - began < 3


def test_one_that_never_ends_talking_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(tmp_path / "bin", monkeypatch, "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done")
    with pytest.raises(MalformedInput, match="more than 0 MiB"):
        run_vnstat(most=10_000)


def test_its_answer_becomes_the_past_and_its_age_a_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    now = datetime.now(BERLIN).replace(tzinfo=None)
    wall = f"{now:%Y-%m-%d %H}:00"
    text = answer({"hour": [row(wall, 77, 8)], "day": [row(f"{now:%Y-%m-%d}", 77, 8, parts=3)]}, now)
    (tmp_path / "text").write_text(text)
    play(tmp_path / "bin", monkeypatch, f"exec /bin/cat {tmp_path}/text")
    collector = VnstatCollector(Roots())
    reading = collector.read()
    assert 0 <= reading.values["vnstat.age"] < 120 and reading.values["vnstat.interfaces"] == 1 and not reading.faults
    past = collector.past
    assert past is not None and past.source == "vnstat" and [piece.bytes for piece in past.pieces] == [77, 8]
    assert past.pieces[0].start == int(datetime.fromisoformat(wall).replace(tzinfo=BERLIN).timestamp() * 1000)
    assert past.pieces[0].end == past.time


def test_a_daemon_that_stopped_is_said_so_and_its_past_is_taken_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Etc/UTC")
    play(tmp_path / "bin", monkeypatch, f"exec /bin/cat {FIXTURES}/all.json")
    monkeypatch.setattr("collectors.vnstat.time.time_ns", lambda: at("2026-11-21 09:30") * 1_000_000)
    collector = VnstatCollector(Roots())
    reading = collector.read()
    assert reading.values["vnstat.age"] == 7300 and collector.past is not None
    (fault,) = reading.faults
    assert (fault.kind, fault.message) == ("no_data", "vnStat last wrote down what it counted 2 h ago")


def test_of_interfaces_that_are_not_read_there_is_no_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(tmp_path / "bin", monkeypatch, f"exec /bin/cat {FIXTURES}/all.json")
    collector = VnstatCollector(Roots(), {"include": ("lan*",)})
    collector.read()
    assert collector.past is not None
    assert {piece.key.partition(":")[2] for piece in collector.past.pieces} == {"lan1", "lan2"}


def test_a_daemon_that_counts_by_another_clock_is_read_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    play(tmp_path / "bin", monkeypatch, f"exec /bin/cat {FIXTURES}/all.json")
    collector = VnstatCollector(Roots(), {"timezone": "UTC"})
    collector.read()
    assert collector.past is not None and collector.past.time == at("2026-11-21 07:28:20")
    assert [vnstat_zone(name) for name in ("UTC", "Europe/Berlin", "+05:30", "")] == [
        "UTC",
        "Europe/Berlin",
        "+05:30",
        "",
    ]
    with pytest.raises(ValueError, match="'Mars' is not a time zone"):
        vnstat_zone("Mars")
    with pytest.raises(ValueError, match="is not text"):
        vnstat_zone(1)


def test_no_data_yet_is_no_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(tmp_path / "bin", monkeypatch, f"exec /bin/cat {FIXTURES}/no_data.json")
    collector = VnstatCollector(Roots())
    with pytest.raises(CollectorError, match="counted nothing yet"):
        collector.read()
    assert collector.past is None


def tree(folder: Path, text: str, status: str = "0", now: str = "now=1795246160\n") -> Roots:
    """A box that was asked."""
    for name, said in ((ANSWER, now + text), (STATUS, f"{status}\nwhat it said\n")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(said)
    return Roots(base=folder, live=False)


def test_of_a_box_its_own_answer_zone_and_time_are_taken(tmp_path: Path) -> None:
    roots = tree(tmp_path, ALL, now=f"now={at('2026-11-21 06:30') // 1000}\n")
    collector = VnstatCollector(roots, {"timezone": "+01:00"})
    reading = collector.read()
    totals = {key: value for key, value in reading.values.items() if key.startswith("vnstat.total:")}
    assert reading.values == {"vnstat.age": 100, "vnstat.interfaces": 4, **totals} and not reading.faults
    assert len(totals) == 4 and max(totals.values()) > 0
    assert collector.past is not None and collector.past.time == at("2026-11-21 06:28:20")


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ((FIXTURES / "never_ran.txt").read_text(), "1", "daemon never ran"),
        ("", "127", "not installed"),
        ("", "124", "did not answer in time"),
        (ALL, "", "'what it said' is not an exit status"),
        (ALL, "²", "is not an exit status"),
        (ALL, "1000", "'1000' is not an exit status"),
        (ALL[:-50], "0", "is not JSON"),
        ("{" * (4 << 20) + "{", "0", "more than 4 MiB"),
    ],
)
def test_of_a_box_each_state_is_told_too(tmp_path: Path, text: str, status: str, words: str) -> None:
    with pytest.raises(SysmonError, match=words):
        VnstatCollector(tree(tmp_path, text, status)).read()


@pytest.mark.parametrize("now", ["", "now=\n", "now=x\n", "1795246160\n", "now=" + "9" * 20 + "\n"])
def test_a_box_that_does_not_tell_its_time_is_not_guessed_about(tmp_path: Path, now: str) -> None:
    with pytest.raises(MalformedInput, match="is not the time there"):
        VnstatCollector(tree(tmp_path, ALL, now=now)).read()


def test_a_box_without_it_is_quiet(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="not installed"):
        VnstatCollector(Roots(base=tmp_path, live=False)).read()


def test_one_that_cannot_be_run_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(tmp_path / "bin", monkeypatch, "exit 0")
    program = tmp_path / "bin/vnstat"
    program.write_bytes(b"\x7fELF")
    with pytest.raises(Denied, match="cannot be run: Exec format error"):
        run_vnstat()
    program.chmod(0o600)
    with pytest.raises(Unsupported, match="not installed"):
        run_vnstat()
