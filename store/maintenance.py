"""What the writer does between commits, in small steps: sealing, rolling up, trimming."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store.engine import Engine
    from store.retention import Retention


class Maintenance:
    """Decides what is due and does it."""

    def __init__(self, engine: Engine, retention: Retention, path: Path) -> None:
        self._engine = engine
        self._retention = retention
        self._path = path

    def due(self, *, asked: bool = False) -> Iterator[None] | None:
        """Returns the steps of the next piece of work, or None where nothing is due."""
        return None

    def put_off(self) -> None:
        """Leaves everything for a while, as it just failed."""
