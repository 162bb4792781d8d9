"""What surrounds the Fleet screen: the line that counts hosts, and the worst of all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sysmon.wrong import Finding
from tui.fleet import Entry, counts
from tui.renderables.fleetcells import short_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sysmon.records import Event, Severity
    from tui.chrome import Chrome

_TOLD: Final = 30
"""Hosts whose trouble the header may tell of; the rest it counts by its own '+3'."""

_PLACES: Final[dict[str, int]] = {"critical": 0, "warning": 1, "info": 2}


def fleet_chrome(
    chrome: Chrome, entries: Sequence[Entry], lost: Event | None, note: str = "", *, hubs: Sequence[Finding] = (),
    now: int = 0,
) -> Chrome:  # fmt: skip
    """The header of the Fleet screen.

    Args:
        chrome: of the host that is open in other screens.
        entries: all hosts, worst first.
        lost: that this side lost the network, while it has.
        note: what is being read.
        hubs: what is to be said of hubs that are not heard.
        now: the present on this side, or when it was frozen, Unix milliseconds: it is no host's moment that is shown.
    """
    live = chrome.mode != "past"
    hosts = "1 host" if len(entries) == 1 else f"{len(entries)} hosts"
    return replace(
        chrome,
        label=hosts,
        system=tuple(f"{number} {word}" for number, word, _ in counts(entries)),
        uptime=None,
        cost=(),
        time=chrome.time if chrome.mode == "past" else (now or chrome.now) if entries else None,
        state="live" if live else chrome.state,
        age=None,
        message="",
        zone="",
        skew=None,
        wrong=troubles(entries, lost if live else None, hubs if live else ()),
        note=chrome.note or note,
    )


def troubles(entries: Sequence[Entry], lost: Event | None, hubs: Sequence[Finding] = ()) -> tuple[Finding, ...]:
    """What is wrong anywhere, worst first; that this side lost the network, or a hub, is said once, for all hosts."""
    found = [Finding("critical", lost.message or "this side lost the network")] if lost is not None else [*hubs]
    for entry in sorted(entries, key=lambda entry: entry.rank):
        if len(found) >= _TOLD:
            break
        finding = trouble(entry)
        if finding is not None:
            found.append(finding)
    return tuple(sorted(found, key=lambda finding: _PLACES[finding.severity]))


def trouble(entry: Entry) -> Finding | None:
    """What is wrong with a host, in a few words; None where nothing is."""
    if entry.worst is not None and entry.worst[0] in _PLACES:
        given = entry.worst[0]
        severity: Severity = given if given in ("critical", "warning") else "info"
        if severity == "critical" or entry.state not in ("offline", "stale"):
            return Finding(severity, f"{entry.label}: {entry.worst[1]}")
    if entry.state == "offline":
        if entry.age is None and entry.host is not None:
            return Finding("critical", f"no contact with {entry.label}")
        if entry.age is None:
            why = short_message(entry)
            return Finding("critical", f"{entry.label} was never reached" + (f": {why}" if why else ""))
        return Finding("critical", f"no contact with {entry.label} for {entry.age_text}")
    if entry.state == "stale":
        return Finding("warning", f"nothing heard from {entry.label} for {entry.age_text}")
    return None
