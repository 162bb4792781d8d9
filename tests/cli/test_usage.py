"""`sysmon usage` on a made month, and on days that are longer, missing, or still going on."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import shutil
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
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the history of a month."""
    folder = tmp_path_factory.mktemp("made")
    months.make(folder / "history.db")
    return folder


@pytest.fixture
def month(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process's own copy of it."""
    for each in made.glob("history.db*"):
        shutil.copy(each, tmp_path)
    return months.settle(tmp_path, monkeypatch, CAPS)


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
        (["--router", "home"], "--router goes with --device"),
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
