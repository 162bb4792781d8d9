"""`sysmon report`: what it tells is there, and names of devices stay text in Markdown and HTML."""

from __future__ import annotations

import asyncio
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.report import period_of
from cli.reportmarkdown import escaped
from cli.tables import plain
from collectors.registry import catalogue
from store.retention import Retention
from store.writer import SqliteRecorder
from sysmon.clock import ManualClock
from sysmon.errors import UsageError
from sysmon.records import HostInfo
from sysmon.zones import zone_of
from tests.cli import months
from tests.cli.months import NOW, said
from tests.remote.support import frame

if TYPE_CHECKING:
    from pathlib import Path

CAPS = '[caps.line]\nlimit = "1 TB"\n'
VOID = {"meta", "br"}


@pytest.fixture
def month(made_month: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process's own copy of it."""
    return months.settle(months.copied(made_month, tmp_path), monkeypatch, CAPS)


class Page(HTMLParser):
    """Reads a page, and fails on what is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: dict[str, int] = {}
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_markdown_tells_the_month(month: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = said(capsys, "report")
    assert page == said(capsys, "report")
    assert page.startswith("# Traffic: 2026-11\n\n## laptop\n\n2026-11-01 00:00 to 2026-11-21 11:00, not over yet\n")
    assert "| eth0 | 457 GiB | 45.7 GiB | 503 GiB | 100.0 % |" in page
    assert "| br0 \\* | 457 GiB | 45.7 GiB | 503 GiB | – |" in page
    assert "| total | 457 GiB | 45.7 GiB | 503 GiB |  |" in page
    assert "- Busiest day: 2026-11-01 Sun, 24.6 GiB." in page
    assert "- Cap line: 503 GiB of 931 GiB \\(54.0 %\\); 738 GiB expected by 2026-12-01." in page
    assert "| 2026-11-20 Fri | 22.4 GiB | 2.2 GiB | 24.6 GiB | ██" in page
    assert "## Devices behind home" in page
    assert "| device-40 | 192.168.1.50 |  | 18.3 GiB | 18.7 MiB | 18.3 GiB | 4.9 % |" in page
    assert "| 20 others |" in page
    assert "- 2026-11-21 10:00: device-40 \\(52:54:00:00:00:28, Raspberry Pi Trading Ltd\\)" in page
    assert "device-39 \\(52:54" not in page
    assert "- 2026-11-21 09:00  critical  laptop  disk-full: fs.utilization is 95 % \\<script\\>" in page
    # No table has a row with more or fewer cells than its head.
    for block in page.split("\n\n"):
        if block.startswith("|"):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_of_whom_nothing_was_counted_is_said_and_is_not_nothing(
    month: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for form in ("markdown", "html"):
        page = said(capsys, "report", "--period", "2025-10", "--format", form)
        assert "Nothing was counted in this time: laptop, the devices behind home." in page
        assert "0 B" not in page and "Devices behind" not in page
    page = said(capsys, "report")
    assert "Nothing was counted" not in page
    assert "\\* not in the total: its bytes go through another interface too, or loopback" in page


def test_what_is_not_known_ends_where_recording_began(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = months.settle(tmp_path, monkeypatch)
    start = months.NOW - 2 * months.HOUR + 540_000  # nine minutes after nine

    async def record() -> None:
        clock = ManualClock(months.NOW)
        recorder = SqliteRecorder.open(path, catalogue(), retention=Retention(free=0.0), clock=clock)
        await recorder.record_host(HostInfo(id=months.OWN, hostname="laptop", timezone="UTC"))
        for seq in range(1, 112):
            # A frame a minute.
            made = frame(seq, host=months.OWN, start=start + (seq - 1) * 59_000 - 1000)
            await recorder.record(made, received=made.time)
        await recorder.close()

    asyncio.run(record())
    assert "- Nothing is known of the time before 2026-11-21 09:09.\n" in said(capsys, "report")


def test_html_is_a_page_by_itself(month: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    assert said(capsys, "report", "--period", "week", "--format", "html", "--output", str(target)) == ""
    text = target.read_text()
    page = Page()
    page.feed(text)
    page.close()
    assert not page.open
    assert not set(page.tags) & {"script", "link", "img", "iframe", "object", "base", "form", "a"}
    assert not any(name.startswith("on") or name in ("href", "src", "style") for name, _ in page.attributes)
    assert "url(" not in text and "@import" not in text
    assert page.tags["svg"] == 2
    # Seven days of two charts, received and sent.
    assert page.tags["rect"] == 2 * 7 * 2
    assert "Traffic: the last seven days" in page.text
    assert any("fs.utilization is 95 % <script>" in each for each in page.text)
    assert ("lang", "en") in page.attributes
    # Written anew over itself, nothing lies beside it.
    said(capsys, "report", "--period", "week", "--format", "html", "--output", str(target))
    assert target.read_text() == text
    assert [each.name for each in tmp_path.glob(".report-*")] == []


def test_names_are_text_in_every_form(month: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "devices", "name", months.mac(40), "a|b`c`<b onload=x> [l](http://x) *s*")
    page = said(capsys, "report", "--host", "home")
    assert r"| a\|b\`c\`\<b onload\=x\> \[l\]\(http\://x\) \*s\* |" in page
    html = Page()
    html.feed(said(capsys, "report", "--host", "home", "--format", "html"))
    assert "b" not in html.tags
    assert any("a|b`c`<b onload=x> [l](http://x) *s*" in each for each in html.text)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain-name_1", r"plain-name\_1"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("45.7 GiB", "45.7 GiB"),
        ("---", r"\---"),
        ("# head", r"\# head"),
        ("www.example.org", r"www\.example.org"),
        ("mailto:a@b", r"mailto\:a\@b"),
        ("two\nlines\x1b[31m", "two\ufffdlines\ufffd\\[31m"),
    ],
)
def test_markdown_shows_what_is_there(given: str, shown: str) -> None:
    assert escaped(given) == shown


@given(st.text(max_size=60))
def test_no_text_is_markup(text: str) -> None:
    made = escaped(text)
    assert "\n" not in made
    # Every character that means something has its backslash, and nothing else was lost or added.
    assert re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]<>#|~]", made) is None
    assert re.sub(r"\\([^\w\s]|_)", r"\1", made) == plain(text)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("day", "2026-11-21", "2026-11-22"),
        ("yesterday", "2026-11-20", "2026-11-21"),
        ("week", "2026-11-15", "2026-11-22"),
        ("month", "2026-11-01", "2026-12-01"),
        ("last-month", "2026-10-01", "2026-11-01"),
        ("2026-02", "2026-02-01", "2026-03-01"),
        ("2026-02-28", "2026-02-28", "2026-03-01"),
    ],
)
def test_periods_are_those_of_the_zone(text: str, start: str, end: str) -> None:
    from datetime import datetime

    zone = zone_of("America/New_York")
    period = period_of(text, NOW, zone)
    assert datetime.fromtimestamp(period.start / 1000, zone).isoformat().startswith(f"{start}T00:00:00")
    assert datetime.fromtimestamp(period.end / 1000, zone).isoformat().startswith(f"{end}T00:00:00")


@pytest.mark.parametrize("text", ["2026-13", "2026-02-30", "fortnight", "2027-01", ""])
def test_other_periods_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        period_of(text, NOW, zone_of("UTC"))


def test_what_is_wrong_is_said(month: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "--period '2026-13' is no month" in said(capsys, "report", "--period", "2026-13", status=2)
    assert "--period 'fortnight' is none; allowed are day" in said(capsys, "report", "--period", "fortnight", status=2)
    assert "did you mean 'home'?" in said(capsys, "report", "--host", "hone", status=2)
    words = said(capsys, "report", "--output", str(tmp_path / "no" / "r.md"), status=1)
    assert "cannot be written: No such file or directory" in words
    assert "Nothing was counted in this time: laptop." in said(
        capsys, "report", "--host", "laptop", "--period", "2026-01"
    )
