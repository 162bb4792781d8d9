"""The Network screen: interfaces, the devices behind a router, who on this host uses the line; now or in a range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.actions import SkipAction

from tui import keys_network
from tui.keys import bindings, label, present_keys, register
from tui.networkbook import Book
from tui.networkrange import RANGES, SHORT, RangeName, next_range
from tui.renderables.frame import Hint
from tui.screens.base import HostScreen
from tui.widgets.connections_tab import ConnectionsTab
from tui.widgets.devices_tab import DevicesTab
from tui.widgets.network_filter import RowFilter
from tui.widgets.network_interfaces import InterfacesTab
from tui.widgets.network_protocols import GRAPHED
from tui.widgets.network_tabs import TABS, TabLine

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.geometry import Size

    from tui.model import View
    from tui.widgets.network_tab import NetworkTab

KEYS = register(keys_network.SCOPE, keys_network.KEYS)


class NetworkScreen(HostScreen):
    """Three tables, one at a time, under a line that says which; each with its own details, order and filter."""

    NAME = "network"
    TITLE_TEXT = "Network"
    GRAPHED: ClassVar[tuple[str, ...]] = (
        "net.receive_rate", "net.transmit_rate", "device.receive_rate", "device.transmit_rate", *GRAPHED,
    )  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(keys_network.SCREEN_KEYS)]
    AUTO_FOCUS = "#interfaces"
    DEFAULT_CSS = """
    NetworkScreen #tabs { height: 1; }
    NetworkScreen #top { height: 50%; }
    NetworkScreen #protocols { width: 32; }
    NetworkScreen #totals { width: 40; display: none; }
    NetworkScreen #bars { display: none; }
    NetworkScreen #beside { width: 50; display: none; }
    NetworkScreen #details { display: none; }
    NetworkScreen #interfaces { height: 1fr; }

    NetworkScreen .-ranged #bars { display: block; }
    NetworkScreen .-ranged #totals { display: block; }
    NetworkScreen .-ranged #traffic { display: none; }
    NetworkScreen .-ranged #protocols { display: none; }

    NetworkScreen.-short #top { height: 9; }
    NetworkScreen.-narrow #top { layout: vertical; height: 50%; }
    NetworkScreen.-narrow #protocols { width: 1fr; height: 7; }
    NetworkScreen.-narrow #totals { width: 1fr; height: 7; }
    NetworkScreen.-narrow.-short #top { height: 11; }
    NetworkScreen.-narrow.-short #protocols { height: 3; }
    NetworkScreen.-narrow.-short #totals { height: 4; }
    NetworkScreen.-tiny #top { display: none; }

    NetworkScreen.-wide #top { height: 60%; }
    NetworkScreen.-wide #protocols { width: 42; }
    NetworkScreen.-wide #totals { width: 50; }
    NetworkScreen.-wide #beside { display: block; }
    NetworkScreen.-wide.-short #top { height: 50%; }

    NetworkScreen .-details #interfaces { display: none; }
    NetworkScreen .-details #details { display: block; }
    NetworkScreen .-details #top { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.range: RangeName = "now"
        self.bits = False
        self.size_word = ""
        self._active = TABS[0]
        self._book: Book | None = None
        self._soon = False

    def compose_body(self) -> ComposeResult:
        """The line of tables, the tables, the line of the filter."""
        yield TabLine()
        yield InterfacesTab()
        yield DevicesTab()
        yield ConnectionsTab()
        yield RowFilter(id="filter")

    def on_mount(self) -> None:
        """Show the first table."""
        self.tab.add_class("-shown")
        for tab in self._tabs():
            tab.hint()

    # -- what is there

    def _tabs(self) -> list[NetworkTab]:
        return [*self.query(InterfacesTab), *self.query(DevicesTab), *self.query(ConnectionsTab)]

    @property
    def tab(self) -> NetworkTab:
        """The table shown."""
        return next(tab for tab in self._tabs() if tab.NAME == self._active)

    @property
    def devices(self) -> DevicesTab:
        """The table of devices."""
        return self.query_one(DevicesTab)

    @property
    def connections(self) -> ConnectionsTab:
        """The table of processes and connections."""
        return self.query_one(ConnectionsTab)

    @property
    def _whole(self) -> bool:
        """Whether the screen stands; a worker may outlast its widgets when the program ends."""
        return len(self._tabs()) == 3 and bool(self.query("#tabs, #filter")) and self.tab.whole

    @property
    def book(self) -> Book:
        """What was read of the history."""
        if self._book is None:
            self._book = Book(
                self.services.clock, self._start, lambda worker: worker.cancel(), self.set_timer, self.refresh_soon
            )
        return self._book

    def _start(self, work: Coroutine[Any, Any, None]) -> Any:
        return self.run_worker(work, group="usage")

    @property
    def dots(self) -> str:
        """What stands where something is left out or still to come."""
        return self.tab.table.look.glyphs.ellipsis

    def tables(self) -> frozenset[str]:
        """Those of the table shown."""
        return next((tab.TABLES for tab in self._tabs() if tab.NAME == self._active), frozenset())

    # -- showing

    def show(self, view: View) -> None:
        """Draw the table shown."""
        if not self._whole:
            return
        tab = self.tab
        tab.draw(view)
        bar = self.query_one(RowFilter)
        if bar.is_open:
            bar.set_count(*tab.counts)
        self._show_tabs(view)

    def _show_tabs(self, view: View) -> None:
        state = view.state
        counts = {
            "interfaces": len(state.tables.interfaces or state.instances("net.receive")),
            "devices": self.devices.count(view),
            "connections": self.connections.count(view),
        }
        keys = {name: self.key(name) for name in (*TABS, "range")}
        words = self.tab.words_of_range(view)
        short = SHORT[self.range] if words else ""
        self.query_one(TabLine).show(self._active, counts, keys, (words, short), slow=self.book.slow)

    def refresh_tab(self) -> None:
        """Draw the view shown again, for what was chosen or read."""
        if self.view is not None and self.is_mounted:
            self.show(self.view)

    def refresh_soon(self) -> None:
        """Draw it again once what was begun is laid out; several calls draw once."""
        if not self._soon:
            self._soon = True
            self.call_after_refresh(self._refreshed)

    def _refreshed(self) -> None:
        self._soon = False
        self.refresh_tab()

    def set_size_classes(self, size: Size) -> None:
        """Choose the columns too."""
        super().set_size_classes(size)
        word = next((name for name in ("tiny", "narrow", "wide") if self.has_class(f"-{name}")), "")
        if word != self.size_word:
            self.size_word = word
            self._lay_out()

    def _lay_out(self) -> None:
        for tab in self._tabs():
            if tab.whole:
                tab.lay_out()

    def on_resize(self, event: events.Resize) -> None:
        """Panels that came into view have nothing yet."""
        super().on_resize(event)
        self._lay_out()
        self.call_after_refresh(self.refresh_tab)

    def on_screen_suspend(self) -> None:
        """Nobody looks: no totals and no names are needed."""
        if self._book is not None:
            self._book.rest()
        self.connections.rest()

    # -- keys

    def key(self, name: str) -> str:
        """The key of one of the screen's actions, as people know it."""
        key = next(key for key in KEYS if key.id == name)
        return label(present_keys(key, self.services.config.keys)[0])

    def key_hint(self, name: str, words: str, action: str = "") -> Hint:
        """A hint of one of the screen's actions."""
        return Hint(self.key(name), words, f"screen.{action or name}")

    def rehint(self) -> None:
        """Say anew which keys there are."""
        for tab in self._tabs():
            if tab.whole:
                tab.hint()

    # -- which table, which range

    def action_show_tab(self, name: str) -> None:
        """Another table."""
        if name not in TABS or not self._whole:
            return
        bar = self.query_one(RowFilter)
        if bar.is_open:
            bar.cancel()
        if name != self._active:
            self.tab.remove_class("-shown")
            self._active = name
            if self.range == "reset":
                # That range is the devices' own.
                self.range = "now"
                self.rehint()
            self.tab.add_class("-shown")
            self.tab.lay_out()
            self.sysmon.watch_tables()
        self.tab.focus_list()
        self.refresh_tab()
        self.refresh_soon()

    def action_view(self, direction: int) -> None:
        """The next or the previous table."""
        self.action_show_tab(TABS[(TABS.index(self._active) + direction) % len(TABS)])

    def action_range(self, direction: int) -> None:
        """The next or the previous range."""
        if self._active == "connections":
            self.sysmon.say("connections are counted since looking began; they have no other range")
            return
        resets = self._active == "devices" and self.devices.has_resets
        if direction > 0:
            self.choose_range(next_range(self.range, resets=resets))
            return
        names = (*RANGES, "reset") if resets else RANGES
        self.choose_range(names[(names.index(self.range) - 1) % len(names)] if self.range in names else "now")

    def choose_range(self, name: RangeName) -> None:
        """Another range."""
        self.range = name
        self._lay_out()
        self.rehint()
        self.refresh_tab()
        self.refresh_soon()

    def action_units(self) -> None:
        """Bytes or bits per second."""
        self.bits = not self.bits
        self._lay_out()
        self.rehint()
        self.refresh_tab()

    def action_quiet(self) -> None:
        """Hide or show what is of little interest."""
        if self._active != "interfaces":
            raise SkipAction
        self.query_one(InterfacesTab).toggle_quiet()
        self.refresh_tab()

    def action_router(self) -> None:
        """The devices of another router."""
        self.action_show_tab("devices")
        self.devices.next_router()

    # -- rows

    def action_details(self) -> None:
        """All about the row under the cursor."""
        self.tab.open_details()

    def action_filter(self) -> None:
        """Type a filter."""
        self.tab.close_details()
        self.query_one(RowFilter).open(self.tab.filter, self.tab.fields)
        self.query_one(RowFilter).set_count(*self.tab.counts)

    def on_filter_line_changed(self, event: RowFilter.Changed) -> None:
        """Another filter counts."""
        event.stop()
        self.tab.set_filter(event.text)
        if event.closed:
            self.tab.focus_list()
        self.refresh_tab()

    def action_reverse(self) -> None:
        """Reverse the order."""
        self.tab.reverse()
        self.refresh_tab()

    def action_sort_beside(self, direction: int) -> None:
        """Sort by the next column at the left or the right; before the first is the screen's own order."""
        self.tab.sort_beside(direction)
        self.refresh_tab()

    def action_close(self) -> None:
        """One thing back: a read that takes long, the details, the filter; where there is none, Esc is the app's."""
        if self.maximized is not None:
            raise SkipAction
        if self.book.slow and self.book.stop():
            self.refresh_tab()
        elif self.tab.close_details():
            return
        elif self.tab.filter:
            self.tab.set_filter("")
            self.refresh_tab()
        else:
            raise SkipAction

    # -- devices

    def action_alias(self) -> None:
        """Give a device a name."""
        self.devices.ask_alias()

    def action_category(self) -> None:
        """Say what sort of device it is."""
        self.devices.ask_category()

    def action_reset(self) -> None:
        """Begin a new counting period."""
        self.devices.ask_reset()

    # -- connections

    def action_single(self) -> None:
        """By process, or every connection."""
        self.connections.toggle_single()
        self.refresh_tab()

    def action_names(self) -> None:
        """Names of the addresses in view, or none."""
        self.connections.toggle_names()
        self.refresh_tab()

    def action_open_process(self) -> None:
        """The process under the cursor on the Processes screen."""
        self.connections.open_process()


SCREEN = NetworkScreen
