"""Opening the history for recording and for reading, as configured."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from store.lock import holder
from sysmon.errors import Locked, StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from cli.context import Context
    from store.reader import SqliteHistory
    from store.writer import SqliteRecorder


@dataclass
class Archive:
    """What a process has of the history.

    Attributes:
        recorder: writes it; None where another process does, or nobody may.
        history: reads it; None where this process has nothing to do with any.
        failure: why nothing is recorded although it should be, or ''.
        told: how many of the recorder's notices were handed out.
    """

    recorder: SqliteRecorder | None = None
    history: SqliteHistory | None = None
    failure: str = ""
    told: int = field(default=0, repr=False)

    def problem(self) -> str:
        """What is wrong with recording now, or the empty string."""
        return self.recorder.problem if self.recorder is not None else self.failure

    def news(self) -> list[str]:
        """Sentences that people should know, each once, such as that a damaged history was set aside."""
        notices = self.recorder.notices if self.recorder is not None else []
        self.told, begin = len(notices), min(self.told, len(notices))
        return notices[begin:]

    async def close(self) -> None:
        """Commits, and closes what is open."""
        recorder, history, self.recorder, self.history = self.recorder, self.history, None, None
        if recorder is not None:
            with contextlib.suppress(StoreError):
                # A full disk: its problem was told while it lasted.
                await recorder.close()
        if history is not None:
            await history.close()


def open_archive(context: Context, who: str, *, record: bool = True, strict: bool = False) -> Archive:
    """Opens the history.

    Args:
        context: paths, catalogue, configuration.
        who: what records, for the lock: screen, agent, recorder.
        record: False reads only.
        strict: whether it is an error that it cannot be recorded into. That a screen records is none: it gives way.

    Raises:
        StoreError: with `strict`.
    """
    from store.reader import SqliteHistory

    archive = Archive()
    if record and context.config.history.enabled:
        try:
            begin(context, archive, who)
        except StoreError as error:
            held = holder(context.history_path) if isinstance(error, Locked) else None
            if strict and (held is None or held.who != "screen"):
                raise
    if archive.recorder is not None or context.history_path.exists() or archive.failure:
        archive.history = SqliteHistory.open(context.history_path, context.catalogue, clock=context.clock)
        archive.history.problem = archive.problem
    return archive


def begin(context: Context, archive: Archive, who: str) -> None:
    """Begins to record, where another process or a full disk may have been in the way before.

    Raises:
        StoreError: it still is; `archive.failure` says so.
    """
    try:
        archive.recorder = _recorder(context, context.history_path, who)
    except Locked as error:
        archive.failure = f"{error.message}; this process reads it and records nothing"
        raise
    except StoreError as error:
        archive.failure = f"nothing is recorded: {error}"
        raise
    archive.failure = ""


def _recorder(context: Context, path: Path, who: str) -> SqliteRecorder:
    from store.retention import Retention
    from store.writer import SqliteRecorder

    settings = context.config.history
    retention = Retention(
        raw=settings.raw,
        minute=settings.minute,
        quarter=settings.quarter,
        evidence=settings.minute,
        size=settings.size,
        free=settings.free,
    )
    return SqliteRecorder.open(path, context.catalogue, retention=retention, clock=context.clock, who=who)
