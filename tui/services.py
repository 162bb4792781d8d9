"""What the composition root hands to the screen: sources of updates, the past, actions, settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sysmon.catalogue import Catalogue
    from sysmon.clock import Clock
    from sysmon.config import Config
    from sysmon.ports import Actions, History, HostBook, Notes, Source


@dataclass(slots=True)
class Services:
    """Everything the screens may use; they know nothing else of the program.

    Attributes:
        source: yields the updates of all hosts.
        history: host id -> the past of that host, or None where nobody keeps one.
        actions: host id -> signals and renice, or None for hosts that are not this machine.
        watch: tells which tables somebody looks at (`{"processes"}`), so that they are collected only then.
        notices: sentences to show at the start (who records, what was set aside).
        problem: what is wrong with recording now, such as "recording paused: disk full"; '' for nothing.
        hosts: the configured hosts, to be listed and changed; None where that cannot be.
        unwatched: where what is configured is not what this screen shows: why, and what would show it.
        notes: keeps what a user calls devices, and since when they are counted anew, in the history of this machine;
            None where nothing can be written there.
        local: id of this machine, '' where it is not known: which host the configuration means by `local`.
        save_settings: writes screen settings (theme …) to the config file; raises SysmonError.
    """

    source: Source
    history: Callable[[str], History | None]
    actions: Callable[[str], Actions | None]
    catalogue: Catalogue
    config: Config
    clock: Clock
    watch: Callable[[set[str]], None] = lambda tables: None
    notices: list[str] = field(default_factory=list)
    problem: Callable[[], str] = lambda: ""
    hosts: HostBook | None = None
    unwatched: str = ""
    notes: Notes | None = None
    local: str = ""
    save_settings: Callable[[dict[str, object]], None] | None = None
