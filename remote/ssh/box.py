"""What makes frames of a box's texts, as the source that reads the box sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remote.ssh.frames import Sample
    from sysmon.frame import Frame
    from sysmon.records import HostInfo


class Ask(Protocol):
    """Asks the box for groups of files, telling it the lines that they want; see `remote.ssh.line.SshLine.ask`."""

    async def __call__(self, groups: Iterable[str], lines: Iterable[bytes] = ()) -> Sample:
        """Returns the answer; raises `SysmonError` where the connection ended."""
        ...


class Box(Protocol):
    """What makes frames of a box's texts: the collectors, handed in by `cli`."""

    def identity(self, hello: Sample) -> str:
        """Returns the host's id by what the box says of itself, or '' where it says nothing that would do."""
        ...

    def begin(self, hello: Sample) -> HostInfo:
        """Takes what the box says of itself on connecting: the answer to `HELLO`."""
        ...

    async def frame(self, ask: Ask, stamp: int, every: int) -> Frame | None:
        """Takes one sample.

        Args:
            ask: asks the box.
            stamp: the tick, Unix milliseconds.
            every: seconds between two ticks.
        """
        ...

    def watch(self, tables: Iterable[str]) -> None:
        """Has these tables collected from now on."""
        ...

    def close(self) -> None:
        """Frees what it holds."""
        ...
