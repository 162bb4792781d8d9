"""The Fleet screen: every host at once, worst first, as rows or cards; Enter opens one in every other screen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from textual.actions import SkipAction
from textual.containers import Container

from tui import keys_fleet
from tui.fleet import SORTS, Entry, hub_labels, lost_hubs, sort_entries
from tui.fleetbook import FleetHosts
from tui.fleetchrome import fleet_chrome
from tui.fleetfilter import Term, kept, parse_filter, tag_counts
from tui.fleetrows import FleetRows
from tui.keys import bindings, label, present_keys, register
from tui.renderables.fleetcard import fitting
from tui.renderables.fleetdetails import details
from tui.renderables.frame import Hint
from tui.screens.base import HostScreen
from tui.widgets.fleet_cards import FleetCards
from tui.widgets.fleet_columns import columns, lines_of
from tui.widgets.fleet_filter import FleetFilter
from tui.widgets.lines import LinesPanel
from tui.widgets.panel import where
from tui.widgets.table import Table

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from tui.chrome import Chrome
    from tui.model import View

KEYS = register(keys_fleet.SCOPE, keys_fleet.KEYS)

Layout = Literal["auto", "rows", "cards"]


class FleetScreen(FleetHosts, HostScreen):
    """A table or a grid of hosts above the details of the one that the cursor is on."""

    NAME = "fleet"
    TITLE_TEXT = "Fleet"
    ALL_HOSTS = True
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(KEYS)]
    AUTO_FOCUS = "#rows"
    DEFAULT_CSS = """
    FleetScreen #list { height: 1fr; }
    FleetScreen #rows { height: 1fr; }
    FleetScreen #cards { height: 1fr; display: none; }
    FleetScreen.-cards #rows { display: none; }
    FleetScreen.-cards #cards { display: block; }
    FleetScreen #about { height: 7; }
    FleetScreen.-short #about { height: 5; }
    FleetScreen.-closed #about { display: none; }
    FleetScreen.-tiny #about { display: none; }
    FleetScreen.-tiny.-opened #about { display: block; height: 1fr; }
    FleetScreen.-tiny.-opened #list { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._layout: Layout = "auto"
        self._filter = ""
        self._terms: tuple[Term, ...] = ()
        self._tag = ""
        self._sort: tuple[str, bool] = ("", False)
        self._width = 0
        self._chrome: Chrome | None = None
        self._found: FleetRows | None = None
        self._all: list[Entry] = []
        self._shown: list[Entry] = []

    def compose_body(self) -> ComposeResult:
        """The list in both forms, the line of the filter, the details."""
        with Container(id="list"):
            yield Table[Entry](columns(100), lambda entry: entry.key, "fleet", hotkey="2", id="rows")
            yield FleetCards(id="cards")
        yield FleetFilter(id="filter")
        yield LinesPanel("details", id="about", focusable=False)

    def on_mount(self) -> None:
        """Say which keys there are."""
        self._hint()

    # -- what is there

    @property
    def _table(self) -> Table[Entry]:
        return self.query_one("#rows", Table)

    @property
    def _cards(self) -> FleetCards:
        return self.query_one("#cards", FleetCards)

    @property
    def _list(self) -> Table[Entry] | FleetCards:
        return self._cards if self.has_class("-cards") else self._table

    @property
    def entry(self) -> Entry | None:
        """The host under the cursor."""
        return self._list.cursor_row

    @property
    def _whole(self) -> bool:
        """Whether all widgets are there; workers may outlast them when the program ends."""
        return len(self.query("#rows, #cards, #filter, #about")) == 4

    @property
    def found(self) -> FleetRows:
        """Where the entries come from."""
        if self._found is None:
            self._found = FleetRows(self.sysmon, self._run, self.show_again)
        return self._found

    def _run(self, work: object) -> object:
        return self.run_worker(work, group="fleet", exit_on_error=True)  # type: ignore[arg-type]

    # -- showing

    def present(self, view: View | None, chrome: Chrome) -> None:
        """Shows all hosts; also without a view, as the one host that others would show may never have been heard of."""
        self._chrome = chrome
        if self.is_mounted and self._whole:
            self.view = view
            try:
                self._show_fleet()
            except Exception as error:  # a fault of one screen must not take the others with it
                chrome = replace(chrome, problem=f"{self.TITLE_TEXT} cannot be drawn: {where(error)}")
            model = self.sysmon.model
            clock = self.services.clock
            hubs = () if chrome.mode == "past" else lost_hubs(model, clock.boottime())
            now = self.found.frozen_at if chrome.mode == "frozen" else clock.now()
            chrome = fleet_chrome(chrome, self._all, model.lost, self.found.note, hubs=hubs, now=now)
        super().present(None, chrome)

    def show(self, view: View) -> None:
        """Draw the hosts; the view is that of the one open in other screens, which does not matter here."""
        self._show_fleet()

    def show_again(self) -> None:
        """Draw them anew, header and all: something was read."""
        if self._whole and self.is_current:
            self.sysmon.refresh_view()

    def _show_fleet(self) -> None:
        entries = self.found.entries(self.view)
        if entries is None:
            return
        self._all = entries
        terms = self._terms
        if self._tag:
            terms = (*terms, Term("tag", (self._tag.lower(),)))
        column, reverse = self._sort
        self._shown = sort_entries(kept(entries, terms), column, reverse)
        self._choose_layout()
        if self.query_one(FleetFilter).is_open:
            self.query_one(FleetFilter).set_count(len(self._shown), len(entries))
        empty = "no host is configured, and none has been heard of yet"
        if entries:
            empty = f"none of {len(entries)} hosts match: {self._key('close')} shows all"
        parts = self._parts()
        for part in (self._table, self._cards):
            part.set_frame(subtitle="  ".join(parts), update=False)
            part.set_empty(empty)
        if self.has_class("-cards"):
            self._cards.set_rows(self._shown)
        else:
            self._set_columns()
            self._table.set_rows(self._shown, sort=self._sort)
        self._find()
        self._look()
        self._show_one()

    def _look(self) -> None:
        """Have the lines read that are in view."""
        if self.has_class("-cards"):
            self.found.look_at(self._cards.in_view(), self._cards.lines())
        else:
            self.found.look_at(self._table.in_view, lines_of(columns(self._width)) if self._width else ())

    def _parts(self) -> list[str]:
        column, reverse = self._sort
        parts = [f"'{self._filter}'"] if self._filter else []
        parts += [f"tag:{self._tag}"] if self._tag else []
        if parts:
            parts.append(f"{len(self._shown)} of {len(self._all)}")
        if column or reverse:
            parts.append(f"by {column or 'need'}" + (", reversed" if not column else ""))
        else:
            parts.append("worst first")
        return parts

    def _find(self) -> None:
        """Put the cursor where `reveal` wants it."""
        if self.wanted is not None and self._list.move_cursor(key=self.wanted):
            self.wanted = None

    def _choose_layout(self) -> None:
        """Cards where they all fit into a wide screen, unless one or the other was asked for."""
        size = self.query_one("#list", Container).size
        cards = self._layout == "cards"
        if self._layout == "auto" and self._shown:
            cards = not self.has_class("-narrow") and fitting(len(self._shown), size.width, size.height - 1) is not None
        if cards != self.has_class("-cards"):
            key, focused = self._list.cursor_key, self._list.has_focus
            moved = self._list._view.pinned
            self.set_class(cards, "-cards")
            if moved:
                self._list.set_rows(self._shown)
                self._list.move_cursor(key=key)
            if focused:
                self._list.focus()

    def _set_columns(self) -> None:
        width = self._table.body_region.width
        if width and width != self._width:
            self._width = width
            self._table.set_columns(columns(width))

    def _show_one(self) -> None:
        """The details of the host under the cursor."""
        if not self._whole:
            return
        panel = self.query_one("#about", LinesPanel)
        if not panel.display:
            return
        entry = self.entry
        now = self._chrome.now if self._chrome is not None else 0
        state, alerts, seen = self.found.state_of(entry), self.found.alerts_of(entry), self.found.seen_of(entry)
        labels = hub_labels(self.sysmon.model)
        panel.set_draw(
            lambda width, height, look: (
                []
                if entry is None
                else details(entry, width, height, look, now=now, state=state, alerts=alerts, seen=seen, labels=labels)
            )
        )

    def on_table_row_highlighted(self) -> None:
        """Another host."""
        self._show_one()
        self._look()

    def on_fleet_cards_moved(self) -> None:
        """Another host."""
        self._show_one()
        self._look()

    def on_resize(self, event: events.Resize) -> None:
        """What fits is another thing now."""
        super().on_resize(event)
        self.call_after_refresh(self.show_again)

    def on_screen_suspend(self) -> None:
        """Nobody looks: nothing more is read."""
        if self._found is not None:
            self._found.rest()

    # -- actions

    def _key(self, name: str) -> str:
        key = next(key for key in KEYS if key.id == name)
        return label(present_keys(key, self.services.config.keys)[0])

    def _hint(self) -> None:
        def hint(name: str, words: str, action: str = "") -> Hint:
            return Hint(self._key(name), words, f"screen.{action or name}")

        hints = [hint("open", "open"), hint("filter", "filter"), hint("layout", "cards/rows")]
        hints.append(Hint(f"{self._key('sort_left')} {self._key('sort_right')}", "sort", "screen.sort_beside(1)"))
        if self.services.hosts is not None:
            hints += [hint("add", "add", "add_host"), hint("edit", "edit", "edit_host")]
            hints += [hint("pause", "pause", "pause_host"), hint("remove", "remove", "remove_host")]
        for part in (self._table, self._cards):
            part.set_frame(hints=hints)

    async def action_open(self) -> None:
        """The host under the cursor, in every other screen, at the moment shown."""
        entry, app = self.entry, self.sysmon
        if entry is None:
            return
        if entry.key not in app.model.hosts:
            app.say(f"{entry.label} was never reached" + (f": {entry.message}" if entry.message else ""))
            return
        moment = self.view.time if app.cursor.mode == "past" and self.view is not None else None
        other = entry.key != app.host_id
        app.show_host(entry.key)
        await app.action_screen("overview")
        if moment is not None and other:
            app.stay_at(moment)

    async def on_table_row_selected(self, event: Table.RowSelected) -> None:
        """Enter, or a click on the host under the cursor."""
        event.stop()
        await self.action_open()

    async def on_fleet_cards_chosen(self, event: FleetCards.Chosen) -> None:
        """Enter, or a click on the card under the cursor."""
        event.stop()
        await self.action_open()

    def action_filter(self) -> None:
        """Type a filter."""
        self.query_one(FleetFilter).open(self._filter, tag_counts(self._all))
        self.query_one(FleetFilter).set_count(len(self._shown), len(self._all))

    def on_filter_line_changed(self, event: FleetFilter.Changed) -> None:
        """Another filter counts."""
        event.stop()
        self._filter, self._terms = event.text, parse_filter(event.text)
        if event.closed:
            self._list.focus()
        self.show_again()

    def action_next_tag(self) -> None:
        """The hosts of the next tag alone; after the last all again."""
        tags = ["", *sorted(tag for tag, _ in tag_counts(self._all))]
        if len(tags) == 1:
            self.sysmon.say("no host has a tag")
            return
        self._tag = tags[(tags.index(self._tag) + 1) % len(tags)] if self._tag in tags else ""
        self.show_again()

    def action_layout(self) -> None:
        """Cards or rows."""
        self._layout = "rows" if self.has_class("-cards") else "cards"
        self.show_again()

    def action_details(self) -> None:
        """Show or hide the details."""
        self.toggle_class("-opened" if self.has_class("-tiny") else "-closed")
        self.call_after_refresh(self.show_again)

    def action_reverse(self) -> None:
        """Reverse the order."""
        self._sort = (self._sort[0], not self._sort[1])
        self.show_again()

    def action_sort_beside(self, direction: int) -> None:
        """Sort by the next column at the left or the right; before the first is worst first."""
        names = ["", *SORTS]
        if not self.has_class("-cards"):
            placed = {column.key for column in columns(self._width)} if self._width else set(SORTS)
            names = ["", *(name for name in SORTS if name in placed)]
        at = names.index(self._sort[0]) if self._sort[0] in names else 0
        self._sort_by(names[(at + direction) % len(names)])

    def _sort_by(self, column: str) -> None:
        self._sort = (column, SORTS.get(column, False))
        self.show_again()

    def on_table_header_selected(self, event: Table.HeaderSelected) -> None:
        """Sort by a column; again reverses; once more is worst first."""
        event.stop()
        column, reverse = self._sort
        if event.column != column:
            self._sort_by(event.column)
        elif reverse == SORTS.get(column, False):
            self.action_reverse()
        else:
            self._sort_by("")

    def action_close(self) -> None:
        """One thing back; where there is none, Esc is the app's."""
        if self.has_class("-tiny") and self.has_class("-opened"):
            self.action_details()
        elif self._filter or self._tag:
            self._filter, self._terms, self._tag = "", (), ""
            self.show_again()
        else:
            raise SkipAction


SCREEN = FleetScreen
