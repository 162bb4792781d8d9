"""Who is logged in: utmp, or systemd-logind's own files where no utmp is kept any more."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any

from collectors._sysfs import entries, text
from collectors.base import Collector, Reading, read_bytes
from sysmon.catalogue import gauge
from sysmon.errors import MalformedInput, NoData
from sysmon.frame import SessionRow, Tables, clean_text

if TYPE_CHECKING:
    from pathlib import Path

USER_PROCESS = 7
"""Type of an utmp record that stands for a login (utmp(5))."""

LAYOUTS = (struct.Struct("=hxxi32s4s32s256shhiii16x20x"), struct.Struct("=hxxi32s4s32s256shhxxxxqqq16x20x"))
"""utmp records of 384 bytes (32-bit times: x86, 32-bit ARM) and of 400 (64-bit times: arm64, RISC-V and others)."""


def parse_utmp(content: bytes, path: str = "/run/utmp") -> list[tuple[int, SessionRow]]:
    """Parses utmp, in whichever of its two sizes the records have sense.

    Args:
        content: the whole file.
        path: named in errors.

    Returns:
        (process id of the session's leader, session) for each record of a login.

    Raises:
        MalformedInput: the file is no whole number of records of either size, or the records make no sense.
    """
    if not content:
        return []
    readings = [list(layout.iter_unpack(content)) for layout in LAYOUTS if len(content) % layout.size == 0]
    sensible = [records for records in readings if all(_is_sensible(record) for record in records)]
    if not sensible:
        raise MalformedInput(f"{path}: {len(content)} bytes are no utmp records of 384 or 400 bytes")
    # A length that both sizes divide: in the wrong one most records seem empty, for their fields lie elsewhere.
    records = max(sensible, key=lambda records: sum(record[0] > 0 and record[9] > 0 for record in records))
    return [
        (
            record[1],
            SessionRow(
                user=_text(record[4]),
                terminal=_text(record[2]),
                origin=_text(record[5]),
                since=record[9] + record[10] / 1e6 if record[9] > 0 else None,
            ),
        )
        for record in records
        if record[0] == USER_PROCESS and record[4].strip(b"\0")
    ]


def _is_sensible(record: tuple[Any, ...]) -> bool:
    return 0 <= record[0] <= 9 and _is_text(record[4]) and _is_text(record[2])


def _is_text(raw: bytes) -> bool:
    """Whether a field looks like one: printable up to its NUL."""
    return all(byte >= 0x20 and byte != 0x7F for byte in raw.split(b"\0", 1)[0])


def _text(raw: bytes) -> str:
    return clean_text(raw.split(b"\0", 1)[0].decode("utf-8", "replace"), 256)


def parse_logind(content: str) -> SessionRow | None:
    """Parses one file of /run/systemd/sessions.

    Returns:
        The session, or None where it is not a user's own login (a greeter, a service manager) or is closing.
    """
    fields = dict(line.split("=", 1) for line in content.splitlines() if "=" in line)
    user = fields.get("USER", "")
    if not user or fields.get("STATE") == "closing" or not fields.get("CLASS", "user").startswith("user"):
        return None
    began = fields.get("REALTIME", "")
    return SessionRow(
        user=clean_text(user, 256),
        terminal=clean_text(fields.get("TTY") or fields.get("DISPLAY") or "", 256),
        origin=clean_text(fields.get("REMOTE_HOST", ""), 256),
        since=int(began) / 1e6 if began.isascii() and began.isdigit() and len(began) < 19 else None,
    )


class SessionsCollector(Collector):
    """Reads the sessions of the users that are logged in."""

    name = "sessions"
    help = "Users that are logged in"
    interval = 30.0
    metrics = (
        gauge("users.count", "", "Different users that are logged in", "utmp or systemd-logind"),
        gauge("users.sessions", "", "Sessions of users that are logged in", "utmp or systemd-logind"),
    )

    def read(self) -> Reading:
        """Reads the sessions.

        Raises:
            NoData: this machine keeps neither utmp nor logind's sessions.
            CollectorError, MalformedInput: what it keeps cannot be read.
        """
        sessions = self._sessions()
        users = {session.user for session in sessions}
        return Reading({"users.count": len(users), "users.sessions": len(sessions)}, Tables(sessions=sessions))

    def _sessions(self) -> list[SessionRow]:
        for path in (self.roots.run / "utmp", self.roots.base / "var" / "run" / "utmp"):
            if os.path.isfile(path):
                return self._from_utmp(path)
        folder = self.roots.run / "systemd" / "sessions"
        if not folder.is_dir():
            raise NoData(f"neither {self.roots.run / 'utmp'} nor {folder} is kept here", "containers have no logins")
        texts = (text(f"{folder}/{name}") for name in entries(str(folder)) if not name.endswith(".ref"))
        return [session for content in texts if content and (session := parse_logind(content)) is not None]

    def _from_utmp(self, path: Path) -> list[SessionRow]:
        found = parse_utmp(read_bytes(path), str(path))
        # A session that was killed leaves its record behind.
        return [row for pid, row in found if pid <= 0 or self._lives(pid)]

    def _lives(self, pid: int) -> bool:
        if os.path.exists(self.roots.proc / str(pid)):
            return True
        if not self.roots.live:
            return False
        try:
            os.kill(pid, 0)  # asks only; /proc may hide those of other users
        except PermissionError:
            return True
        except OSError:
            return False
        return True


COLLECTOR = SessionsCollector
