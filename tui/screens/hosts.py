"""A dialog that lists the hosts, worst first, to choose the one shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from sysmon.units import format_duration
from sysmon.wrong import Finding
from tui.dialog import Dialog
from tui.fleet import WORDS, State, judged, state_of
from tui.renderables.columns import Column
from tui.renderables.lines import badge
from tui.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult

    from tui.model import HostModel
    from tui.renderables.text import Spans
    from tui.theme import Look

_RANK: Final = {"critical": 0, "warning": 1, "unknown": 2, "info": 3, "ok": 4}


@dataclass(frozen=True, slots=True)
class HostRow:
    """A host as the list shows it."""

    id: str
    label: str
    target: str
    state: State
    age: float | None
    worst: Finding | None
    more: int


def host_row(host: HostModel, now: int, *, many: bool = False, blind: bool = False) -> HostRow:
    """Judges a host at a boot clock's time; of `many` by its alerts and few values alone, which costs less.

    `blind`: whether this side, or its hub, is what is not there.
    """
    liveness, age = host.liveness(now)
    state = state_of(liveness, expected_off=host.info.expected_off, blind=blind)
    wrong = _few_findings(host) if many else host.view().wrong
    return HostRow(
        host.info.id, host.info.label, host.info.target, state,
        None if age is None else float(int(age)), wrong[0] if wrong else None, max(0, len(wrong) - 1),
    )  # fmt: skip


def _few_findings(host: HostModel) -> list[Finding]:
    firing = [Finding(alert.severity, alert.message, alert.key) for alert in host.firing()]
    found = judged(host.pulse.now, host.alerts.values())
    if firing or found is None:
        return firing
    return [Finding("critical" if found[0] == "critical" else "warning", found[1])]


def sorted_rows(rows: list[HostRow]) -> list[HostRow]:
    """Worst first: by how fresh they are, then by their worst finding, then by name."""

    def rank(row: HostRow) -> tuple[int, int, str]:
        return (
            _RANK[WORDS[row.state][1]],
            _RANK[row.worst.severity] if row.worst else _RANK["ok"],
            row.label,
        )

    return sorted(rows, key=rank)


class HostsScreen(Dialog[str | None]):
    """Chooses a host; the result is its id, or None.

    Args:
        rows: gives the hosts as they are now; asked again at every tick.
        present: the id of the one shown.
    """

    DEFAULT_CSS = """
    HostsScreen #box { width: 90; max-width: 96%; height: auto; max-height: 80%; }
    HostsScreen Table { height: 12; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,h,q", "dismiss(None)", "Close", show=False)]

    def __init__(self, rows: Callable[[], list[HostRow]], present: str | None) -> None:
        super().__init__()
        self._rows = rows
        self._present = present

    def compose(self) -> ComposeResult:
        """A box with a table."""
        with Vertical(id="box", classes="dialog"):
            yield Static("Hosts: Enter shows one, Esc goes back", classes="title", markup=False)
            yield Table(
                _columns(self._present), lambda row: row.id, border=False, empty="no host has been heard of yet",
                id="hosts",
            )  # fmt: skip

    def on_mount(self) -> None:
        """Show them, the present one under the cursor."""
        self.tick()
        table = self.query_one("#hosts", Table)
        table.move_cursor(key=self._present)
        table.focus()

    def tick(self) -> None:
        """Show the hosts as they are now."""
        self.query_one("#hosts", Table).set_rows(sorted_rows(self._rows()))

    def on_table_row_selected(self, event: Table.RowSelected) -> None:
        """Choose."""
        event.stop()
        self.dismiss(str(event.key))


def _columns(present: str | None) -> list[Column[HostRow]]:
    def state(row: HostRow, width: int, look: Look) -> Spans:
        word, severity = WORDS[row.state]
        age = f" {format_duration(row.age, short=True)}" if row.age is not None and row.state != "live" else ""
        return badge(severity, word + age, look=look)

    def worst(row: HostRow, width: int, look: Look) -> Spans:
        if row.worst is None:
            return [("nothing is wrong" if row.age is not None else "", look.palette.dim)]
        more = f"  +{row.more}" if row.more else ""
        return [*badge(row.worst.severity, row.worst.text, look=look), (more, look.palette.dim)]

    return [
        Column("label", "HOST", lambda row: row.label + (" *" if row.id == present else ""), min_width=14),
        Column("state", "STATE", width=14, spans=state),
        Column("worst", "WORST", fraction=2.0, min_width=20, spans=worst),
        Column("target", "FROM", lambda row: row.target, width=22, priority=1, cut="middle",
               style=lambda _row, palette: palette.faint),
    ]  # fmt: skip
