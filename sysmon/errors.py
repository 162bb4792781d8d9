"""The errors of sysmon, one tree.

    SysmonError(message, hint)
    ├── UsageError            a command line, exit status 2
    ├── ConfigError           a configuration file, exit status 2
    ├── MalformedInput        text of a kernel file or a peer that does not parse
    ├── CollectorError        a collector could not read
    │   ├── Unsupported       this machine cannot have it
    │   ├── NoData            this machine has none
    │   ├── Denied            rights are missing
    │   └── DeadlineExceeded  it did not answer in time
    ├── StoreError            the history
    │   ├── SchemaTooNew      written by a newer sysmon
    │   ├── Corrupt           not a readable history
    │   ├── Locked            another process records into it
    │   └── StorageFull       the disk, or the file's budget
    └── RemoteError           a peer
        ├── Unauthorized      token missing or refused
        ├── Untrusted         not who it should be, or nothing says who that is
        ├── ProtocolMismatch  not a sysmon, or another version of its wire format
        └── Unreachable       no connection

A message says where, what was given and what is allowed; the hint says what mends it.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sysmon.frame import FaultKind


class SysmonError(Exception):
    """Base of all errors that a user is meant to read."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class UsageError(SysmonError):
    """A command line that cannot be carried out."""


class ConfigError(SysmonError):
    """A configuration that cannot be used; `problems` lists every mistake found."""

    def __init__(self, message: str, hint: str = "", problems: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint)
        self.problems = problems or (str(self),)


class MalformedInput(SysmonError):
    """Text of a kernel file or of a peer that does not have its documented form."""


class CollectorError(SysmonError):
    """A collector could not read; `kind` is the fault's kind."""

    kind: FaultKind = "failed"


class Unsupported(CollectorError):
    """This machine or platform cannot provide the collector's values."""

    kind: FaultKind = "unsupported"


class NoData(CollectorError):
    """The machine could provide the values but has none (no battery, no disk)."""

    kind: FaultKind = "no_data"


class Denied(CollectorError):
    """Rights are missing."""

    kind: FaultKind = "denied"


class DeadlineExceeded(CollectorError):
    """The read did not return within its deadline."""

    kind: FaultKind = "timeout"


class StoreError(SysmonError):
    """The history cannot do what was asked."""


class SchemaTooNew(StoreError):
    """The file was written by a newer sysmon."""


class Corrupt(StoreError):
    """The file is not a readable history."""


class Locked(StoreError):
    """Another process records into the history."""


class StorageFull(StoreError):
    """No room is left on the disk or in the file's budget."""


class RemoteError(SysmonError):
    """A peer cannot be used."""


class Unauthorized(RemoteError):
    """The peer wants a token, or refuses the one given."""


class Untrusted(RemoteError):
    """The peer is not known to be who it should be: nothing was sent to it."""


class ProtocolMismatch(RemoteError):
    """The peer does not speak this wire format."""


class Unreachable(RemoteError):
    """No connection to the peer."""


def nearest(given: str, known: Iterable[str]) -> str:
    """Returns a hint naming the known name nearest to `given`, or the empty string."""
    found = get_close_matches(given, list(known), n=1, cutoff=0.6)
    return f"did you mean '{found[0]}'?" if found else ""
