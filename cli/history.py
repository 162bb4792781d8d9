"""`sysmon history METRIC`: one metric over a range, with min, mean, max and p95."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING

from cli.context import Context, pick_host, time_range
from cli.output import write_json
from sysmon.answers import history_answer
from sysmon.errors import UsageError, nearest
from sysmon.frame import join_key, split_key
from sysmon.records import SeriesQuery
from sysmon.units import format_duration, format_time, format_value, rfc3339

if TYPE_CHECKING:
    import argparse

    from sysmon.ports import History
    from sysmon.records import HostInfo, SeriesAnswer

HELP = "print the past of a metric: min, mean, max, p95"
EXAMPLE = """sysmon history cpu.utilization --since 24h
sysmon history fs.utilization:/home --since 30d --stats
sysmon history 'net.receive_rate:eth*' --since 03:00 --until 04:00 --format csv"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("metric", metavar="METRIC", help="METRIC or METRIC:INSTANCE; the instance may be a glob")
    parser.add_argument("--host", metavar="NAME", help="another host of the history")
    parser.add_argument(
        "--since", metavar="TIME", help="03:12, 3h, '2026-11-20 03:12' (default: an hour before the end)"
    )
    parser.add_argument("--until", metavar="TIME", help="the end (default: now)")
    parser.add_argument("--points", type=int, default=60, metavar="N", help="at most so many steps (60)")
    parser.add_argument("--stats", action="store_true", help="only statistics over the whole range")
    parser.add_argument(
        "--format", choices=("table", "json", "csv", "plot"), default="table", help="how to print (table)"
    )
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    context = Context.of_environment()
    if not 1 <= options.points <= 10_000:
        raise UsageError(f"--points '{options.points}' is out of range", "allowed is 1 to 10000")
    start, end = time_range(options.since, options.until, context.clock.now())

    async def ask(history: History) -> tuple[HostInfo, SeriesAnswer]:
        host = pick_host(await history.hosts(), options.host)
        known = await history.keys(host.id)
        metric, instance = split_key(options.metric)
        metrics = sorted({split_key(key)[0] for key in known})
        if metric not in metrics:
            if metric in context.catalogue:
                raise UsageError(
                    f"'{metric}' was never recorded on {host.label}", "`sysmon doctor` says what is missing"
                )
            hint = nearest(metric, metrics) or "`sysmon doctor --metrics` lists all"
            raise UsageError(f"'{metric}' is not a metric", hint)
        query = SeriesQuery(
            host=host.id,
            metric=metric,
            instance=instance or "*",
            start=start,
            end=end,
            points=1 if options.stats else options.points,
        )
        answer = await history.series(query)
        if not answer.series and instance:
            have = [split_key(key)[1] for key in known if split_key(key)[0] == metric]
            if have and not any(instance in each for each in have) and "*" not in instance:
                hint = nearest(instance, have) or f"known are {', '.join(have)}"
                raise UsageError(f"{metric} has no instance '{instance}'", hint)
        return host, answer

    host, answer = context.read_history(ask)
    if options.format == "json":
        write_json(history_answer(answer))
    elif options.format == "csv":
        _csv(answer)
    elif options.format == "plot":
        _plot(answer)
    elif not answer.series:
        print(f"no data of {options.metric} on {host.label} from {format_time(start)} to {format_time(end)}")
    elif options.stats:
        _stats(answer)
    else:
        _table(answer)
    return 0


def _csv(answer: SeriesAnswer) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["host", "metric", "instance", "time", "count", "min", "mean", "max", "last", "p95"])
    for series in answer.series:
        for point in series.points:
            p95 = "" if point.p95 is None else point.p95
            row = [rfc3339(point.time), point.count, point.min, point.mean, point.max, point.last, p95]
            writer.writerow([series.host, series.metric, series.instance, *row])


def _stats(answer: SeriesAnswer) -> None:
    rows: list[tuple[str, ...]] = [("series", "min", "mean", "max", "p95", "last", "reads")]
    for series in answer.series:
        stats = series.stats
        if stats is not None:
            numbers = (stats.min, stats.mean, stats.max, stats.p95, stats.last)
            shown = [format_value(number, series.unit) for number in numbers]
            rows.append((join_key(series.metric, series.instance), *shown, str(stats.count)))
    _print(rows)


def _table(answer: SeriesAnswer) -> None:
    for number, series in enumerate(answer.series):
        title = f"{join_key(series.metric, series.instance)}, every {format_duration(series.step / 1000)}"
        print("\n" * bool(number) + title)
        rows: list[tuple[str, ...]] = [("time", "min", "mean", "max", "p95")]
        gaps = sorted(answer.gaps, key=lambda gap: gap.start)
        for point in series.points:
            while gaps and gaps[0].end <= point.time:
                gap = gaps.pop(0)
                lasted = format_duration((gap.end - gap.start) / 1000)
                rows.append((format_time(gap.start), f"no data for {lasted}", "", "", ""))
            numbers = [format_value(value, series.unit) for value in (point.min, point.mean, point.max, point.p95)]
            rows.append((format_time(point.time), *numbers))
        _print(rows)
        if series.stats is not None:
            stats = series.stats
            named = (("min", stats.min), ("mean", stats.mean), ("max", stats.max), ("p95", stats.p95))
            print("  ".join(f"{name} {format_value(value, series.unit)}" for name, value in named))


def _print(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=False)]
        print("  ".join([f"{row[0]:<{widths[0]}}", *cells]).rstrip())


def _plot(answer: SeriesAnswer) -> None:
    from cli.plot import plot

    print(plot(answer))
