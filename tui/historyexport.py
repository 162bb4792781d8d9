"""Writes what the History screen shows to a file: CSV, or JSON as `sysmon history --format json` prints it."""

from __future__ import annotations

import csv
import io
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from sysmon.answers import history_answer
from sysmon.errors import SysmonError
from sysmon.records import SeriesAnswer
from sysmon.units import format_time, rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from sysmon.records import Series, Span

FORMATS: Final = (".csv", ".json")


class Exists(SysmonError):
    """There is such a file already."""


def default_path(host: str, titles: Sequence[str], end: int, zone: tzinfo | None = None) -> str:
    """The file offered: `~/sysmon-HOST-WHAT-TIME.csv`, with nothing in it that a shell would mind."""
    what = titles[0] if len(titles) == 1 else "history"
    parts = ["sysmon", host, what, format_time(end, zone).replace(" ", "T").replace(":", "")]
    return "~/" + "-".join(_plain(part) for part in parts if part) + ".csv"


def _plain(text: str) -> str:
    return re.sub(r"[^\w.]+", "-", text, flags=re.ASCII).strip("-.") or "host"


def target(text: str) -> Path:
    """The file that somebody means.

    Raises:
        SysmonError: it is a folder, its folder does not exist, or its ending says no known format.
    """
    path = Path(text.strip()).expanduser()
    if path.suffix.lower() not in FORMATS:
        raise SysmonError(f"'{path.name}' ends neither in .csv nor in .json", "the ending chooses the format")
    if path.is_dir():
        raise SysmonError(f"'{path}' is a folder", "name a file in it")
    if not path.parent.is_dir():
        raise SysmonError(f"'{path.parent}' is no folder", "make it first, or name another")
    return path


def write(path: Path, series: Sequence[Series], gaps: Sequence[Span], *, replace: bool = False) -> int:
    """Writes series to a file, whole or not at all.

    Args:
        path: its ending chooses the format.
        series, gaps: what to write.
        replace: whether a file that is there may be replaced.

    Returns:
        How many points were written.

    Raises:
        Exists: there is such a file, and it may not be replaced.
        SysmonError: it cannot be written.
    """
    text = _json(series, gaps) if path.suffix.lower() == ".json" else _csv(series)
    scratch: str | None = None
    try:
        handle, scratch = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.write(text)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(scratch, 0o666 & ~mask)
        if replace:
            os.replace(scratch, path)
            scratch = None
        else:
            # A link fails where the name is taken, even if that happened just now.
            os.link(scratch, path)
    except FileExistsError:
        raise Exists(f"'{path}' exists", "Enter once more replaces it") from None
    except OSError as error:
        raise SysmonError(f"'{path}' cannot be written: {error.strerror or error}") from None
    finally:
        if scratch is not None:
            Path(scratch).unlink(missing_ok=True)
    return sum(len(each.points) for each in series)


def _csv(series: Sequence[Series]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["host", "metric", "instance", "time", "count", "min", "mean", "max", "last", "p95"])
    for each in series:
        for at in each.points:
            p95 = "" if at.p95 is None else at.p95
            row = [rfc3339(at.time), at.count, at.min, at.mean, at.max, at.last, p95]
            writer.writerow([each.host, each.metric, each.instance, *row])
    return out.getvalue()


def _json(series: Sequence[Series], gaps: Sequence[Span]) -> str:
    answer = history_answer(SeriesAnswer(series=list(series), gaps=list(gaps)))
    return msgspec.json.format(msgspec.json.encode(answer), indent=1).decode() + "\n"
