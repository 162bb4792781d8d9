"""What the border of the process list says, and what stands where there is no process. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sysmon.units import format_time
from tui.processlisting import ago

if TYPE_CHECKING:
    from sysmon.frame import Fault
    from tui.model import View
    from tui.processcolumns import Facts
    from tui.processlisting import Listing
    from tui.renderables.text import Spans
    from tui.theme import Look


def mode_word(listing: Listing) -> str:
    """Says how lines are arranged; '' for a plain list."""
    return "" if listing.mode == "list" else "tree" if listing.mode == "tree" else f"by {listing.mode}"


def subtitle(view: View, listing: Listing, facts: Facts, look: Look) -> Spans:
    """Says which moment this is, who is followed, what is wrong, and how many processes there are."""
    palette, glyphs = look.palette, look.glyphs
    parts: list[Spans] = []
    moment = as_of(view, listing)
    if moment:
        parts.append([(moment, palette.warning)])
    followed = listing.followed
    if followed is not None:
        name = f"{followed.row.name} {followed.row.pid}"
        parts.append(
            [(f"following {name}", palette.hotkey)]
            if followed.ended is None
            else [(f"{name} ended {ago(view.time - followed.ended)}", palette.warning)]
        )
    if listing.held is not None:
        parts.append([("order held", palette.dim)])
    faults = [fault for fault in view.state.faults if fault.collector == "processes" and not _is_usual(fault)]
    if faults and listing.rows and not moment:
        parts.append([(f"{glyphs.severity_warning} {faults[0].message}", palette.warning)])
    if facts.whole:
        parts.append([(f"CPU of {facts.cores} cores", palette.dim)])
    if listing.rows and not moment:
        running = sum([row.state == "R" for row in listing.rows])
        count = f"{listing.shown} of {listing.among}" if listing.query else str(listing.among)
        parts.append([(count, palette.text), (f", {running} running", palette.dim)])
    spans: Spans = []
    for part in parts:
        if spans:
            spans.append((f" {glyphs.separator} ", palette.faint))
        spans += part
    return spans


def _is_usual(fault: Fault) -> bool:
    """Whether every ordinary user has it: the I/O of others' processes; their details and `sysmon doctor` tell it."""
    return fault.kind == "denied" and fault.message.startswith("I/O of")


def what_is_missing(view: View, listing: Listing) -> str:
    """Says why the list is empty."""
    faults = [fault for fault in view.state.faults if fault.collector == "processes"]
    if not listing.rows:
        if faults:
            return f"{faults[0].message}{'; ' + faults[0].hint if faults[0].hint else ''}"
        if view.status.state == "replay":
            return "who ran at this moment was not kept; step on with [ and ]"
        return "collecting…"
    if listing.query and listing.shown == 0:
        # In the past Esc goes back to now first.
        way_out = "/ changes" if view.status.state == "replay" else "Esc drops"
        return f"none of {listing.among} processes: {listing.query.text.strip()}   ({way_out} the filter)"
    return "only threads of the kernel run here; K shows them"


def as_of(view: View, listing: Listing) -> str:
    """Says which moment the processes are of, where that is not the view's own."""
    time = view.processes_time
    if time is None:
        return ""
    if view.status.state == "replay":
        return f"as of {format_time(time, date=False)}, top {len(listing.rows)} by cpu, memory, I/O"
    interval = max(1.0, view.state.intervals.get("processes", 1.0))
    if view.time - time > 3000 * interval:
        return f"as of {format_time(time, date=False)}"
    return ""
