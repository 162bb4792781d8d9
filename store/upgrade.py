"""Files of older versions: what takes more than SQL to bring up to date."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from store.schema import BUCKET
from store.usagecodec import encode_added
from store.usagepages import KEPT_FINE, PAGES, Pages, counter_numbers, marks_of

if TYPE_CHECKING:
    import sqlite3

    from store.usagecodec import Bucket


def usage_into_pages(connection: sqlite3.Connection) -> None:
    """Packs usage that was kept as one row per counter, bucket and block; within the caller's transaction."""
    newest = connection.execute("SELECT max(start) FROM usage").fetchone()[0]
    if newest is None:
        return
    since = (newest - KEPT_FINE) // PAGES[BUCKET] * PAGES[BUCKET]
    connection.execute("INSERT OR REPLACE INTO note(key, value) VALUES (?, ?)", (f"usage.{BUCKET}", since))
    for (host,) in connection.execute("SELECT DISTINCT host FROM usage").fetchall():
        keys = [key for (key,) in connection.execute("SELECT DISTINCT key FROM usage WHERE host = ?", (host,))]
        numbers = counter_numbers(connection, host, keys)
        pages = Pages(connection, host)
        aged = connection.execute(
            "SELECT key, start, length, bytes, flags FROM usage WHERE host = ? AND run = 0 ORDER BY key", (host,)
        )
        for key, rows in groupby(aged, itemgetter(0)):
            pages.take(
                numbers[key], {(start, length): (size, marks_of(flags)) for _, start, length, size, flags in rows}
            )
        pages.write()
        waiting = connection.execute(
            "SELECT run, block, key, start, length, bytes, flags FROM usage WHERE host = ? AND run <> 0"
            " ORDER BY run, block",
            (host,),
        )
        for (run, block), rows in groupby(waiting, itemgetter(0, 1)):
            entries: dict[Bucket, dict[int, tuple[int, int]]] = {}
            for _, _, key, start, length, size, flags in rows:
                entries.setdefault((start, length), {})[numbers[key]] = (size, flags)
            connection.execute(
                "INSERT INTO usage_block(host, run, block, folded, low, high, data) VALUES (?, ?, ?, 0, ?, ?, ?)",
                (
                    host,
                    run,
                    block,
                    min(start for start, _ in entries),
                    max(start + length for start, length in entries),
                    encode_added(entries),
                ),
            )
