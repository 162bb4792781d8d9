"""The Alerts screen: what lasts, what was, where it leads, the rules, pages of the past, and many hosts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sysmon.config import Rule, ScreenSettings
from sysmon.defaultrules import DEFAULT_RULES
from sysmon.errors import StoreError
from sysmon.records import AlertState, Event, Point, Series
from tests.tui.scripted import START, Rig, Script, ScriptedHistory, catalogue, make_app, rig
from tests.tui.support import show, text_of, until
from tests.tui.widgets.spies import spy_layouts
from tui.glyphs import ASCII, UNICODE, Glyphs
from tui.screens.alerts import AlertsScreen
from tui.screens.prompt import Prompt
from tui.widgets.alerts_past import PAGE, EventPages, _escaped, read_surroundings, spread
from tui.widgets.alerts_rows import AlertRow, Rows, alerts_at, chosen, quiet_since, when
from tui.widgets.alerts_rules import condition, in_words, lasting, rule_rows
from tui.widgets.alerts_table import AlertsTable
from tui.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from textual.pilot import Pilot

    from sysmon.records import AlertStatus, Severity
    from tui.app import SysmonApp

pytestmark = pytest.mark.anyio

HOST = Script().host
OTHER = Script(host="ffffffffffffffff", name="web-2")
FULL, ERRORS = "fs.utilization:/srv", "net.errors:eth1"


def at(second: int) -> int:
    """A second of the script in Unix milliseconds."""
    return (START + second) * 1000


def event(
    name: str, second: int, kind: str, *, rule: str = "", key: str = "", message: str = "", host: str = HOST,
    severity: Severity = "warning", value: float | None = None, evidence: Sequence[str] = (),
) -> Event:  # fmt: skip
    """An event at a second."""
    return Event(
        id=name, time=at(second), host=host, kind=kind, severity=severity, rule=rule, key=key, message=message,
        value=value, threshold=0.9 if rule else None, evidence=list(evidence),
    )  # fmt: skip


def alert(
    rule: str,
    key: str,
    status: AlertStatus,
    started: int,
    *,
    severity: Severity = "warning",
    host: str = HOST,
    **more: Any,
) -> AlertState:  # fmt: skip
    """An alert in being."""
    return AlertState(
        host=host, rule=rule, key=key, status=status, severity=severity, since=at(started + 10), started=at(started),
        value=0.975, threshold=0.97, message=f"{key} is bad", **more,
    )  # fmt: skip


def past() -> list[Event]:
    """One alert that is over, one that lasts, and things that happened."""
    return [
        event("f1", 20, "alert.firing", rule="cpu-pressure", key="pressure.cpu.some", value=0.95,
              message="tasks wait", evidence=["postgres (12, postgres): 210 % CPU, 1.0 GiB"]),
        event("r1", 50, "alert.resolved", rule="cpu-pressure", key="pressure.cpu.some", message="over"),
        event("f2", 60, "alert.firing", rule="disk-full-critical", key=FULL, severity="critical", value=0.98,
              message="/srv is full", evidence=["cp (4, root): 31 MiB/s I/O"]),
        event("b1", -5000, "boot", severity="info", message="booted after 3m 12s"),
        event("o1", -9000, "oom", severity="critical", message="the kernel killed node (4312)"),
    ]  # fmt: skip


STATES = [
    alert("disk-full-critical", FULL, "firing", 50, severity="critical", event="f2"),
    alert("network-errors", ERRORS, "pending", 80),
    alert("inodes-full", "fs.inodes.utilization:/srv", "acknowledged", 10, severity="critical", acknowledged_by="mira"),
]


def opened(
    history: ScriptedHistory | None, *, hosts: Sequence[Script] = (), rules: Sequence[Rule] = DEFAULT_RULES
) -> Rig:
    """A host whose Alerts screen is the first."""
    given = rig(Script(), history=history, screen=ScreenSettings(start="alerts"), hosts=hosts)
    given.services.config = msgspec.structs.replace(given.services.config, rules=tuple(rules))
    return given


def stored(events: Sequence[Event] | None = None, **more: Any) -> ScriptedHistory:
    """A past with these events."""
    return ScriptedHistory(Script(), range(120), events=past() if events is None else events, **more)


def rows(pilot: Pilot[int]) -> list[AlertRow]:
    """The rows in the order shown."""
    return list(pilot.app.screen.query_one("#list", AlertsTable).rows)


async def ready(pilot: Pilot[int], given: Rig, states: Sequence[AlertState] = STATES, wanted: int = 6) -> SysmonApp:
    """The screen of a host with alerts, its history read."""
    app = await show(pilot, given, 100)
    given.source.push(*states)
    given.push(100)
    await until(pilot, lambda: len(rows(pilot)) == wanted)
    return app


async def lines_at(
    width: int, height: int, *keys: str, glyphs: Glyphs = UNICODE, theme: str = "sysmon-dark"
) -> list[str]:
    """The screen with alerts after some keys."""
    given = opened(stored())
    app = make_app(given.services, theme_name=theme, glyphs=glyphs)
    async with app.run_test(size=(width, height)) as pilot:
        await ready(pilot, given)
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        await pilot.pause()
        return text_of(app)


# -- rows


def test_active_is_worst_and_oldest_first_then_pending_then_seen() -> None:
    made = Rows(catalogue(), {HOST: "db-1"}).active(
        [
            *STATES,
            alert("b", "load.1", "firing", 70, severity="critical"),
            alert("c", "load.1", "firing", 5),
        ],
        past(),
        at(100),
    )
    assert [(row.state, row.rule) for row in made] == [
        ("firing", "disk-full-critical"), ("firing", "b"), ("firing", "c"), ("pending", "network-errors"),
        ("acknowledged", "inodes-full"),
    ]  # fmt: skip
    first = made[0]
    assert (first.host_label, first.moment, first.lasted_text()) == ("db-1", at(60), "50s")
    assert first.evidence == ("cp (4, root): 31 MiB/s I/O",)
    assert (first.value_text, first.threshold_text, first.subject) == ("97.5 %", "> 97 %", "fs.utilization /srv")


def test_firing_and_resolved_are_one_row_and_what_lasts_is_not_past() -> None:
    build = Rows(catalogue(), {})
    active = build.active(STATES, past(), at(100))
    made = build.past(past(), active)
    assert [row.state for row in made] == ["resolved", "booted", "out of memory"]
    first = made[0]
    assert (first.since, first.until, first.lasted) == (at(20), at(50), 30.0)
    assert [row.state for row in build.past(past())] == ["fired", "resolved", "booted", "out of memory"]
    alone = build.past([event("r", 5, "alert.resolved", rule="x", key="load.1", value=0.5)])
    assert (alone[0].state, alone[0].lasted, alone[0].threshold_text) == ("resolved", None, "0.90")
    twice = [*past(), *past(), event("f0", 1, "alert.firing", rule="cpu-pressure", key="pressure.cpu.some")]
    assert sum(row.rule == "cpu-pressure" for row in build.past(twice)) == 2


def test_the_past_is_told_from_events_alone() -> None:
    found = alerts_at(past(), at(40))
    assert [(each.rule, each.status) for each in found] == [("cpu-pressure", "firing")]
    assert alerts_at(past(), at(55)) == []
    seen = [*past(), event("a", 65, "alert.acknowledged", rule="disk-full-critical", key=FULL)]
    assert [each.status for each in alerts_at(seen, at(70))] == ["acknowledged"]
    assert quiet_since(past()) == at(60)
    assert quiet_since(past()[3:]) is None


def test_filters_look_at_every_text() -> None:
    made = Rows(catalogue(), {}).past(past())
    assert [row.id for row in chosen(made, "all", "POSTGRES tasks")] == ["f1"]
    assert [row.id for row in chosen(made, "events", "")] == ["b1", "o1"]
    assert [row.id for row in chosen(made, "alerts", "")] == ["f2", "f1"]
    assert chosen(made, "events", "postgres") == []


def test_times_lose_what_goes_without_saying() -> None:
    now = at(0)
    assert len(when(now - 1000, now)) == 8
    assert len(when(now - 3 * 86_400_000, now)) == 11
    assert len(when(now - 400 * 86_400_000, now)) == 10


# -- rules


def test_rules_in_words() -> None:
    words = {rule.name: in_words(rule, catalogue()) for rule in DEFAULT_RULES}
    assert words["disk-full"] == "Fires above 90 % for 5m; resolves below 87 %. Without data it keeps its state."
    assert words["battery-low"] == "Fires below 10 %; resolves above 15 %. Without data it keeps its state."
    assert words["oom-kill"].startswith("Fires above 0 /s; resolves once it is no longer above for 5m")
    assert [lasting(value) for value in (0, 30, 300, 5400)] == ["", "30s", "5m", "1h 30m"]
    made = rule_rows([*DEFAULT_RULES, Rule(name="a", metric="load.1", above=1.0, enabled=False)], STATES, catalogue())
    assert made[-1].rule.name == "a"
    assert {row.rule.name: (row.firing, row.pending) for row in made if row.firing or row.pending} == {
        "disk-full-critical": (1, 0), "inodes-full": (1, 0), "network-errors": (0, 1),
    }  # fmt: skip


def test_every_default_rule_is_in_the_page(checkout: Path) -> None:
    page = (checkout / "docs" / "alerts.md").read_text(encoding="utf-8")
    lines = page[page.index("| rule |") :].split("\n\n")[0].splitlines()[2:]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    found = {cells[0].strip("`"): cells[1:] for cells in table}
    assert list(found) == [rule.name for rule in DEFAULT_RULES]
    for rule in DEFAULT_RULES:
        metric, limit, hold, severity, _ = found[rule.name]
        assert metric == f"`{rule.metric}`"
        assert limit == condition(rule, catalogue())
        assert hold == (lasting(rule.hold) or "at once")
        assert severity == rule.severity


# -- history


async def test_pages_come_one_after_another_and_end() -> None:
    many = [event(f"e{index}", -index * 10, "boot", severity="info") for index in range(2 * PAGE + 30)]
    history, pages = stored(many), EventPages(HOST)
    assert await pages.more(history)
    assert (len(pages.events), pages.complete, pages.since) == (PAGE, False, at(0))
    assert await pages.more(history)
    assert await pages.more(history)
    assert (len(pages.events), pages.complete) == (2 * PAGE + 30, True)
    assert not await pages.more(history)


async def test_more_events_of_one_moment_than_a_page_holds() -> None:
    many = [event(f"e{index}", 7, "boot", severity="info") for index in range(PAGE + 50)]
    pages, history = EventPages(HOST), stored([*many, event("old", 1, "boot")])
    while not pages.complete:
        await pages.more(history)
    assert len(pages.events) == PAGE + 51


async def test_a_history_that_fails_is_said() -> None:
    class Broken(ScriptedHistory):
        async def events(
            self, host: str | None = None, start: int | None = None, end: int | None = None, limit: int = 1000
        ) -> list[Event]:
            raise StoreError("the disk is on fire")

    given = opened(Broken(Script(), range(10)))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 10)
        await until(pilot, lambda: any("cannot be read: the disk is on fire" in line for line in text_of(app)))


async def test_what_stood_around_a_moment() -> None:
    made = Rows(catalogue(), {}).past(past())
    row = next(row for row in made if row.id == "f1")
    found = await read_surroundings(stored(), row, at(119))
    assert found.series is not None
    assert found.series.metric == "pressure.cpu.some"
    assert found.evidence == row.evidence
    assert found.end == at(119)
    boot = next(row for row in made if row.id == "b1")
    nothing = await read_surroundings(stored(), boot, at(119))
    assert (nothing.series, nothing.evidence) == (None, ())
    plain = msgspec.structs.replace(past()[0], evidence=[])
    row = Rows(catalogue(), {}).past([plain])[0]
    assert (await read_surroundings(stored(), row, at(119))).evidence[0].startswith("postgres (1, postgres, ")


def test_points_are_laid_out_by_their_time() -> None:
    def point(time: int, value: float) -> Point:
        return Point(time, 1, value, value, value, value)

    series = Series(host="h", metric="m", step=1000, points=[point(0, 1.0), point(1000, 5.0), point(3000, 2.0)])
    assert spread(series, 0, 4000, 4) == [1.0, 5.0, None, 2.0]
    assert spread(series, 0, 4000, 8) == [1.0, 1.0, 5.0, 5.0, None, None, 2.0, 2.0]
    assert spread(series, 0, 4000, 2) == [5.0, 2.0]
    assert spread(series, -4000, 0, 4) == [None] * 4
    assert _escaped("/srv[1]*?") == "/srv[[]1][*][?]"


# -- the screen


async def test_at_80x24_the_list_and_the_details() -> None:
    lines = await lines_at(80, 24)
    text = "\n".join(lines)
    assert "✖ 1 firing   1 pending   1 seen" in lines[2]
    assert "rules watch" in lines[2]
    assert "firing" in lines[5]
    assert "disk-full-critical" in lines[5]
    assert "97.5 %" in lines[5]
    for word in ("pending", "seen", "resolved", "booted", "A filesystem is almost full", "Fires above 97 % for 1m"):
        assert word in text, word
    assert "who was busy  cp (4, root): 31 MiB/s I/O" in text
    assert all(len(line) <= 80 for line in lines)


async def test_at_120x40_the_series_stands_beside() -> None:
    text = "\n".join(await lines_at(120, 40))
    assert "fs.utilization /srv" in text
    assert "100 %" in text
    assert "┴now" in text or "now┴" in text
    assert "> 97 %" in text


async def test_at_40x12_details_take_the_place_of_the_list() -> None:
    assert any("disk-full" in line or "fs.utilization" in line for line in await lines_at(40, 12))
    text = "\n".join(await lines_at(40, 12, "d"))
    assert "A filesystem is almost full" in text
    assert "STATE" not in text
    assert "STATE" in "\n".join(await lines_at(40, 12, "d", "escape"))


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (59, 30), (100, 24), (200, 50), (300, 80)])
async def test_no_size_breaks_it(size: tuple[int, int]) -> None:
    lines = await lines_at(*size, "down", "d", "r", "d", "escape")
    assert all(len(line) <= size[0] for line in lines)


async def test_ascii_without_colour_is_ascii() -> None:
    for keys in ((), ("r",), ("down", "down", "down")):
        assert "\n".join(await lines_at(120, 40, *keys, glyphs=ASCII, theme="sysmon-mono")).isascii()


async def test_calm_says_for_how_long() -> None:
    given = opened(stored(past()[:2]))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 119)
        given.push(171)
        await until(pilot, lambda: any("no alerts  quiet for 2m" in line for line in text_of(app)))
    given = opened(stored([]))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 119)
        given.push(181)
        await until(pilot, lambda: any("none since the recording began, 3m ago" in line for line in text_of(app)))
        assert any("nothing has happened yet" in line for line in text_of(app))


async def test_enter_goes_to_the_moment_on_the_overview() -> None:
    given = opened(stored())
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, given)
        await pilot.press("down", "down", "down", "enter")
        await until(pilot, lambda: app.cursor.mode == "past")
        assert app.cursor.view is not None
        assert app.cursor.view.time == at(20)
        assert app.host_screen is not None
        assert app.host_screen.NAME == "overview"
        await pilot.press("0")
        await until(pilot, lambda: isinstance(app.screen, AlertsScreen) and app.screen.has_class("-past"))
        await until(pilot, lambda: [row.state for row in rows(pilot)] == ["firing", "booted", "out of memory"])
        assert rows(pilot)[0].rule == "cpu-pressure"


async def test_without_a_history_enter_says_so() -> None:
    given = opened(None)
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, given, wanted=3)
        await pilot.press("enter")
        await pilot.pause()
        assert "nobody records this host" in app.note
        assert isinstance(app.screen, AlertsScreen)


async def test_kinds_and_filter_and_escape() -> None:
    given = opened(stored())
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, given)
        await pilot.press("f")
        await until(pilot, lambda: len(rows(pilot)) == 4)
        await pilot.press("f")
        await until(pilot, lambda: [row.state for row in rows(pilot)] == ["booted", "out of memory"])
        assert any("host events  2 of 6" in line for line in text_of(app))
        await pilot.press("f", "slash")
        await until(pilot, lambda: isinstance(app.screen, Prompt))
        await pilot.press(*"srv", "enter")
        await until(pilot, lambda: isinstance(app.screen, AlertsScreen) and len(rows(pilot)) == 2)
        await pilot.press("slash", *"nonsense", "enter")
        await until(pilot, lambda: isinstance(app.screen, AlertsScreen) and not rows(pilot))
        assert any("none of 6 rows match" in line for line in text_of(app))
        await pilot.press("escape")
        await until(pilot, lambda: len(rows(pilot)) == 6)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, AlertsScreen))


async def test_rules_show_what_fires_and_lead_to_their_alerts() -> None:
    off = Rule(name="old-rule", metric="load.1", above=9.0, enabled=False)
    given = opened(stored(), rules=[*DEFAULT_RULES, off])
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, given)
        await pilot.press("r", "down")
        await pilot.pause()
        await pilot.pause()
        text = "\n".join(text_of(app))
        assert "disk-full-critical" in text
        assert "1 firing" in text
        assert "1 pending" in text
        assert "Fires above 97 % for 1m; resolves below 95 %." in text
        assert [word for word in next(line for line in text_of(app) if "old-rule" in line).split() if word == "off"]
        assert app.screen.query_one("#rules", Table).has_focus
        await pilot.press("enter")
        await until(pilot, lambda: [row.rule for row in rows(pilot)] == ["disk-full-critical"])
        assert app.screen.query_one("#list", AlertsTable).has_focus


async def test_all_hosts_are_one_list_with_their_names() -> None:
    given = opened(stored(), hosts=[OTHER])
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, given)
        given.source.push(alert("memory-low", "memory.utilization", "firing", 5, host=OTHER.host))
        await pilot.press("a")
        await until(pilot, lambda: [row.host_label for row in rows(pilot)[:2]] == ["db-1", "web-2"])
        lines = text_of(app)
        assert any("HOST" in line for line in lines)
        assert any("2 firing" in line for line in lines)
        await pilot.press("a")
        await until(pilot, lambda: len(rows(pilot)) == 6)
    given = opened(stored())
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, given)
        assert not any("all hosts" in line for line in text_of(app))
        await pilot.press("a")
        await pilot.pause()
        assert app.note == "there is only this host"


async def test_the_end_of_the_list_reads_more() -> None:
    many = [event(f"e{index}", -index * 10, "boot", severity="info") for index in range(PAGE + 30)]
    given = opened(stored(many))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 20)
        await until(pilot, lambda: len(rows(pilot)) >= PAGE)
        first = len(rows(pilot))
        assert first < PAGE + 30
        await pilot.press("G")
        await until(pilot, lambda: len(rows(pilot)) == PAGE + 30)


async def test_a_click_on_the_chosen_row_opens_it_and_hints_can_be_clicked() -> None:
    given = opened(stored())
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot, given)
        table = app.screen.query_one("#list", AlertsTable)
        place = next(place for place in table._hint_places if place.hint.label == "rules")
        await pilot.click("#list", offset=(place.start, table.size.height - 1))
        await until(pilot, lambda: app.screen.has_class("-rules"))


async def test_a_tick_causes_no_layout_and_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    history = stored()
    given = opened(history)
    app = make_app(given.services)
    async with app.run_test(size=(200, 50)) as pilot:
        await ready(pilot, given)
        await until(pilot, lambda: "series" in history.reads)
        await asyncio.sleep(0)
        await pilot.pause()
        passes, reads = spy_layouts(monkeypatch), [name for name in history.reads if name in ("events", "series")]
        for second in range(101, 104):
            given.push(second)
            await until(pilot, lambda: app.host_screen.view.time == given.clock.now())  # type: ignore[union-attr]
        assert passes == []
        assert [name for name in history.reads if name in ("events", "series")] == reads
