"""The devices behind a router: who they are, what they move now and moved in a range, and a page for each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from sysmon.zones import zone_of
from tui import keys_network
from tui.devicerows import SORTS, Device, build, facts, sort_devices
from tui.devicewords import note_of, routers, sources, why_empty
from tui.keys import bindings
from tui.networkfilter import kept
from tui.networkrange import RangeName, period_of, range_words
from tui.networkread import DevicesTold, device_caps, read_caps, read_devices, read_range, read_totals
from tui.renderables.frame import Hint
from tui.widgets.devices_columns import columns
from tui.widgets.devices_notes import DeviceNotes
from tui.widgets.devices_page import DevicePage, DevicePast
from tui.widgets.network_chart import RangeChart
from tui.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from sysmon.caps import Standing
    from tui.model import View
    from tui.networkbook import Entry
    from tui.networkread import RangeTold, Totals


TALL: Final = 36
"""Lines from which a wide screen has room for a chart above the table."""
REST_SECONDS: Final = 0.2
"""How long the cursor rests on a device before its past is asked for."""


class DevicesTab(DeviceNotes):
    """A table of devices, where there is room under the range of the one that the cursor is on; or the page of one."""

    NAME = "devices"
    SORTS: ClassVar[Mapping[str, bool]] = SORTS
    TABLES = frozenset({"devices"})
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(keys_network.DEVICE_KEYS)]
    DEFAULT_CSS = """
    DevicesTab #device { display: none; }
    DevicesTab #device-bars { display: none; height: 40%; }
    DevicesTab.-tall #device-bars { display: block; }
    DevicesTab.-details #device-bars { display: none; }
    DevicesTab.-details #device { display: block; }
    DevicesTab.-details #devices { display: none; }
    """

    def __init__(self) -> None:
        super().__init__(id="tab-devices")
        self._built: tuple[object, ...] = ()
        self.rows: list[Device] = []
        self._ordered: tuple[object, ...] = ()
        self._shown: list[Device] = []
        self._parts: list[str] = []
        self._minute = -1
        self._time = 0
        self._rested = ""
        self.has_resets = False

    def compose(self) -> ComposeResult:
        """The chart over the table, and the page in their place."""
        yield RangeChart(id="device-bars")
        yield Table[Device](
            columns(bits=False, now=lambda: self._time), lambda row: row.key, "devices", hotkey="3", id="devices"
        )
        yield DevicePage(id="device")

    @property
    def table(self) -> Table[Device]:
        """The table."""
        return self.query_one("#devices", Table)

    @property
    def page(self) -> DevicePage:
        """The page of one device."""
        return self.query_one("#device", DevicePage)

    @property
    def whole(self) -> bool:
        """Whether all widgets are there."""
        return len(self.query("#devices, #device, #device-bars")) == 3

    @property
    def range(self) -> RangeName:
        """The range of the totals; beside the rates of now it is today."""
        name = self.network.range
        return "today" if name == "now" or (name == "reset" and not self.has_resets) else name

    def focus_list(self) -> None:
        """The page where it is open."""
        (self.page if self.has_class("-details") else self.table).focus()

    def count(self, view: View) -> int | None:
        """How many devices are known; None where nobody told."""
        if self.host == view.info.id and self.rows:
            return len(self.rows)
        return len(view.state.tables.devices) if view.state.tables.devices is not None else None

    def words_of_range(self, view: View) -> str:
        """The range."""
        zone = zone_of(view.info.timezone)
        name = self.range if self.network.range != "now" else "now"
        known = self._known(view).value
        resets = known.resets if known is not None else []
        return range_words(period_of(name, max(1, view.time), zone, resets), zone)

    # -- asking

    def _known(self, view: View) -> Entry[DevicesTold]:
        return self.ask(view, ("devices",), lambda history: read_devices(history, view.info.id))

    def _told(self, view: View) -> Entry[RangeTold]:
        name, zone = self.range, zone_of(view.info.timezone)
        known = self._known(view).value
        resets = tuple(known.resets) if known is not None else ()
        return self.ask(
            view,
            ("range", "device", name, resets),
            lambda history: read_range(
                history, view.info.id, "device", name, view.time, zone, live=view.live, steps=False, resets=resets
            ),
            empty=lambda told: not told.amounts,
        )

    # -- showing

    def draw(self, view: View) -> None:
        """Draw the devices of a moment; where nothing was told since the last time, nothing is worked out."""
        if view.info.id != self.host:
            self.host, self.pinned = view.info.id, None
            self._built = ()
            self.table.release_cursor()
            self.close_details()
        self._time = view.time
        known, told = self._known(view), self._told(view)
        self.has_resets = bool(known.value is not None and known.value.resets)
        state = view.state
        built = (
            view.info.id, 0 if view.live else view.time, id(state.tables.devices), state.reads.get("devices"),
            known.value, told.value, view.status.state,
            " ".join(fault.message for fault in state.faults if fault.collector == "devices"),
        )  # fmt: skip
        if not self._same(built):
            self._built = built
            devices = known.value.devices if known.value is not None else None
            self.rows = build(view, devices, told.value.amounts if told.value is not None else None)
            self._ordered = ()
            self._parts = self._told_of(view)
        ordered = (self.sort, self.filter)
        if ordered != self._ordered:
            self._ordered = ordered
            self._shown = sort_devices(kept(self.rows, self.terms, facts), *self.sort)
        self.counts = (len(self._shown), len(self.rows))
        self._frame(view, known, told)
        self.table.set_rows(self._shown, sort=self.sort)
        self.network.find_wanted(self.table)
        if view.time // 60_000 != self._minute:
            # How long ago one was seen.
            self._minute = view.time // 60_000
            self.table.redraw()
        self.draw_one(view)

    def _same(self, built: tuple[object, ...]) -> bool:
        before = self._built
        return len(before) == len(built) and all(
            one is other or (not isinstance(one, tuple) and one == other)
            for one, other in zip(before, built, strict=True)
        )

    def _frame(self, view: View, known: Entry[DevicesTold], told: Entry[RangeTold]) -> None:
        network = self.network
        if self.rows:
            words = [f"none of {len(self.rows)} devices match", f"{network.key('close')} shows all"]
        else:
            words = why_empty(
                view, network.sysmon.model, network.services.config, network.key("router"),
                reading=known.reading, problem=known.problem,
            )  # fmt: skip
        self.table.set_empty("\n".join(words))
        parts = [*self._parts]
        if self.rows:
            parts += [problem] if (problem := told.problem or known.problem) else []
            parts += ["totals of today"] if network.range == "now" else []
            parts += self.order_words("use")
        title = f"devices of {view.info.label}" if self.rows else "devices"
        self.table.set_frame(title=title, subtitle=self.fitted(title, parts), update=False)

    def _told_of(self, view: View) -> list[str]:
        """How many are there, and what counts them or what is wrong with that."""
        if not self.rows:
            return []
        online = [row.online for row in self.rows if row.online is not None]
        word = "moved bytes then" if view.status.state == "replay" else "online"
        count = f"{sum(online)} of {len(self.rows)} {word}" if online else f"{len(self.rows)} devices"
        note = note_of(view, self.rows)
        return [count, note] if note else [count, *sources(row.row for row in self.rows)]

    def draw_one(self, view: View) -> None:
        """The page of the device that it was opened for, or the chart of the one that the cursor is on."""
        if self.has_class("-details"):
            device = next((row for row in self.rows if row.key == self.pinned), None)
            self.page.show(view, device, self._past(view, device), bits=self.network.bits)
        elif self.has_class("-tall"):
            self._draw_bars(view, self.table.cursor_row)

    def _draw_bars(self, view: View, device: Device | None) -> None:
        zone, chart = zone_of(view.info.timezone), self.query_one(RangeChart)
        if device is None:
            chart.show("range", (), None, zone)
        elif device.key != self._rested:
            # Whoever goes through the table asks for nothing on the way.
            chart.show(device.label, (), None, zone)
            self.set_timer(REST_SECONDS, partial(self._rest_at, device.key))
        else:
            entry = self._bars(view, device)
            words = entry.problem or (f"reading{self.network.dots}" if entry.value is None else "")
            chart.show(device.label, (device.key,), entry.value, zone, words)

    def _rest_at(self, key: str) -> None:
        row = self.table.cursor_row if self.whole else None
        if row is not None and row.key == key != self._rested:
            self._rested = key
            self.network.refresh_soon()

    def _bars(self, view: View, device: Device) -> Entry[RangeTold]:
        zone, host, time = zone_of(view.info.timezone), view.info.id, view.time
        names, name = (device.key,), self.range
        known = self._known(view).value
        resets = tuple(known.resets) if known is not None else ()
        return self.ask(
            view,
            ("page", name, resets, names),
            lambda history: read_range(
                history, host, "device", name, time, zone, names=names, live=view.live, resets=resets
            ),
        )

    def _past(self, view: View, device: Device | None) -> DevicePast:
        zone, host, time = zone_of(view.info.timezone), view.info.id, view.time
        if device is None:
            return DevicePast(zone)
        names = (device.key,)
        known = self._known(view).value
        resets = tuple(known.resets) if known is not None else ()
        told = self._bars(view, device)
        totals: Entry[Totals] = self.ask(
            view,
            ("pagetotals", names),
            lambda history: read_totals(history, host, "device", time, zone, names, live=view.live),
        )
        since = max((each for each in resets if each <= time), default=None)
        reset = None
        if since is not None:
            entry = self.ask(
                view,
                ("page", "reset", resets, names),
                lambda history: read_range(
                    history, host, "device", "reset", time, zone, names=names, live=view.live, resets=resets
                ),
            )
            reset = (since, entry.value.amounts.get(device.key) if entry.value is not None else None)
        caps: tuple[Standing, ...] = ()
        services = self.network.services
        devices = known.devices if known is not None else []
        wanted = device_caps(services.config.caps, view.info, services.local, device.key, devices)
        if wanted:
            used = self.ask(
                view,
                ("pagecaps", names, *(cap.name for cap in wanted)),
                lambda history: read_caps(history, host, time, zone, wanted),
            )
            caps = tuple(used.value or ())
        ranged = self.network.range != "now"
        return DevicePast(zone, told.value, totals.value, reset, caps, totals.problem or told.problem, ranged)

    # -- what is chosen

    def lay_out(self) -> None:
        """The columns for the present size, unit and range."""
        network = self.network
        ranged = network.range != "now"
        self.set_class(network.size_word == "wide" and network.size.height >= TALL, "-tall")
        made = columns(bits=network.bits, now=lambda: self._time, size=network.size_word, ranged=ranged)
        self.table.set_columns(made)

    def hint(self) -> None:
        """Say which keys there are."""
        network = self.network
        writable = network.services.notes is not None
        units = self.key_hint("units", "bytes" if network.bits else "bits")
        hints = [self.key_hint("details", "details"), self.key_hint("range", "range", "range(1)"), units]
        hints.append(self.key_hint("filter", "filter"))
        hints.append(Hint(f"{network.key('sort_left')} {network.key('sort_right')}", "sort", "screen.sort_beside(1)"))
        if writable:
            hints += [self.key_hint("alias", "name"), self.key_hint("reset", "count anew")]
        if len(routers(network.sysmon.model, network.services.config)) > 1:
            hints.append(self.key_hint("router", "next router"))
        self.table.set_frame(hints=hints)
        page = [self.key_hint("close", "back"), self.key_hint("range", "range", "range(1)"), units]
        if writable:
            page += [self.key_hint("alias", "name"), self.key_hint("category", "sort of device")]
        self.page.set_frame(hints=page)

    def open_details(self) -> None:
        """All about the device under the cursor."""
        row = self.table.cursor_row
        if row is None:
            return
        self.pinned = row.key
        self.add_class("-details")
        self.page.focus()
        self.hint()
        self.network.refresh_soon()

    def next_router(self) -> None:
        """Shows the next router of those there are."""
        network = self.network
        app = network.sysmon
        found = [host.info.id for host in routers(app.model, network.services.config)]
        if not found:
            app.say("no router has been heard of")
            return
        at = found.index(app.host_id) + 1 if app.host_id in found else 0
        if found[at % len(found)] == app.host_id:
            app.say("there is no other router")
        else:
            app.show_host(found[at % len(found)])
            self.hint()
