"""What others counted of a host before it was watched here: kept as far as this history lacks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from store.access import Access
    from sysmon.records import Past


def keep_past(connection: sqlite3.Connection, access: Access, host: int, past: Past, now: int) -> None:
    """Keeps the pieces that end before this history's own usage of the host begins."""
    begun = dict(connection.execute("SELECT key, min(start) FROM usage WHERE host = ? GROUP BY key", (host,)))
    for piece in past.pieces:
        if 0 < piece.bytes < 1 << 62 and 0 <= piece.start < piece.end <= begun.get(piece.key, now):
            connection.execute(
                "INSERT OR IGNORE INTO past(host, key, start, length, bytes, flags, source)"
                " VALUES (?, ?, ?, ?, ?, 0, ?)",
                (host, piece.key, piece.start, piece.end - piece.start, piece.bytes, past.source),
            )
