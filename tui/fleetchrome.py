"""What surrounds the Fleet screen: the line that counts hosts, and the worst of all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sysmon.wrong import Finding
from tui.fleet import Entry, counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sysmon.records import Event, Severity
    from tui.chrome import Chrome

_TOLD: Final = 30
"""Hosts whose trouble the header may tell of; the rest it counts by its own '+3'."""


def fleet_chrome(
    chrome: Chrome, entries: Sequence[Entry], lost: Event | None, note: str = "", *, hub: Event | None = None
) -> Chrome:
    """The header of the Fleet screen.

    Args:
        chrome: of the host that is open in other screens.
        entries: all hosts, worst first.
        lost: that this side lost the network, while it has.
        note: what is being read.
        hub: that a hub is not heard, while it is not.
    """
    live = chrome.mode != "past"
    hosts = "1 host" if len(entries) == 1 else f"{len(entries)} hosts"
    return replace(
        chrome,
        label=hosts,
        system=tuple(f"{number} {word}" for number, word, _ in counts(entries)),
        uptime=None,
        cost=(),
        time=chrome.time if chrome.time is not None else chrome.now if entries else None,
        state="live" if live else chrome.state,
        age=None,
        message="",
        zone="",
        skew=None,
        wrong=troubles(entries, (lost or hub) if live else None),
        note=chrome.note or note,
    )


def troubles(entries: Sequence[Entry], lost: Event | None) -> tuple[Finding, ...]:
    """What is wrong anywhere, worst first; that this side lost the network, or a hub, is said once, for all hosts."""
    found = [Finding("critical", lost.message or "this side lost the network")] if lost is not None else []
    for entry in sorted(entries, key=lambda entry: entry.rank):
        if len(found) >= _TOLD:
            break
        finding = trouble(entry)
        if finding is not None:
            found.append(finding)
    return tuple(sorted(found, key=lambda finding: finding.severity != "critical"))


def trouble(entry: Entry) -> Finding | None:
    """What is wrong with a host, in a few words; None where nothing is."""
    if entry.worst is not None and entry.worst[0] != "info":
        severity: Severity = "critical" if entry.worst[0] == "critical" else "warning"
        if severity == "critical" or entry.state not in ("offline", "stale"):
            return Finding(severity, f"{entry.label}: {entry.worst[1]}")
    if entry.state == "offline":
        if entry.age is None:
            return Finding("critical", f"{entry.label} was never reached")
        return Finding("critical", f"no contact with {entry.label} for {entry.age_text}")
    if entry.state == "stale":
        return Finding("warning", f"nothing heard from {entry.label} for {entry.age_text}")
    return None
