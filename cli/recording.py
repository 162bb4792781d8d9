"""Opening the history for recording and for reading, as configured."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sysmon.errors import Locked, StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from cli.context import Context
    from store.reader import SqliteHistory
    from store.writer import SqliteRecorder


class Archive(NamedTuple):
    """What a process has of the history.

    Attributes:
        recorder: writes it; None where another process does, or nobody may.
        history: reads it; None where there is none at all.
        notices: sentences that people should know.
    """

    recorder: SqliteRecorder | None
    history: SqliteHistory | None
    notices: list[str]

    def problem(self) -> str:
        """What is wrong with recording now, or the empty string."""
        return self.recorder.problem if self.recorder is not None else ""


def open_archive(context: Context, who: str, *, record: bool = True, strict: bool = False) -> Archive:
    """Opens the history.

    Args:
        context: paths, catalogue, configuration.
        who: what records, for the lock: screen, agent, recorder.
        record: False reads only.
        strict: whether it is an error that it cannot be recorded into.

    Raises:
        StoreError: with `strict`, or when the file cannot even be read.
    """
    path = context.history_path
    notices: list[str] = []
    recorder: SqliteRecorder | None = None
    if record and context.config.history.enabled:
        try:
            recorder = _recorder(context, path, who)
            notices += recorder.notices
        except Locked as error:
            if strict:
                raise
            notices.append(f"{error.message}; this process reads it and records nothing")
        except StoreError as error:
            if strict:
                raise
            notices.append(f"nothing is recorded: {error}")
    history: SqliteHistory | None = None
    if recorder is not None or path.exists():
        from store.reader import SqliteHistory

        try:
            history = SqliteHistory.open(path, context.catalogue, clock=context.clock)
        except StoreError as error:
            notices.append(str(error))
    return Archive(recorder, history, notices)


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
