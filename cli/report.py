"""`sysmon report`: one page on a day, a week or a month, as Markdown or HTML."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from cli.context import Context, pick_host
from cli.replacing import replace
from cli.reportdata import Period, compose
from sysmon.bandwidth import range_of
from sysmon.errors import SysmonError, UsageError
from sysmon.zones import span_of, zone_of

if TYPE_CHECKING:
    import argparse
    from datetime import tzinfo
    from pathlib import Path

    from cli.reportdata import Report
    from sysmon.ports import History
    from sysmon.records import HostInfo

HELP = "write one page on the traffic of a day, a week or a month"
EXAMPLE = """sysmon report --period month > report.md
sysmon report --period 2026-10 --format html --output report.html
sysmon report --period week --host home"""

PERIODS = ("day", "yesterday", "week", "month", "last-month")
FORMATS = ("markdown", "html")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "--period",
        metavar="PERIOD",
        default="month",
        help="day (today), yesterday, week (the last seven days), month, last-month, 2026-10 or 2026-10-03 (month)",
    )
    parser.add_argument("--host", metavar="NAME", help="one host of the history, or one router (default: all)")
    parser.add_argument("--format", choices=FORMATS, default="markdown", help="how to write (markdown)")
    parser.add_argument("--output", metavar="FILE", help="write to this file instead of stdout")


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    import asyncio

    from cli.present import look

    context = Context.of_environment()
    now = context.clock.now()
    period_of(options.period, now, zone_of(""))
    if not context.history_path.exists():
        # Says that there is none, and what would make one.
        context.read_history(_nothing)
    here = asyncio.run(look(context, rates=False))

    async def read(history: History) -> Report:
        infos = await history.hosts()
        if options.host:
            infos = [pick_host(infos, options.host, here.own)]
        elif not infos:
            raise UsageError("the history holds no host yet", "let `sysmon` run for some minutes first")
        # This machine first, then by name.
        infos = sorted(infos, key=lambda info: (info.id != here.own, info.label.lower(), info.id))
        return await compose(
            history, infos, lambda info: _of_host(options.period, now, info), now, here, context.config
        )

    text = rendered(context.read_history(read), options.format)
    if options.output is None or options.output == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
    else:
        write(options.output, text)
    return 0


async def _nothing(history: History) -> None:
    return


def rendered(report: Report, form: str) -> str:
    """Returns a report as text."""
    if form == "html":
        from cli.reporthtml import html

        return html(report)
    from cli.reportmarkdown import markdown

    return markdown(report)


def _of_host(period: str, now: int, info: HostInfo) -> Period:
    return period_of(period, now, zone_of(info.timezone))


def period_of(text: str, now: int, zone: tzinfo) -> Period:
    """Returns the period that is meant, of a time zone.

    Raises:
        UsageError: none is, or it has not begun.
    """
    given = text.strip().lower()
    found = re.fullmatch(r"(\d{4})-(\d{2})(?:-(\d{2}))?", given)
    if found:
        from datetime import datetime

        try:
            start = datetime(int(found[1]), int(found[2]), int(found[3] or 1), 12, tzinfo=zone)
            moment = int(start.timestamp() * 1000)
        except (ValueError, OverflowError):
            raise UsageError(
                f"--period '{text}' is no {'day' if found[3] else 'month'}", "write such as 2026-10"
            ) from None
        first, last = span_of(moment, "day" if found[3] else "month", zone)
        if first >= now:
            raise UsageError(f"--period '{text}' has not begun yet", "take this month, or one before")
        return Period(given, first, last)
    if given == "day":
        return Period("today", *span_of(now, "day", zone))
    if given == "yesterday":
        return Period("yesterday", *range_of("yesterday", now, zone))
    if given == "week":
        return Period("the last seven days", range_of("7d", now, zone)[0], span_of(now, "day", zone)[1])
    if given in ("month", "last-month"):
        first, last = span_of(now, "month", zone)
        if given == "last-month":
            first, last = span_of(first - 1, "month", zone)
        from datetime import datetime

        return Period(f"{datetime.fromtimestamp(first / 1000, zone):%Y-%m}", first, last)
    raise UsageError(
        f"--period '{text}' is none", f"allowed are {', '.join(PERIODS)}, a month 2026-10 or a day 2026-10-03"
    )


def write(name: str, text: str) -> None:
    """Writes a file whole, in one step, so that it is never half there.

    Raises:
        SysmonError: it cannot be written.
    """
    from pathlib import Path

    path = Path(name)
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        _replace(path, text)
    except OSError as error:
        raise SysmonError(
            f"--output '{name}' cannot be written: {error.strerror}", "name a file in a folder of yours"
        ) from None


def _replace(path: Path, text: str) -> None:
    if path.exists() and not path.is_file():
        # A pipe or a device is written to as it is.
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
        return
    replace(path.resolve(), text, prefix=".report-", mode=0o666 & ~_mask())


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
