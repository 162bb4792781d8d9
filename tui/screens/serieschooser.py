"""A dialog to tick several of many: series by name, unit and help, or hosts."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from sysmon.frame import split_key
from tui.dialog import Dialog
from tui.renderables.columns import Column
from tui.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from rich.style import Style
    from textual.app import ComposeResult

    from sysmon.catalogue import Catalogue
    from tui.palette import Palette


@dataclass(frozen=True, slots=True)
class Choice:
    """One line: its key, and what is said about it. A pattern stands for all series that it matches."""

    key: str
    unit: str = ""
    help: str = ""
    label: str = ""
    pattern: bool = False


def series_choices(keys: Iterable[str], catalogue: Catalogue) -> list[Choice]:
    """Every series with its unit and help; the gauges and derived ones before counters, which only ever rise."""
    choices: list[tuple[bool, Choice]] = []
    for key in keys:
        metric = catalogue.of_key(key)
        unit = metric.unit if metric is not None else ""
        words = metric.help if metric is not None else ""
        counter = metric is not None and metric.kind == "counter"
        choices.append((counter, Choice(key, unit, f"{words} (counter)" if counter else words)))
    return [choice for _, choice in sorted(choices, key=lambda each: each[0])]


def found(choices: Sequence[Choice], search: str) -> list[Choice]:
    """The choices that a search means: a glob over keys, or a part of key or help.

    A glob with an instance (`disk.busy:sd*`) is offered itself as well, for what there is and what is to come.
    """
    wanted = search.strip().lower()
    if not wanted:
        return list(choices)
    if "*" not in wanted and "?" not in wanted:
        return [each for each in choices if wanted in f"{each.key} {each.label} {each.help}".lower()]
    glob = wanted if wanted.startswith("*") or ":" in wanted else f"*{wanted}"
    hits = [each for each in choices if fnmatchcase(each.key.lower(), glob if glob.endswith("*") else f"{glob}*")]
    metric, instance = split_key(search.strip())
    same = [each for each in choices if split_key(each.key)[0] == metric]
    if instance and same:
        count = sum(fnmatchcase(split_key(each.key)[1], instance) for each in same)
        words = f"these {count} series, and what appears later"
        return [Choice(search.strip(), same[0].unit, words, pattern=True), *hits]
    return hits


class Search(Input):
    """An input that leaves Space to the list below it."""

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Whether typing takes a key."""
        return key != "space" and super().check_consume_key(key, character)


class TickChooser(Dialog[list[str] | None]):
    """Ticks any number of choices; the result is their keys in the order of ticking, or None when cancelled.

    While one types, the arrows move, Space ticks; Enter takes what is ticked, or the line under the cursor.

    Args:
        title: what is chosen.
        choices: what there is.
        ticked: keys ticked at first.
        most: how many may be ticked.
        columns: whether units and help are shown.
    """

    DEFAULT_CSS = """
    TickChooser #box { width: 104; max-width: 96%; height: 90%; max-height: 40; }
    TickChooser Table { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", show=False),
        Binding("space", "tick", "Tick", show=False, priority=True),
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("ctrl+a", "tick_all", "Tick all shown", show=False, priority=True),
        Binding("ctrl+x", "clear", "Untick all", show=False, priority=True),
    ]

    def __init__(self, title: str, choices: Sequence[Choice], ticked: Iterable[str] = (), *, most: int = 40) -> None:
        super().__init__()
        self._title = title
        self._choices = list(choices)
        known = {choice.key for choice in choices}
        self._ticked: dict[str, None] = dict.fromkeys(ticked)
        # A pattern that was chosen before is no series: it has a line of its own.
        self._choices = [
            *(Choice(key, help="chosen by pattern", pattern=True) for key in self._ticked if key not in known),
            *self._choices,
        ]
        self._most = most

    def compose(self) -> ComposeResult:
        """A box with a search, the table, and a line that counts."""
        with Vertical(id="box", classes="dialog"):
            yield Static(self._title, classes="title", markup=False)
            yield Search(placeholder="type to search; a glob picks instances: disk.busy:sd*", id="search")
            yield Table(
                _columns(self._ticked), lambda row: row.key, border=False, empty="nothing is called that",
                id="choices",
            )  # fmt: skip
            yield Static("", id="count", classes="dim", markup=False)

    @property
    def table(self) -> Table[Choice]:
        """The table."""
        return self.query_one("#choices", Table)

    def on_mount(self) -> None:
        """Show all."""
        self._fill("")
        self.query_one(Input).focus()

    def _fill(self, search: str) -> None:
        rows = found(self._choices, search)
        if not search.strip():
            # What is ticked stands first.
            rows.sort(key=lambda row: row.key not in self._ticked)
        self.table.set_rows(rows)
        if rows:
            self.table.move_cursor(index=0)
        self._count()

    def _count(self, words: str = "") -> None:
        text = (
            words or f"{len(self._ticked)} ticked. Space ticks, ^A all shown, ^X none, Enter draws them, Esc goes back"
        )
        line = self.query_one("#count", Static)
        line.set_classes("error" if words else "dim")
        line.update(text)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search."""
        event.stop()
        self._fill(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take what is ticked."""
        event.stop()
        self._take()

    def on_table_row_selected(self, event: Table.RowSelected) -> None:
        """A click ticks."""
        event.stop()
        self._toggle(str(event.key))
        self.query_one(Input).focus()

    def action_tick(self) -> None:
        """Tick or untick the line under the cursor and go on to the next."""
        row = self.table.cursor_row
        if row is not None:
            self._toggle(row.key)
            self.table.action_move(1)

    def action_tick_all(self) -> None:
        """Tick all that is shown."""
        for row in self.table.rows:
            if not row.pattern and row.key not in self._ticked and len(self._ticked) < self._most:
                self._ticked[row.key] = None
        self._redrawn()

    def action_clear(self) -> None:
        """Untick all."""
        self._ticked.clear()
        self._redrawn()

    def action_move(self, rows: int) -> None:
        """Move the cursor."""
        self.table.action_move(rows)

    def action_page(self, pages: int) -> None:
        """Move by a page."""
        self.table.action_page(float(pages))

    def _toggle(self, key: str) -> None:
        if key in self._ticked:
            del self._ticked[key]
        elif len(self._ticked) >= self._most:
            self._count(f"{self._most} are the most that can be drawn")
            return
        else:
            self._ticked[key] = None
        self._redrawn()

    def _redrawn(self) -> None:
        self.table.redraw()
        self._count()

    def _take(self) -> None:
        row = self.table.cursor_row
        if self._ticked:
            self.dismiss(list(self._ticked))
        elif self.query_one(Input).value.strip() and row is not None:
            self.dismiss([row.key])
        else:
            self.dismiss([])


def _columns(ticked: Collection[str]) -> list[Column[Choice]]:
    def faint(_row: Choice, palette: Palette) -> Style | None:
        return palette.dim

    def mark(row: Choice, palette: Palette) -> Style | None:
        return palette.hotkey if row.key in ticked else palette.faint

    return [
        Column("tick", "", lambda row: "[x]" if row.key in ticked else "[ ]", width=3, style=mark),
        Column("key", "NAME", lambda row: row.label or row.key, min_width=24, fraction=1.0, cut="middle"),
        Column("unit", "UNIT", lambda row: row.unit, width=8, priority=2, style=faint),
        Column("help", "WHAT", lambda row: row.help, min_width=24, fraction=1.2, priority=1, style=faint),
    ]
