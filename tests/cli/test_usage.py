"""`sysmon usage` on a made month, and on days that are longer, missing, or still going on."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from cli.tables import cells_of
from collectors.registry import catalogue
from store.retention import Retention
from store.writer import SqliteRecorder
from sysmon.bandwidth import FIVE_MINUTES, percentile
from sysmon.clock import ManualClock
from sysmon.records import HostInfo, Past, UsagePiece
from tests.cli import months
from tests.cli.months import DAY, HOUR, NOW, OWN, said
from tests.remote.support import frame

if TYPE_CHECKING:
    from pathlib import Path

CAPS = """
[caps.line]
limit = "1 TB"
[caps.upload]
limit = "10 GB"
count = "transmit"
interface = "eth*"
day = 20
[caps.phone]
limit = "1 GB"
device = "anna-phone"
"""


@pytest.fixture
def month(made_month: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process's own copy of it."""
    return months.settle(months.copied(made_month, tmp_path), monkeypatch, CAPS)


def record(path: Path, pieces: list[UsagePiece], timezone: str = "UTC") -> None:
    """Makes a history of one machine."""

    async def go() -> None:
        recorder = SqliteRecorder.open(path, catalogue(), retention=Retention(free=0.0), clock=ManualClock(NOW))
        await recorder.record_host(HostInfo(id=OWN, hostname="laptop", timezone=timezone))
        await recorder.record_past(Past(host=OWN, source="vnstat", time=NOW, pieces=pieces))
        await recorder.close()

    asyncio.run(go())


def hours(first: int, last: int, size: int = 10**9) -> list[UsagePiece]:
    """Returns pieces of an hour each between two moments."""
    return [
        UsagePiece(f"net.{way}:eth0", at, at + HOUR, size)
        for at in range(first, last, HOUR)
        for way in ("receive", "transmit")
    ]


