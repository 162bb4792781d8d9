"""The Alerts screen: what fires, what was seen, what is over, and the rules that watch."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Final

from textual.actions import SkipAction
from textual.containers import Container

from tui import keys_alerts
from tui.keys import bindings, label, present_keys, register
from tui.renderables.frame import Hint
from tui.screens.base import HostScreen
from tui.widgets.alerts_columns import columns
from tui.widgets.alerts_details import AlertDetails
from tui.widgets.alerts_past import EventPages, Surroundings, read_all, read_surroundings
from tui.widgets.alerts_rows import KINDS, AlertRow, Kind, Rows, alerts_at, chosen, quiet_since
from tui.widgets.alerts_rules import RuleRow, rule_columns, rule_rows
from tui.widgets.alerts_standing import Standing
from tui.widgets.alerts_table import AlertsTable
from tui.widgets.lines import Line
from tui.widgets.table import Table

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from sysmon.config import Rule
    from sysmon.records import AlertState, Event
    from tui.model import View

KEYS = register(keys_alerts.SCOPE, keys_alerts.KEYS)

_KIND_WORDS: Final[dict[Kind, str]] = {"all": "alerts and events", "alerts": "alerts", "events": "host events"}
_REST: Final = 0.15
"""Seconds that the cursor must rest on a row before history is asked about it."""


class AlertsScreen(HostScreen):
    """One list of alerts and events with the details of the row under the cursor; the rules in its place on demand."""

    NAME = "alerts"
    TITLE_TEXT = "Alerts"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(KEYS)]
    AUTO_FOCUS = "#list"
    DEFAULT_CSS = """
    AlertsScreen #both { layout: vertical; height: 1fr; }
    AlertsScreen #list { height: 1fr; }
    AlertsScreen #rules { height: 1fr; display: none; }
    AlertsScreen #about { height: 15; }
    AlertsScreen.-short #about { height: 9; }
    AlertsScreen.-wide #both { layout: horizontal; }
    AlertsScreen.-wide #about { width: 72; height: 1fr; }
    AlertsScreen.-rules #list { display: none; }
    AlertsScreen.-rules #rules { display: block; }
    AlertsScreen.-rules #about { height: 9; }
    AlertsScreen.-rules.-wide #about { height: 1fr; }
    AlertsScreen.-closed #about { display: none; }
    AlertsScreen.-tiny #about { display: none; }
    AlertsScreen.-tiny.-opened #about { display: block; height: 1fr; }
    AlertsScreen.-tiny.-opened #list { display: none; }
    AlertsScreen.-tiny.-opened #rules { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._kind: Kind = "all"
        self._filter = ""
        self._everywhere = False
        self._pages: dict[str, EventPages] = {}
        self._loading = False
        self._around: dict[str, Surroundings] = {}
        self._asked = ""
        self._past: tuple[tuple[object, ...], list[AlertRow]] = ((), [])
        self._columns_of: bool | None = None

    def compose_body(self) -> ComposeResult:
        """A line that says how it stands, the list, and the details."""
        hosts = any(rule.hosts != ("*",) for rule in self.services.config.rules)
        yield Line(id="standing")
        with Container(id="both"):
            yield AlertsTable(columns(hosts=False, now=self._now), lambda row: row.id, "alerts", hotkey="0", id="list")
            yield Table[RuleRow](
                rule_columns(hosts=hosts), lambda row: row.rule.name, "rules", id="rules", empty="no rules"
            )
            yield AlertDetails()

    def on_mount(self) -> None:
        """Say which keys there are."""
        self._hint()

    # -- what is there

    @property
    def _list(self) -> AlertsTable:
        return self.query_one("#list", AlertsTable)

    @property
    def _rules(self) -> Table[RuleRow]:
        return self.query_one("#rules", Table)

    @property
    def _whole(self) -> bool:
        """Whether all widgets are there; workers may outlast them when the program ends."""
        return len(self.query("#standing, #list, #rules, #about")) == 4

    def _now(self) -> int:
        return self.view.time if self.view is not None else self.services.clock.now()

    def _hosts(self, view: View) -> list[str]:
        hosts = self.sysmon.model.hosts
        return [view.info.id, *(host for host in hosts if self._everywhere and host != view.info.id)]

    def _events(self, view: View, hosts: list[str]) -> list[Event]:
        """Everything known of these hosts up to the moment, each once."""
        found: dict[str, Event] = {}
        for host in hosts:
            pages, model = self._pages.get(host), self.sysmon.model.hosts.get(host)
            if pages is not None:
                found.update(pages.events)
            recent = view.events if host == view.info.id else model.events if model is not None else ()
            found.update((event.id, event) for event in recent)
        past = view.status.state == "replay"
        return [event for event in found.values() if not past or event.time <= view.time]

    def _alerts(self, view: View, hosts: list[str], events: list[Event]) -> list[AlertState]:
        if view.status.state == "replay":
            return [*view.alerts, *([] if view.alerts else alerts_at(events, view.time))]
        others = [self.sysmon.model.hosts[host] for host in hosts[1:]]
        return [*view.alerts, *(alert for host in others for alert in host.alerts.values())]

    # -- showing

    def show(self, view: View) -> None:
        """Draw the alerts of a moment."""
        if not self._whole:
            return
        hosts = self._hosts(view)
        self._load(hosts, more=False)
        several = len(hosts) > 1
        if several != self._columns_of:
            self._columns_of = several
            self._list.set_columns(columns(hosts=several, now=self._now))
        events = self._events(view, hosts)
        alerts = self._alerts(view, hosts, events)
        labels = {host: model.info.label for host, model in self.sysmon.model.hosts.items()}
        rows = Rows(view.state.catalogue, labels)
        active = rows.active(alerts, events, view.time)
        past = self._past_rows(rows, events, active, view)
        everything = [*active, *past]
        shown = chosen(everything, self._kind, self._filter)
        self._say(view, active, events, hosts)
        self._frame(len(shown), len(everything))
        self._list.set_rows(shown)
        self.find_wanted(self._list)
        self._rules.set_rows(rule_rows(self.services.config.rules, alerts, view.state.catalogue))
        self._show_details(view)

    def _past_rows(self, rows: Rows, events: list[Event], active: list[AlertRow], view: View) -> list[AlertRow]:
        """Rows of what is over, made anew only when something happened."""
        newest = max((event.time for event in events), default=0)
        lasting, labels = tuple(row.id for row in active), tuple(rows.labels.values())
        key = (view.info.id, self._everywhere, len(events), newest, lasting, labels)
        if key != self._past[0]:
            self._past = (key, rows.past(events, active))
        return self._past[1]

    def _frame(self, shown: int, everything: int) -> None:
        parts = [_KIND_WORDS[self._kind]] if self._kind != "all" else []
        if self._filter:
            parts.append(f"'{self._filter}'")
        if parts:
            parts.append(f"{shown} of {everything}")
        elif any(not pages.complete for pages in self._pages.values()):
            parts.append("PgDn at the end reads more")
        table = self._list
        table.set_frame(subtitle="  ".join(parts), update=False)
        problem = next((pages.problem for pages in self._pages.values() if pages.problem), "")
        reading = self._loading and not everything
        empty = f"the history cannot be read: {problem}" if problem else "nothing has happened yet"
        if everything:
            empty = f"none of {everything} rows match: Esc shows all"
        table.set_empty("reading the history" if reading else empty)

    def _say(self, view: View, active: list[AlertRow], events: list[Event], hosts: list[str]) -> None:
        pages = [self._pages.get(host) for host in hosts]
        sinces = [each.since if each is not None and each.complete else None for each in pages]
        known = [since for since in sinces if since is not None]
        standing = Standing(
            active,
            quiet_since(events),
            max(known) if known and len(known) == len(sinces) else None,
            view.time,
            several=len(hosts) > 1,
            rules=sum(rule.enabled for rule in self.services.config.rules),
        )
        self.query_one("#standing", Line).set_draw(lambda width, _, look: [standing.line(width, look)])

    def _show_details(self, view: View) -> None:
        if not self._whole or not (panel := self.query_one(AlertDetails)).display:
            return
        catalogue = view.state.catalogue
        if self.has_class("-rules"):
            chosen_rule = self._rules.cursor_row
            panel.show(view, None, chosen_rule.rule if chosen_rule is not None else None, None, catalogue)
            return
        row = self._list.cursor_row
        if row is None:
            panel.show(view, None, None, None, catalogue)
            return
        self._ask(row)
        panel.show(view, row, self._rule(row.rule), self._around.get(row.id), catalogue)

    def _rule(self, name: str) -> Rule | None:
        return next((rule for rule in self.services.config.rules if rule.name == name), None)

    def _refresh(self) -> None:
        if self.view is not None:
            self.show(self.view)

    def on_table_row_highlighted(self) -> None:
        """Another row."""
        if self.view is not None:
            self._show_details(self.view)

    # -- history

    def _load(self, hosts: list[str], *, more: bool) -> None:
        """Reads the first page of hosts not read yet, or the next of all."""
        if self._loading:
            return
        wanted = []
        for host in hosts:
            history = self.services.history(host)
            pages = self._pages.get(host)
            if pages is None:
                pages = self._pages[host] = EventPages(host)
                pages.complete = history is None
            elif not more and pages.version:
                continue
            if history is not None and not pages.complete:
                wanted.append((pages, history))
        if not wanted:
            return
        self._loading = True

        async def read() -> None:
            try:
                await read_all(wanted)
            finally:
                self._loading = False
            self._refresh()

        self.run_worker(read(), group="events")

    def on_alerts_table_end_reached(self, event: AlertsTable.EndReached) -> None:
        """Read older events."""
        event.stop()
        if self.view is not None:
            self._load(self._hosts(self.view), more=True)

    def _ask(self, row: AlertRow) -> None:
        """Reads what stood around a row's moment, once the cursor rests on it."""
        if row.id in self._around or row.id == self._asked:
            return
        history = self.services.history(row.host)
        if history is None:
            return
        self._asked = row.id

        async def read() -> None:
            await asyncio.sleep(_REST)
            found = await read_surroundings(history, row, self.services.clock.now())
            if len(self._around) >= 64:
                self._around.clear()
            self._around[row.id] = found
            if self.view is not None:
                self._show_details(self.view)

        self.run_worker(read(), group="around", exclusive=True)

    def on_screen_suspend(self) -> None:
        """Nobody looks."""
        self._asked = ""
        self.workers.cancel_group(self, "around")

    # -- actions

    def _key(self, name: str) -> str:
        key = next(key for key in KEYS if key.id == name)
        return label(present_keys(key, self.services.config.keys)[0])

    def _hint(self) -> None:
        def hint(name: str, words: str, action: str = "") -> Hint:
            return Hint(self._key(name), words, f"screen.{action or name}")

        hints = [
            hint("go", "go to the moment"),
            hint("filter", "filter"),
            hint("kinds", "kinds"),
            hint("rules", "rules"),
        ]
        if len(self.sysmon.model.hosts) > 1:
            hints.append(hint("hosts", "this host" if self._everywhere else "all hosts", "all_hosts"))
        self._list.set_frame(hints=[*hints, hint("details", "details")])
        self._rules.set_frame(hints=[hint("rules", "alerts"), hint("go", "its alerts")])

    def on_screen_resume(self) -> None:
        """Hosts may have come."""
        if self.query("#list"):
            self._hint()

    async def action_go(self) -> None:
        """To the moment of the row under the cursor; of a rule, to its alerts."""
        if self.has_class("-rules"):
            rule = self._rules.cursor_row
            if rule is not None:
                self._filter = rule.rule.name
                self.action_rules()
            return
        row, app = self._list.cursor_row, self.sysmon
        if row is None:
            return
        if self.services.history(row.host) is None:
            app.say("nobody records this host, so there is no past to go to")
            return
        app.show_host(row.host)
        await app.action_screen("overview")
        app.go_to(row.moment)

    async def on_table_row_selected(self, event: Table.RowSelected) -> None:
        """Enter, or a click on the row under the cursor."""
        event.stop()
        await self.action_go()

    def action_filter(self) -> None:
        """Ask for words that a row must hold."""
        from tui.screens.prompt import Prompt

        rows = [*self._list.rows] if not self._filter else None

        def parse(text: str) -> str:
            kept = len(chosen(rows, "all", text)) if rows is not None else None
            return "every word must be found in the row" if kept is None else f"{kept} of {len(rows or ())} rows"

        def take(text: str | None) -> None:
            if text is not None:
                self._filter = text
                self._refresh()

        prompt = Prompt("Filter alerts and events", parse, hint="any words: disk /srv critical", value=self._filter)
        self.app.push_screen(prompt, take)

    def action_kinds(self) -> None:
        """Alerts and events, alerts alone, events alone."""
        self._kind = KINDS[(KINDS.index(self._kind) + 1) % len(KINDS)]
        self._refresh()

    def action_all_hosts(self) -> None:
        """This host alone, or all."""
        if len(self.sysmon.model.hosts) < 2:
            self.sysmon.say("there is only this host")
            return
        self._everywhere = not self._everywhere
        self._hint()
        self._refresh()

    def action_details(self) -> None:
        """Show or hide the details."""
        self.toggle_class("-opened" if self.has_class("-tiny") else "-closed")
        self.call_after_refresh(self._refresh)

    def action_rules(self) -> None:
        """The rules, or the alerts again."""
        self.toggle_class("-rules")
        (self._rules if self.has_class("-rules") else self._list).focus()
        self.call_after_refresh(self._refresh)

    def action_close(self) -> None:
        """One thing back; where there is none, Esc is the app's."""
        if self.has_class("-tiny") and self.has_class("-opened"):
            self.action_details()
        elif self.has_class("-rules"):
            self.action_rules()
        elif self._filter or self._kind != "all":
            self._filter, self._kind = "", "all"
            self._refresh()
        else:
            raise SkipAction


SCREEN = AlertsScreen
