"""What the header of a screen says of hosts other than the one shown, and of one that was never reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tui.chrome import Chrome
from tui.fleet import Entry, entries, lost_hubs
from tui.fleetchrome import trouble, troubles
from tui.renderables.fleetcells import short_message

if TYPE_CHECKING:
    from sysmon.wrong import Finding
    from tui.model import Model
    from tui.services import Services

FEW: Final = 20
"""Hosts that are judged at every look; more of them every `SELDOM_NS`, as that costs."""

SELDOM_NS: Final = 5_000_000_000


class Elsewhere:
    """What is wrong on the hosts that are not shown, each named; worked out seldom where they are many.

    Args:
        services: the clock and the configuration.
        model: all hosts.
    """

    def __init__(self, services: Services, model: Model) -> None:
        self._services = services
        self._model = model
        self._known: tuple[str | None, int, tuple[Finding, ...]] | None = None

    def entries(self) -> list[Entry]:
        """All hosts, worst first."""
        clock = self._services.clock
        return entries(self._model, clock.boottime(), clock.now() // 1000, self._services.config.hosts.get)

    def wrong(self, host_id: str | None) -> tuple[Finding, ...]:
        """What is wrong on others than this one, worst first."""
        model, now = self._model, self._services.clock.boottime()
        if len(model.hosts) + len(model.unreached) < 2:
            return ()
        known = self._known
        if known is not None and known[0] == host_id and len(model.hosts) > FEW and 0 <= now - known[1] < SELDOM_NS:
            return known[2]
        others = [entry for entry in self.entries() if entry.key != host_id]
        found = troubles(others, model.lost, lost_hubs(model, now))
        self._known = (host_id, now, found)
        return found


def unreached_chrome(found: Elsewhere, now: int, problem: str) -> Chrome:
    """The header while no host was heard of: of the one that is waited for, or the worst of several.

    Args:
        found: tells of all.
        now: the present, Unix milliseconds.
        problem: what is wrong with the source or with recording.
    """
    waited = found.entries()
    if not waited:
        return Chrome(now=now, problem=problem, hosts=0)
    first = waited[0]
    wrong = tuple(finding for entry in waited if (finding := trouble(entry)) is not None)
    state = first.state if first.state in ("connecting", "offline", "stale", "paused", "off") else "connecting"
    return Chrome(
        label=first.label, now=now, state=state, message=short_message(first) if not wrong else "", wrong=wrong,
        problem=problem, hosts=len(waited),
    )  # fmt: skip