def test_the_usual_periods_are_exact(month: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = json.loads(said(capsys, "usage", "--json"))
    eth0 = next(each for each in answer["series"] if each["name"] == "eth0")
    assert eth0["today"]["receive"] == 11 * 10**9
    assert eth0["yesterday"] == {
        "start": "2026-11-20T00:00:00Z", "end": "2026-11-21T00:00:00Z",
        "receive": 24 * 10**9, "transmit": 24 * 10**8, "total": 264 * 10**8,
        "at_least": False, "estimated": False, "rate": pytest.approx(264 * 10**8 / 86400),
    }  # fmt: skip
    assert eth0["month"]["receive"] == (20 * 24 + 11) * 10**9
    assert eth0["last_month"]["receive"] == (10 * 24 + 13) * 10**9
    assert eth0["expected_month"]["receive"] == pytest.approx(30 * 24 * 10**9, rel=1e-6)
    assert {each["name"]: each["counted"] for each in answer["series"]} == {"br0": False, "eth0": True, "lo": False}
    table = said(capsys, "usage")
    assert table.startswith("laptop, days of UTC\n")
    assert "cap line: 503 GiB of 931 GiB (54.0 %)" in table
    # Of the 20th and 21st: 35 hours of 100 MB.
    upload = next(each for each in answer["caps"] if each["name"] == "upload")
    assert (upload["used"], upload["start"]) == (35 * 10**8, "2026-11-20T00:00:00Z")


@pytest.mark.parametrize(("by", "count"), [("hour", 23), ("day", 30), ("month", 2), ("year", 1)])
def test_every_step_adds_up(month: Path, capsys: pytest.CaptureFixture[str], by: str, count: int) -> None:
    (series,) = json.loads(said(capsys, "usage", "--by", by, "--json"))["series"]
    assert series["name"] == "eth0" and len(series["steps"]) == count
    for step in series["steps"]:
        assert step["total"] == step["receive"] + step["transmit"]
        assert step["receive"] == 10 * step["transmit"]
    (everything,) = json.loads(said(capsys, "usage", "--by", by, "--since", "all", "--json"))["series"]
    assert sum(step["receive"] for step in everything["steps"]) == months.DAYS * 24 * 10**9
    rows = list(csv.DictReader(io.StringIO(said(capsys, "usage", "--by", by, "--format", "csv"))))
    assert [int(row["receive"]) for row in rows] == [step["receive"] for step in series["steps"]]


def test_a_running_day_says_what_it_will_come_to(month: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = said(capsys, "usage", "eth0", "--by", "day", "--since", "7d").splitlines()
    assert printed[0] == "eth0 on laptop"
    assert printed[-2].startswith("2026-11-21 Sat") and "11.3 GiB" in printed[-2]
    assert printed[-1].startswith("expected") and "24.6 GiB" in printed[-1]
    assert (
        said(capsys, "usage", "eth0", "--by", "day", "--since", "yesterday").splitlines()[-1].startswith("2026-11-20")
    )
    assert "MiB/s" in said(capsys, "usage", "--by", "hour", "--rate", "bytes") or "KiB/s" in said(
        capsys, "usage", "--by", "hour", "--rate", "bytes"
    )


def test_a_device_has_its_usage(month: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (series,) = json.loads(said(capsys, "usage", "--device", "anna-phone", "--by", "day", "--since", "7d", "--json"))[
        "series"
    ]
    assert [step["receive"] for step in series["steps"]] == [24_000_000] * 6 + [11_000_000]
    assert "anna-phone behind home" in said(
        capsys, "usage", "--device", "anna-phone", "--router", "home", "--by", "hour"
    )
    assert "'tv' is the name of 2 devices" in said(capsys, "usage", "--device", "tv", status=2)


def test_caps_are_told_beside_what_they_count(month: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*arguments: str) -> set[str]:
        printed = said(capsys, "usage", *arguments).splitlines()
        return {line.split()[1].rstrip(":") for line in printed if line.startswith("cap ")}

    assert told() == told("eth0") == told("--stats") == {"line", "upload"}
    assert told("br0") == told("lo") == set()
    assert told("--router", "home") == told("--device", "anna-phone") == {"phone"}
    assert told("--device", "device-7") == set()


def test_all_devices_behind_a_router_have_their_usage(month: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = sum(range(1, months.DEVICES + 1))
    (series,) = json.loads(said(capsys, "usage", "--router", "home", "--json"))["series"]
    assert series["counted"] and series["today"]["receive"] == 11 * whole * 1_000_000
    assert series["yesterday"]["transmit"] == 24 * whole * 1_000
    (days,) = json.loads(said(capsys, "usage", "--router", "home", "--by", "day", "--since", "7d", "--json"))["series"]
    assert [step["receive"] for step in days["steps"]] == [24 * whole * 10**6] * 6 + [11 * whole * 10**6]
    table = said(capsys, "usage", "--router", "home", "--by", "month")
    assert table.startswith("all devices behind home\n") and "2026-10" in table
    assert said(capsys, "usage", "--router", "home").startswith("home, days of UTC; total is that of all devices\n")
    assert said(capsys, "usage", "--router", "home", "--top").startswith("all devices behind home\nbusiest days")


@pytest.fixture
def forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A history of what vnStat told alone: of old times years and what is left of them, then months, days, hours."""

    def at(text: str) -> int:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)

    stretches = [
        (at("2025-01-01"), at("2026-01-01"), 12 * 10**9),
        (at("2026-01-01"), at("2026-09-01"), 10**9),
        (at("2026-09-01"), at("2026-10-01"), 4 * 10**9),
        (at("2026-10-01"), at("2026-10-12"), 3 * 10**9),
        *((at("2026-10-12") + day * DAY, at("2026-10-13") + day * DAY, 10**8 + day) for day in range(36)),
    ]
    hours = range(at("2026-11-17"), NOW, HOUR)
    stretches += [(start, start + HOUR, 10**7) for start in hours if start != at("2026-11-21T05:00")]
    path = months.settle(tmp_path, monkeypatch)
    record(path, [UsagePiece(f"net.{way}:eth0", *each) for each in stretches for way in ("receive", "transmit")])


def test_what_somebody_else_counted_is_no_gap(forgotten: None, capsys: pytest.CaptureFixture[str]) -> None:
    for by in ("day", "month", "year"):
        told = json.loads(said(capsys, "usage", "eth0", "--by", by, "--json"))
        assert told["gaps"] == []
        assert "no data" not in said(capsys, "usage", "eth0", "--by", by)
    told = json.loads(said(capsys, "usage", "eth0", "--by", "hour", "--json"))
    assert told["gaps"] == [{"start": "2026-11-21T05:00:00Z", "end": "2026-11-21T06:00:00Z"}]
    assert "no data: 2026-11-21 05:00 for 1h" in said(capsys, "usage", "eth0", "--by", "hour")


def test_where_recording_began_a_year_is_no_gap(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = months.settle(tmp_path, monkeypatch)
    year, begun = 1_767_225_600_000, NOW - 23 * 60_000
    stretches = [(year, NOW // DAY * DAY - 4 * DAY, 10**9)]
    stretches += [(start, start + HOUR, 10**7) for start in range(NOW // DAY * DAY - 4 * DAY, NOW - HOUR, HOUR)]
    # What both counted: of the hour in which recording began something is put right.
    stretches.append((NOW - HOUR, begun + 180_000, 10**6))
    pieces = [UsagePiece("net.receive:eth0", *each) for each in stretches]

    async def go() -> None:
        clock = ManualClock(NOW)
        recorder = SqliteRecorder.open(path, catalogue(), retention=Retention(free=0.0), clock=clock)
        await recorder.record_host(HostInfo(id=OWN, hostname="laptop", timezone="UTC"))
        for seq in range(1, 23 * 60):
            made = frame(seq, host=OWN, start=begun)
            await recorder.record(made, received=made.time)
        await recorder.flush()
        await recorder.record_past(Past(host=OWN, source="vnstat", time=NOW - 120_000, pieces=pieces))
        await recorder.close()

    asyncio.run(go())
    for by in ("year", "month", "day", "hour"):
        gaps = json.loads(said(capsys, "usage", "eth0", "--by", by, "--json"))["gaps"]
        assert [gap["start"] for gap in gaps] == ["2026-11-21T10:00:00Z"], by
        assert gaps[0]["end"].startswith("2026-11-21T10:37:0")


def test_what_is_known_of_a_longer_time_alone_is_told_as_that(
    forgotten: None, capsys: pytest.CaptureFixture[str]
) -> None:
    by_month = said(capsys, "usage", "eth0", "--by", "month", "--since", "all").splitlines()
    assert [line.split("  ")[0] for line in by_month if line.startswith("20")] == [
        "2025-01 to 2025-12",
        "2026-01 to 2026-08",
        "2026-09",
        "2026-10",
        "2026-11",
    ]
    assert not any(" to " in line for line in said(capsys, "usage", "eth0", "--by", "year").splitlines())
    # Nobody knows what was on a day of them.
    top = said(capsys, "usage", "eth0", "--top").splitlines()[2:]
    assert len(top) == 10 and not any(" to " in line for line in top) and top[0].startswith("2026-11-17 Tue")
    days = said(capsys, "usage", "eth0", "--by", "day", "--since", "2026-10-01", "--until", "2026-10-14")
    assert "2026-10-01 Thu to 2026-10-11 Sun" in days


def test_the_busiest_days_come_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = months.settle(tmp_path, monkeypatch)
    today = NOW // DAY * DAY
    record(
        path,
        [piece for day in range(1, 15) for piece in hours(today - day * DAY, today - day * DAY + HOUR, day * 1000)],
    )
    (series,) = json.loads(said(capsys, "usage", "--top", "--json"))["series"]
    assert [step["receive"] for step in series["steps"]] == [day * 1000 for day in range(14, 4, -1)]
    assert said(capsys, "usage", "--top").splitlines()[1].startswith("busiest days")


def test_days_without_data_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = months.settle(tmp_path, monkeypatch)
    today = NOW // DAY * DAY
    record(path, hours(today - 6 * DAY, today - 4 * DAY) + hours(today - 2 * DAY, NOW))
    answer = json.loads(said(capsys, "usage", "--by", "day", "--since", "7d", "--json"))
    told = [step["receive"] for step in answer["series"][0]["steps"]]
    assert told == [24 * 10**9] * 2 + [None] * 2 + [24 * 10**9] * 2 + [11 * 10**9]
    assert answer["gaps"]
    table = said(capsys, "usage", "--by", "day", "--since", "7d")
    assert table.count("no data") >= 3
    assert "no data: " in table.splitlines()[-1] or "no data: " in table


def test_a_day_of_25_hours_is_one_day(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = months.settle(tmp_path, monkeypatch)
    first = 1_792_879_200_000  # 2026-10-25 00:00 in Berlin, when clocks go back
    record(path, hours(first - DAY, first + 3 * DAY), "Europe/Berlin")
    (series,) = json.loads(
        said(capsys, "usage", "--by", "day", "--since", "2026-10-25", "--until", "2026-10-26", "--json")
    )["series"]
    days = {step["start"]: step["receive"] for step in series["steps"]}
    assert days["2026-10-24T22:00:00Z"] == 25 * 10**9
    assert "2026-10-25 Sun" in said(capsys, "usage", "--by", "day", "--since", "2026-10-25", "--until", "2026-10-26")


def test_the_95th_percentile_is_that_of_five_minutes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = months.settle(tmp_path, monkeypatch)
    sizes = [(number * 7919) % 1000 * 300_000 + 300 for number in range(12 * 24)]
    begin = NOW - len(sizes) * FIVE_MINUTES
    pieces = [
        UsagePiece(f"net.{way}:eth0", begin + number * FIVE_MINUTES, begin + (number + 1) * FIVE_MINUTES, size)
        for number, size in enumerate(sizes)
        for way in ("receive", "transmit")
    ]
    record(path, pieces)
    (series,) = json.loads(said(capsys, "usage", "--stats", "--since", "24h", "--json"))["series"]
    figures = series["figures"]
    high = percentile(sizes, len(sizes))
    assert high is not None
    assert figures["receive"]["p95"] == pytest.approx(high / 300)
    assert figures["receive"]["max"] == pytest.approx(max(sizes) / 300)
    assert figures["receive"]["mean"] == pytest.approx(sum(sizes) / len(sizes) / 300)
    assert figures["seen"] == pytest.approx(1.0)
    printed = said(capsys, "usage", "--stats", "--since", "24h")
    assert "2026-11-20 11:00 to 2026-11-21 11:00, means of five minutes" in printed
    assert "95th percentile" in printed and "100.0 % of it is known" in printed
    assert said(capsys, "usage", "--by", "5min").count("\n") >= 24


def test_a_plot_is_as_wide_as_the_terminal(
    month: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    monkeypatch.setenv("LINES", "20")
    printed = said(capsys, "usage", "--by", "day", "--format", "plot")
    assert max(map(cells_of, printed.splitlines())) <= 70
    assert "\x1b" not in printed and "receive:eth0" in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["eth1"], "'eth1' is no interface of laptop that was ever counted; did you mean 'eth0'?"),
        (["eth0", "--device", "tv"], "exclude each other"),
        (["eth0", "--router", "home"], "an interface and --router exclude each other; --host NAME is the router"),
        (["--host", "laptop", "--router", "home"], "--router and --host exclude each other"),
        (["--router", "laptop"], "no devices were ever seen behind 'laptop'; routers are home"),
        (["--top", "--by", "day"], "--top goes with no --by"),
        (["--stats", "--by", "day"], "--stats and --by exclude each other"),
        (["--format", "plot", "--top"], "--format plot goes with --by"),
        (["--format", "csv"], "--format csv goes with --by or --top"),
        (["--by", "week"], "known are 5min, hour, day, month, year"),
        (["--by", "day", "--since", "tomorow"], "'tomorow' is neither a moment nor a range"),
        (["--host", "laptob"], "did you mean 'laptop'?"),
        (["--device", "nobody"], "'nobody' is no interface and no device known here"),
    ],
)
def test_what_is_wrong_is_said(
    month: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert words in said(capsys, "usage", *arguments, status=2)
