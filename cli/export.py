"""`sysmon export`: recorded frames as JSON lines or CSV."""

from __future__ import annotations

import csv
import sys
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import msgspec

from cli.context import Context, pick_host, time_range
from sysmon.answers import frame_answer
from sysmon.derive import State
from sysmon.errors import UsageError, nearest
from sysmon.frame import split_key
from sysmon.units import rfc3339

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from sysmon.catalogue import Catalogue
    from sysmon.frame import Frame
    from sysmon.ports import History

HELP = "write recorded frames as JSON lines or CSV to stdout"
EXAMPLE = """sysmon export --since 1h > frames.jsonl
sysmon export --since '2026-11-20 03:00' --until '2026-11-20 04:00' --format csv --derived 'cpu.*' 'net.*'"""

SLICE = 600
"""Frames asked of the history at once."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("series", nargs="*", metavar="SERIES", help="globs over METRIC:INSTANCE (default: all)")
    parser.add_argument("--host", metavar="NAME", help="another host of the history")
    parser.add_argument("--since", metavar="TIME", help="the start (default: an hour before the end)")
    parser.add_argument("--until", metavar="TIME", help="the end (default: now)")
    parser.add_argument("--format", choices=("jsonl", "csv"), default="jsonl", help="how to write (jsonl)")
    parser.add_argument("--derived", action="store_true", help="rates and ratios instead of raw counters and gauges")


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    context = Context.of_environment()
    start, end = time_range(options.since, options.until, context.clock.now())

    async def go(history: History) -> None:
        host = pick_host(await history.hosts(), options.host)
        _check(options, await history.keys(host.id), context.catalogue)
        write = _csv_writer() if options.format == "csv" else _json_writer()
        state = State(context.catalogue)
        for span in await history.spans(host.id):
            if span.end < start - 120_000 or span.start > end:
                continue
            shift: int | None = None
            for first in range(span.first, span.last + 1, SLICE):
                last = min(first + SLICE - 1, span.last)
                for frame in await history.frames(host.id, span.run, first, last):
                    # Stamps stay as they were given; the range is one of the history's time, should its clock be off.
                    shift = span.start - frame.time if shift is None else shift
                    state.apply(frame)
                    if start <= frame.time + shift <= end:
                        write(frame, _chosen(frame, state, options), options.derived)

    context.read_history(go)
    return 0


def _chosen(frame: Frame, state: State, options: argparse.Namespace) -> dict[str, float]:
    values: dict[str, float] = state.derived() if options.derived else frame.readings
    if not options.series:
        return values
    return {key: value for key, value in values.items() if any(_matches(key, glob) for glob in options.series)}


def _matches(key: str, glob: str) -> bool:
    """Whether a series is meant by METRIC:INSTANCE, or by METRIC alone, which means all of its instances."""
    return fnmatchcase(key if ":" in glob else split_key(key)[0], glob)


def _check(options: argparse.Namespace, keys: list[str], catalogue: Catalogue) -> None:
    """Checks that each SERIES means something.

    Raises:
        UsageError: one means nothing that was recorded, or only what --derived writes (or leaves out).
    """
    for glob in options.series:
        found = [metric for key in keys if _matches(key, glob) and (metric := catalogue.of_key(key)) is not None]
        if not any(_matches(key, glob) for key in keys):
            names = {split_key(key)[0] for key in keys} if ":" not in glob else set(keys)
            raise UsageError(
                f"'{glob}' is no series of this history", nearest(glob, names) or "`sysmon doctor --metrics` lists all"
            )
        if found and not options.derived and all(metric.formula is not None for metric in found):
            raise UsageError(f"'{glob}' is derived from others and not in the raw frames", "add --derived")


def _csv_writer() -> Callable[[Frame, dict[str, float], bool], None]:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["time", "host", "metric", "instance", "value"])

    def write(frame: Frame, values: dict[str, float], derived: bool) -> None:
        time = rfc3339(frame.time)
        writer.writerows([time, frame.host, *split_key(key), value] for key, value in values.items())

    return write


def _json_writer() -> Callable[[Frame, dict[str, float], bool], None]:
    encoder = msgspec.json.Encoder()

    def write(frame: Frame, values: dict[str, float], derived: bool) -> None:
        chosen = {} if derived else values
        answer = frame_answer(msgspec.structs.replace(frame, readings=chosen), values if derived else {})
        sys.stdout.buffer.write(encoder.encode(answer) + b"\n")

    return write
