"""The Fleet screen as its users drive it: rows, cards, filter, sort, hosts opened, changed and added, and the past."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from sysmon.config import HostSettings, ScreenSettings
from sysmon.errors import RemoteError, StoreError
from sysmon.ports import Peer
from sysmon.records import Event, HostInfo, Moment, RunSpan, Status
from sysmon.units import format_time
from tests.tui.scripted import START, ScriptedHistory, make_app
from tests.tui.scriptedfleet import FleetRig, Member, ScriptedBook, alert, fleet
from tests.tui.support import text_of, until
from tests.tui.widgets.spies import spy_layouts
from tui.glyphs import ASCII
from tui.renderables.fleetcells import vital_spans
from tui.screens.confirm import Confirm
from tui.screens.fleet import FleetScreen
from tui.screens.hostform import HostForm
from tui.screens.hosts import host_row
from tui.widgets.fleet_filter import FleetFilter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.pilot import Pilot

    from tui.app import SysmonApp
    from tui.fleet import Entry
    from tui.pulse import Vital
    from tui.renderables.text import Spans
    from tui.theme import Look

pytestmark = pytest.mark.anyio

END = 700
WORDS = "acid-maple river-stone copper-lamp orbit-fern"


class Stage:
    """An app that shows the fleet, with what tests ask of it."""

    def __init__(self, app: SysmonApp, given: FleetRig, pilot: Pilot[int]) -> None:
        self.app, self.given, self.pilot = app, given, pilot

    @property
    def screen(self) -> FleetScreen:
        """The Fleet screen, be it under a dialog."""
        found = self.app.host_screen
        assert isinstance(found, FleetScreen)
        return found

    @property
    def names(self) -> list[str]:
        """The hosts in the order shown."""
        return [entry.label for entry in self.screen._shown]

    @property
    def text(self) -> str:
        """All that is on screen."""
        return "\n".join(text_of(self.app))

    async def press(self, *keys: str) -> None:
        """Presses keys, one after another."""
        for key in keys:
            await self.pilot.press(key)
        await self.pilot.pause()

    async def until_text(self, words: str) -> None:
        """Waits until words are on screen."""
        await until(self.pilot, lambda: words in self.text)


def staged(
    count: int = 12, size: tuple[int, int] = (120, 40), *, given: FleetRig | None = None,
    book: ScriptedBook | None = None, ascii_only: bool = False, start: str = "fleet",
    histories: dict[str, ScriptedHistory] | None = None,
) -> _Staged:  # fmt: skip
    """A fleet on stage."""
    made = given or fleet(count, end=END, screen=ScreenSettings(start=start))
    made.rig.services.hosts = book
    if histories is not None:
        made.rig.services.history = histories.get
    return _Staged(made, size, ascii_only=ascii_only)


class _Staged:
    def __init__(self, given: FleetRig, size: tuple[int, int], *, ascii_only: bool) -> None:
        self.given, self.size = given, size
        self.app = make_app(given.rig.services, glyphs=ASCII if ascii_only else None)

    async def __aenter__(self) -> Stage:
        self.context = self.app.run_test(size=self.size)
        pilot = await self.context.__aenter__()
        await until(pilot, lambda: bool(self.app.model.hosts))
        await self.given.warm(self.app, END)
        self.given.tell()
        await until(pilot, lambda: self.app.services.source._queue.empty())  # type: ignore[attr-defined]
        self.app.refresh_view()
        await pilot.pause()
        return Stage(self.app, self.given, pilot)

    async def __aexit__(self, *error: object) -> None:
        await self.context.__aexit__(*error)  # type: ignore[arg-type]


# -- what is shown


@pytest.mark.parametrize(
    ("size", "count", "ascii_only"),
    [((80, 24), 40, False), ((200, 50), 40, True),
     ((40, 12), 40, True), ((59, 17), 40, False), ((300, 80), 3, True), ((20, 5), 3, True),
     ((1, 1), 3, False)],
)  # fmt: skip
async def test_every_size_is_drawn_as_rows_and_as_cards(size: tuple[int, int], count: int, ascii_only: bool) -> None:
    async with staged(count, size, ascii_only=ascii_only) as stage:
        for _ in range(2):
            lines = text_of(stage.app)
            assert len(lines) == size[1]
            assert "cannot be drawn" not in stage.text
            assert "a fault of sysmon" not in stage.text
            if ascii_only:
                assert stage.text.isascii(), {char for char in stage.text if not char.isascii()}
            await stage.press("v", "end")


async def test_hosts_come_worst_first_with_state_age_and_reason() -> None:
    async with staged(12, (120, 24)) as stage:
        assert stage.names[:3] == ["build-1", "web-2", "build-2"]
        assert stage.names[3:] == sorted(stage.names[3:])
        lines = text_of(stage.app)
        assert lines[0].startswith(" 12 hosts ")
        assert "11 live · 1 offline · 2 firing" in lines[0]
        row = next(line for line in lines if "web-2" in line and "OFFLINE" in line)
        assert "OFFLINE 5m" in row
        assert "connection refused" in row
        assert "build-1: backup.service failed" in lines[1]
        assert any("LIVE <2s" in line for line in lines)
        await stage.press("down")
        await stage.until_text("connection refused; is `sysmon --agent` running there?")


async def test_few_hosts_on_a_wide_screen_are_cards_and_v_changes_that() -> None:
    async with staged(12) as stage:
        assert stage.screen.has_class("-cards")
        await stage.press("right", "down")
        chosen = stage.screen.entry
        await stage.press("v")
        assert not stage.screen.has_class("-cards")
        assert stage.screen.entry is not None
        assert chosen is not None
        assert stage.screen.entry.key == chosen.key
        await stage.press("down", "v")
        assert stage.screen.has_class("-cards")
        assert stage.screen.entry.key != chosen.key
        await stage.pilot.resize_terminal(80, 24)
        await stage.pilot.pause()
        assert stage.screen.has_class("-cards")
    async with staged(40) as stage:
        assert not stage.screen.has_class("-cards")


async def test_a_host_never_reached_has_its_row_and_its_reason() -> None:
    async with staged(18, (100, 30)) as stage:
        stage.app.model.take(Status(host="", name="far", state="connecting", target="https://far:8200"))
        stage.app.refresh_view()
        await stage.until_text("OFFLINE never")
        await until(stage.pilot, lambda: "far" in stage.names)
        at = stage.names.index("edge-3")
        await stage.press(*["down"] * at)
        await stage.until_text("edge-3: the name does not resolve (Name or service not known)")
        await stage.press("enter")
        assert stage.screen.is_current
        await stage.until_text("edge-3 was never reached")
        stage.app.model.take(HostInfo(id="e" * 16, name="edge-3"))
        stage.app.refresh_view()
        await stage.pilot.pause()
        assert stage.names.count("edge-3") == 1


async def test_a_lost_network_is_one_line_and_no_red_rows() -> None:
    async with staged(12, (120, 24)) as stage:
        lost = Event(id="n", time=1, host="", kind="network.lost", severity="critical",
                     message="this side lost the network: 11 of 12 hosts at once")  # fmt: skip
        stage.given.rig.source.push(lost)
        await stage.given.rig.clock.advance(90)
        await until(stage.pilot, lambda: stage.app.model.lost is not None)
        stage.app.refresh_view()
        await stage.until_text("this side lost the network")
        lines = text_of(stage.app)
        assert stage.text.count("lost the network") == 1
        assert "no contact" not in lines[1]
        assert "UNSEEN" in stage.text
        assert "OFFLINE" not in stage.text.replace("OFFLINE 5m", "")
        assert "STALE" not in stage.text
        await stage.press("1")
        await stage.until_text("this side lost the network")
        await stage.press("2")
        stage.given.rig.source.push(msgspec.structs.replace(lost, id="m", kind="network.back"))
        await until(stage.pilot, lambda: stage.app.model.lost is None)
        stage.app.refresh_view()
        await until(stage.pilot, lambda: "lost the network" not in text_of(stage.app)[1])


async def test_no_host_at_all_is_said() -> None:
    given = fleet(1, end=END, screen=ScreenSettings(start="fleet"))
    given.rig.source._queue.get_nowait()
    app = make_app(given.rig.services)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "no host is configured" in "\n".join(text_of(app)))
        for key in ("enter", "e", "p", "D", "t", "I", "v", "enter", "down", "d"):
            await pilot.press(key)
            await pilot.pause()
        assert app.is_running


async def test_a_tick_lays_nothing_out_and_draws_what_is_in_view_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged(60, (100, 30)) as stage:
        passes = spy_layouts(monkeypatch)
        drawn: set[str] = set()
        table = stage.screen._table

        def spying(entry: Entry, name: Vital, look: Look) -> Spans:
            drawn.add(entry.key)
            return vital_spans(entry, name, look)

        monkeypatch.setattr("tui.widgets.fleet_columns.vital_spans", spying)
        for second in range(END + 1, END + 6):
            await stage.given.push(second)
            await until(stage.pilot, lambda: stage.given.rig.source._queue.empty())
            stage.app.refresh_view()
            await stage.pilot.pause()
        assert passes == []
        assert 0 < len(drawn) <= len(table.in_view) + 3


# -- filter and order


async def test_the_filter_counts_while_it_is_typed_and_escape_takes_it_back() -> None:
    async with staged(40, (100, 30)) as stage:
        await stage.press("slash", *"tag:pro", "d")
        await until(stage.pilot, lambda: all("prod" in entry.tags for entry in stage.screen._shown))
        shown = len(stage.names)
        assert 0 < shown < 40
        await stage.until_text(f"{shown} of 40")
        await stage.press(*" sta:x")
        await stage.until_text("did you mean 'state'?")
        assert len(stage.names) == shown
        await stage.press("enter")
        assert stage.screen.query_one(FleetFilter).is_open
        await stage.press("ctrl+u", *"state:off", "enter")
        await until(stage.pilot, lambda: not stage.screen.query_one(FleetFilter).is_open)
        assert {entry.state for entry in stage.screen._shown} == {"off"}
        await stage.press("slash", *"zzz", "escape")
        await until(stage.pilot, lambda: {entry.state for entry in stage.screen._shown} == {"off"})
        await stage.press("slash", "ctrl+u", *"zzz", "enter")
        await stage.until_text("none of 40 hosts match: Esc shows all")
        await stage.press("escape")
        assert len(stage.names) == 40
        assert stage.screen.is_current


async def test_tags_go_round() -> None:
    async with staged(12, (100, 30)) as stage:
        tags = sorted({tag for entry in stage.screen._all for tag in entry.tags})
        for tag in tags:
            await stage.press("t")
            assert all(tag in entry.tags for entry in stage.screen._shown)
            assert f"tag:{tag}" in stage.text
        await stage.press("t")
        assert len(stage.names) == 12


async def test_sorting_by_columns_and_reversed() -> None:
    async with staged(12, (200, 50)) as stage:
        await stage.press("v", "greater_than_sign")
        assert stage.names == sorted(stage.names)
        await stage.press("I")
        assert stage.names == sorted(stage.names, reverse=True)
        await stage.press(*["greater_than_sign"] * 3)
        values = [entry.now.cpu for entry in stage.screen._shown if entry.now is not None]
        assert values == sorted(values, key=lambda value: -(value or 0))
        assert "by cpu" in stage.text
        await stage.press(*["less_than_sign"] * 4)
        assert "worst first" in stage.text
        assert stage.names[0] == "build-1"


async def test_the_mouse_sorts_chooses_and_opens() -> None:
    async with staged(12, (100, 30)) as stage:
        lines = text_of(stage.app)
        header = next(index for index, line in enumerate(lines) if "HOST" in line)
        await stage.pilot.click(offset=(lines[header].index("CPU") + 1, header))
        await stage.until_text("by cpu")
        await stage.pilot.click(offset=(5, header + 3))
        chosen = stage.screen.entry
        assert chosen is not None
        assert chosen.label == stage.names[2]
        await stage.pilot.click(offset=(5, header + 3))
        await until(stage.pilot, lambda: stage.app.host_screen is not None and stage.app.host_screen.NAME == "overview")
        assert stage.app.host_id == chosen.key
    async with staged(12) as stage:
        assert stage.screen.has_class("-cards")
        await stage.pilot.click(offset=(60, 14))
        chosen = stage.screen.entry
        assert chosen is not None
        assert chosen.label in text_of(stage.app)[11] + text_of(stage.app)[12] + text_of(stage.app)[10]
        await stage.pilot.click(offset=(60, 14))
        await until(stage.pilot, lambda: stage.app.host_id == chosen.key)


# -- a host opened elsewhere


async def test_enter_opens_the_host_in_every_other_screen() -> None:
    async with staged(12, (100, 30)) as stage:
        chosen = stage.names[4]
        await stage.press(*["down"] * 4, "enter")
        await until(stage.pilot, lambda: text_of(stage.app)[0].startswith(f" {chosen} "))
        assert stage.app.host_screen is not None
        assert stage.app.host_screen.NAME == "overview"
        for key in "340":
            await stage.press(key)
            assert text_of(stage.app)[0].startswith(f" {chosen} ")
        await stage.press("2")
        await until(stage.pilot, lambda: text_of(stage.app)[0].startswith(" 12 hosts"))
        entry = stage.screen.entry
        assert entry is not None
        assert entry.label == chosen


async def test_a_host_alone_has_no_tab_but_a_key() -> None:
    async with staged(1, (100, 30), start="overview") as stage:
        assert "Fleet" not in text_of(stage.app)[-1]
        await stage.press("2")
        assert "2 Fleet" in text_of(stage.app)[-1]
    async with staged(3, (100, 30), start="overview") as stage:
        assert "2 Fleet" in text_of(stage.app)[-1]


async def test_the_list_of_hosts_is_cheap_with_many_and_says_the_same() -> None:
    async with staged(40, (120, 40)) as stage:
        await stage.press("h")
        await stage.until_text("Hosts: Enter shows one")
        await stage.press("home")
        await stage.until_text("✖ backup.service failed")
        rows = [
            host_row(host, stage.app.services.clock.boottime(), many=True) for host in stage.app.model.hosts.values()
        ]
        exact = [host_row(host, stage.app.services.clock.boottime()) for host in stage.app.model.hosts.values()]
        assert [row.state for row in rows] == [row.state for row in exact]
        assert [row.worst and row.worst.text for row in rows if row.more] == [
            row.worst and row.worst.text for row, few in zip(exact, rows, strict=True) if few.more
        ]


# -- the past


class Past(ScriptedHistory):
    """The past of a member of the fleet; `fails` makes it fail."""

    fails = False

    def __init__(self, member: Member, seconds: Iterable[int], **more: object) -> None:
        super().__init__(member.script, seconds, **more)  # type: ignore[arg-type]
        self.member = member

    async def spans(self, host: str | None = None) -> list[RunSpan]:
        """Under the member's own id."""
        return [msgspec.structs.replace(span, host=self.member.id) for span in await super().spans(host)]

    async def moment(self, host: str, time: int, step: int = 0) -> Moment | None:
        """Under the member's own id."""
        if self.fails:
            raise StoreError("the disk is on fire")
        found = await super().moment(host, time, step)
        if found is None:
            return None
        before = found.previous
        if before is not None:
            before = msgspec.structs.replace(before, host=self.member.id)
        return Moment(frame=msgspec.structs.replace(found.frame, host=self.member.id), previous=before)


def firing(member: Member, second: int) -> Event:
    """An alert that began to fire."""
    return Event(id=f"{member.id}{second}", time=(START + second) * 1000, host=member.id, kind="alert.firing",
                 severity="critical", rule="r", key="k", message="the past was full")  # fmt: skip


async def test_the_past_shows_each_host_as_it_was_or_says_that_it_is_not_known() -> None:
    given = fleet(6, end=END, screen=ScreenSettings(start="fleet"))
    first, second, third, fourth, fifth, sixth = given.members
    histories = {
        first.id: Past(first, range(1, END)),
        second.id: Past(second, range(1, 300), events=[firing(second, 200)]),
        third.id: Past(third, range(500, END)),
        fourth.id: Past(fourth, range(1, END), events=[firing(fourth, 100)]),
        sixth.id: Past(sixth, range(1, END)),
    }
    histories[sixth.id].fails = True
    async with staged(given=given, size=(120, 24), histories=histories) as stage:  # type: ignore[arg-type]
        stage.app.show_host(first.id)
        stage.app.go_to((START + 350) * 1000)
        await until(stage.pilot, lambda: {each.label: each.state for each in stage.screen._shown} == {
            first.name: "live", second.name: "stale", third.name: "nothing", fourth.name: "live",
            fifth.name: "unknown", sixth.name: "unknown",
        })  # fmt: skip
        assert stage.names[:2] == sorted([second.name, fourth.name])
        shown = {each.label: each for each in stage.screen._shown}
        assert shown[second.name].age == 51
        assert shown[fourth.name].worst == ("critical", "the past was full")
        assert shown[fifth.name].message == "nobody records this host"
        assert "the disk is on fire" in shown[sixth.name].message
        await until(stage.pilot, lambda: "▃" in stage.text or "▄" in stage.text)
        pulse = shown[first.name].pulse
        assert pulse is not None
        await until(stage.pilot, lambda: len(pulse.points("cpu", pulse.number(START + 350))) > 30)
        assert "STALE 51s" in stage.text
        await until(stage.pilot, lambda: "░" in stage.text)
        await stage.press("home", "right" if stage.screen.has_class("-cards") else "down")
        opened = stage.names[1]
        await stage.press("enter")
        await until(stage.pilot, lambda: text_of(stage.app)[0].startswith(f" {opened} "))
        await until(stage.pilot, lambda: stage.app.cursor.mode == "past" and stage.app.cursor.view is not None)
        assert stage.app.cursor.view is not None
        assert stage.app.cursor.view.time == (START + (299 if opened == second.name else 350)) * 1000
        await stage.press("2", "L")
        await until(stage.pilot, lambda: {each.state for each in stage.screen._shown} <= {"live", "offline"})


async def test_a_history_that_does_not_answer_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.fleetpast.DEADLINE", 0.05)
    given = fleet(4, end=END, screen=ScreenSettings(start="fleet"))
    first, second, *_ = given.members
    hanging = Past(second, range(1, END))
    histories = {first.id: Past(first, range(1, END)), second.id: hanging}
    async with staged(given=given, size=(120, 24), histories=histories) as stage:  # type: ignore[arg-type]
        hanging.hold = asyncio.Event()
        stage.app.show_host(first.id)
        stage.app.go_to((START + 350) * 1000)
        await until(stage.pilot, lambda: any("did not answer" in each.message for each in stage.screen._shown))
        states = {each.label: each.state for each in stage.screen._shown}
        assert states[second.name] == "unknown"


async def test_lines_are_filled_from_history_for_hosts_in_view_alone() -> None:
    given = fleet(40, end=END, screen=ScreenSettings(start="fleet"))
    live = [member for member in given.members if member.state == "live"]
    histories = {member.id: Past(member, range(1, END)) for member in live}
    app = make_app(given.rig.services)
    given.rig.services.history = histories.get
    async with app.run_test(size=(100, 24)) as pilot:
        await until(pilot, lambda: bool(app.model.hosts))
        given.last = END - 6
        await given.rig.clock.advance(END - 6)
        for second in range(END - 5, END + 1):
            await given.push(second)
        given.tell()
        screen = app.screen
        assert isinstance(screen, FleetScreen)

        def filled(entry: object) -> bool:
            pulse = getattr(entry, "pulse", None)
            return pulse is not None and len(pulse.points("cpu", pulse.number(START + END))) > 50

        await until(pilot, lambda: all(filled(each) for each in screen._table.in_view if each.key in histories))
        read = [key for key, history in histories.items() if "series" in history.reads]
        assert 0 < len(read) < len(live) - 5


async def test_a_gap_that_is_filled_behind_the_present_loses_its_shade_on_every_line() -> None:
    given = fleet(1, end=END, screen=ScreenSettings(start="fleet"))
    (member,) = given.members
    member.state, member.silent = "live", range(END - 300, END - 100)
    held = [second for second in range(1, END) if second not in member.silent]
    history = Past(member, held)
    async with staged(given=given, size=(200, 50), histories={member.id: history}) as stage:
        pulse = stage.app.model.hosts[member.id].pulse
        last = pulse.number(START + END) - 1
        lines = stage.screen._cards.lines()
        assert lines == {"cpu", "memory", "network", "load"}
        await until(stage.pilot, lambda: pulse.laid >= lines)
        for name in lines:
            points = pulse.points(name, last)
            assert len(points) > 50
            assert 18 <= points.count(None) <= 21
        history.seconds = sorted({*history.seconds, *member.silent})
        clock = given.rig.clock
        given.rig.source.push(*(member.frame(second) for second in range(END - 300, END - 100, 20)))
        await until(stage.pilot, lambda: stage.app.model.hosts[member.id].late is not None)
        assert stage.app.model.hosts[member.id].received is not None
        await clock.advance(4)
        await given.push(END + 4)
        await until(stage.pilot, lambda: not any(None in pulse.points(name, last) for name in lines))


async def test_a_frozen_fleet_stands_still() -> None:
    async with staged(12, (120, 24)) as stage:
        await stage.press("Z")
        before = text_of(stage.app)[3:-1]
        for second in range(END + 1, END + 30):
            await stage.given.push(second)
        await until(stage.pilot, lambda: stage.given.rig.source._queue.empty())
        stage.app.refresh_view()
        await stage.pilot.pause()
        assert text_of(stage.app)[3:-1] == before
        await stage.press("Z")
        assert text_of(stage.app)[3:-1] != before


# -- hosts changed


def a_book() -> ScriptedBook:
    """A book with one of the fleet's hosts, and a peer whose key is not known."""
    book = ScriptedBook(HostSettings(name="build-1", target="https://build-1:8200", tags=("ci",)))
    book.peer = Peer(target="https://nas:8200", fingerprint="sha256:" + "ab" * 32, words=WORDS,
                     hosts=[HostInfo(id="n", hostname="nas")], version="sysmon 0.1.0")  # fmt: skip
    return book


async def fill_in(stage: Stage, name: str, target: str) -> HostForm:
    """Opens the form and types."""
    await stage.press("a")
    form = stage.app.screen
    assert isinstance(form, HostForm)
    await stage.press(*name, "enter")
    form._inputs()[1].value = target
    await stage.pilot.pause()
    return form


async def test_a_key_is_pinned_only_on_a_yes() -> None:
    book = a_book()
    async with staged(12, (80, 24), book=book) as stage:
        form = await fill_in(stage, "nas", "https://nas:8200")
        await stage.press("ctrl+s")
        await stage.until_text(WORDS)
        assert "abababababababababababababababab" in stage.text
        assert "says it is   nas" in stage.text
        await stage.press("n")
        assert "nas" not in book.kept
        assert form._inputs()[0].value == "nas"
        await stage.until_text("that key was not confirmed")
        await stage.press("ctrl+s")
        await until(stage.pilot, lambda: form.stage == "trust")
        await stage.press("enter", "space")
        assert "nas" not in book.kept
        await stage.press("y")
        await until(stage.pilot, lambda: stage.app.screen is stage.screen)
        assert book.kept["nas"].fingerprint == "sha256:" + "ab" * 32
        await until(stage.pilot, lambda: "nas" in stage.names)
        entry = stage.screen.entry
        assert entry is not None
        assert (entry.label, entry.state) == ("nas", "connecting")


async def test_errors_are_told_in_the_form_and_nothing_typed_is_lost() -> None:
    book = a_book()
    async with staged(12, (80, 24), book=book) as stage:
        form = await fill_in(stage, "nas", "htp://nas")
        await stage.press("ctrl+s")
        await stage.until_text("'htp://nas' is not a target")
        assert form._inputs()[1].has_focus
        book.peer = RemoteError("nas:8200: connection refused", "is `sysmon --agent` running there?")
        form._inputs()[1].value = "https://nas:8200"
        await stage.pilot.pause()
        await stage.press("ctrl+s")
        await stage.until_text("connection refused")
        assert [each.value for each in form._inputs()[:2]] == ["nas", "https://nas:8200"]
        book.refuses = "config.toml cannot be written"
        form._inputs()[1].value = "ssh://nas"
        await stage.pilot.pause()
        await stage.press("ctrl+s")
        await stage.until_text("config.toml cannot be written")
        assert form._inputs()[1].value == "ssh://nas"
        book.refuses = ""
        await stage.press("ctrl+s")
        await until(stage.pilot, lambda: "nas" in book.kept)
        assert len(book.probed) == 1


async def test_asking_who_answers_can_be_cancelled() -> None:
    book = a_book()
    book.hold = asyncio.Event()
    async with staged(12, (80, 24), book=book) as stage:
        form = await fill_in(stage, "nas", "https://nas:8200")
        await stage.press("ctrl+s")
        await stage.until_text("asking https://nas:8200")
        await stage.press("escape")
        assert form.stage == "form"
        await stage.press("escape")
        await until(stage.pilot, lambda: stage.app.screen is stage.screen)
        assert list(book.kept) == ["build-1"]


async def test_a_peer_that_is_verified_already_is_added_without_a_question() -> None:
    book = a_book()
    book.peer = Peer(target="https://nas:8200", fingerprint="sha256:" + "ab" * 32, words=WORDS, verified=True)
    async with staged(12, (80, 24), book=book) as stage:
        await fill_in(stage, "nas", "https://nas:8200")
        await stage.press("ctrl+s")
        await until(stage.pilot, lambda: "nas" in book.kept)
        assert book.kept["nas"].fingerprint == ""


async def test_a_host_is_edited_paused_and_removed() -> None:
    book = a_book()
    async with staged(12, (80, 24), book=book) as stage:
        assert stage.names[0] == "build-1"
        await stage.press("e")
        form = stage.app.screen
        assert isinstance(form, HostForm)
        form._inputs()[2].value = "ci slow"
        await stage.press("ctrl+s")
        await until(stage.pilot, lambda: book.kept["build-1"].tags == ("ci", "slow"))
        assert not book.probed
        for paused, words in ((True, "build-1 is paused"), (False, "build-1 is watched again")):
            await stage.press("p")
            assert book.kept["build-1"].paused is paused
            await stage.until_text(words)
        await stage.press("D")
        assert any(isinstance(screen, Confirm) for screen in stage.app.screen_stack)
        await stage.press("enter", "n")
        assert "build-1" in book.kept
        shown = next(host.info.id for host in stage.app.model.hosts.values() if host.info.name == "build-1")
        stage.app.show_host(shown)
        await stage.press("D", "y")
        await until(stage.pilot, lambda: not book.kept)
        assert stage.app.host_id in stage.app.model.hosts
        stage.given.rig.source.push(next(each for each in stage.given.members if each.id == shown).frame(END + 1))
        await until(stage.pilot, lambda: "build-1" not in stage.names)


async def test_hosts_that_are_not_configured_are_left_alone_and_why_is_said() -> None:
    async with staged(12, (100, 24), book=a_book()) as stage:
        await stage.press("down", "e")
        await stage.until_text("web-2 is not in the configuration")
    async with staged(12, (100, 24)) as stage:
        assert "add" not in stage.text
        for key in ("a", "e", "p", "D"):
            await stage.press(key)
            await stage.until_text("hosts cannot be changed here")
            assert stage.app.screen is stage.screen


# -- what is not the fleet's own: the clock, dialogs, other screens


async def test_the_clock_of_the_fleet_is_that_of_this_side() -> None:
    async with staged(12, (120, 24)) as stage:
        gone = next(member for member in stage.given.members if member.state == "offline")
        stage.app.show_host(gone.id)
        for second in (END + 20, END + 41):
            await stage.given.push(second)
            await until(stage.pilot, lambda: stage.app.services.source._queue.empty())  # type: ignore[attr-defined]
            stage.app.refresh_view()
            await stage.pilot.pause()
            clock = format_time((START + second) * 1000, date=False)
            assert clock in text_of(stage.app)[0]
            assert "LIVE" in text_of(stage.app)[0]


async def test_behind_a_dialog_the_screen_goes_on() -> None:
    async with staged(12, (120, 40), book=a_book()) as stage:
        stage.app.show_host(stage.app.model.hosts[stage.given.members[0].id].info.id)
        await stage.press("a")
        assert isinstance(stage.app.screen, HostForm)
        await stage.given.push(END + 30)
        clock = format_time((START + END + 30) * 1000, date=False)
        await until(stage.pilot, lambda: clock in text_of(stage.app)[0])
        alert_later = alert(stage.given.members[0].id, "critical", "raid is degraded")
        stage.given.rig.source.push(alert_later)
        await stage.given.push(END + 31)
        await until(stage.pilot, lambda: "raid is degraded" in text_of(stage.app)[1])


async def test_other_screens_name_the_host_where_something_else_is_wrong() -> None:
    async with staged(12, (160, 40), start="overview") as stage:
        calm = next(entry for entry in stage.app.elsewhere.entries() if entry.state == "live" and entry.mark == "ok")
        stage.app.show_host(calm.key)
        stage.app.refresh_view()
        await stage.pilot.pause()
        line = text_of(stage.app)[1]
        assert "nothing is wrong" not in line
        assert "build-1: backup.service failed" in line
        await stage.press("2")
        assert "build-1: backup.service failed" in text_of(stage.app)[1]


async def test_a_target_that_is_never_reached_is_named_with_the_reason_on_every_screen() -> None:
    given = fleet(1, end=END, screen=ScreenSettings(start="overview"))
    source = given.rig.source
    source._queue.get_nowait()
    app = make_app(given.rig.services)
    target = "https://hub:8200"
    async with app.run_test(size=(120, 24)) as pilot:
        source.push(
            Status(host="", name=target, state="offline", message=f"{target}: connection refused", target=target)
        )
        await until(pilot, lambda: bool(app.model.unreached))
        app._stalled()
        await until(pilot, lambda: "connection refused" in text_of(app)[1])
        assert text_of(app)[0].startswith(f" {target}")
        assert "OFFLINE" in text_of(app)[0]
        await pilot.press("2")
        await until(pilot, lambda: "1 host " in text_of(app)[0])
        assert "connection refused" in text_of(app)[1]
        row = next(line for line in text_of(app)[2:] if target in line)
        assert "OFFLINE never" in row
        source.push(msgspec.structs.replace(given.members[0].info, target=target), given.members[0].frame(END))
        await until(pilot, lambda: bool(app.model.hosts))
        await until(pilot, lambda: not app.model.unreached)


async def test_the_host_shown_is_let_go_of_when_the_hub_lets_go_of_it() -> None:
    async with staged(12, (120, 24)) as stage:
        first, second, *_ = stage.given.members
        stage.app.show_host(first.id)
        stage.given.rig.source.push(Status(host=first.id, state="paused", gone=True))
        await until(stage.pilot, lambda: stage.app.host_id != first.id)
        assert stage.app.host_id == second.id
        assert first.name not in [entry.label for entry in stage.app.elsewhere.entries()]


async def test_on_the_fleet_the_past_is_not_that_of_the_host_chosen() -> None:
    given = fleet(3, end=END, screen=ScreenSettings(start="fleet"))
    first, second, third = given.members
    for member in given.members:
        member.state, member.until, member.silent, member.alerts = "live", None, range(0), ()
    histories = {first.id: Past(first, range(600, END)), second.id: Past(second, range(1, END))}
    async with staged(given=given, size=(120, 24), histories=histories) as stage:  # type: ignore[arg-type]
        app = stage.app
        app.show_host(first.id)
        app.go_to((START + 100) * 1000)
        await until(stage.pilot, lambda: app.cursor.view is not None)
        assert app.cursor.view is not None
        assert app.cursor.view.time == (START + 100) * 1000
        await until(stage.pilot, lambda: {each.label: each.state for each in stage.screen._shown} == {
            first.name: "nothing", second.name: "live", third.name: "unknown",
        })  # fmt: skip
        await stage.press("[")
        await until(stage.pilot, lambda: app.cursor.view is not None and app.cursor.view.time == (START + 99) * 1000)
        await until(stage.pilot, lambda: app.track is not None and app.track.start == (START + 1) * 1000)
        await stage.press("1")
        await stage.until_text(f"nothing of {first.name} was recorded by")
        assert app.cursor.view is not None
        assert app.cursor.view.time == (START + 99) * 1000
        await until(stage.pilot, lambda: app.track is not None and app.track.start == (START + 600) * 1000)
        await stage.press("2")
        assert app.cursor.mode == "past"
        # A host that was not heard of since the start has a past all the same.
        await stage.press("L")
        app.model.hosts[second.id] = type(app.model.hosts[second.id])(second.info, app.services.catalogue)
        app.show_host(second.id)
        await stage.press("1", "[")
        await until(stage.pilot, lambda: app.cursor.view is not None and app.cursor.view.info.id == second.id)


async def test_where_the_screen_keeps_to_its_targets_the_form_says_so_and_nothing_waits_for_ever() -> None:
    book = a_book()
    book.peer = Peer(target="https://nas:8200", fingerprint="sha256:" + "ab" * 32, words=WORDS, verified=True)
    given = fleet(12, end=END, screen=ScreenSettings(start="fleet"))
    given.rig.services.unwatched = "this screen keeps to its targets"
    async with staged(given=given, size=(120, 24), book=book) as stage:
        await fill_in(stage, "nas", "https://nas:8200")
        await stage.until_text("this screen keeps to its targets")
        await stage.press("ctrl+s")
        await until(stage.pilot, lambda: "nas" in book.kept and stage.app.screen is stage.screen)
        await stage.until_text("nas is added; this screen keeps to its targets")
        assert "nas" not in stage.names


@pytest.mark.parametrize("size", [(80, 24), (60, 12)])
async def test_every_field_of_the_form_can_be_reached(size: tuple[int, int]) -> None:
    async with staged(12, size, book=a_book()) as stage:
        await stage.press("a")
        form = stage.app.screen
        assert isinstance(form, HostForm)
        for _ in range(len(form._inputs()) - 1):
            await stage.press("down")
        assert form._inputs()[-1].has_focus
        await until(stage.pilot, lambda: any(line.strip(" │┃▌▐█").startswith("key ") for line in text_of(stage.app)))


async def test_the_list_of_hosts_is_as_calm_as_the_fleet() -> None:
    given = fleet(3, end=END, screen=ScreenSettings(start="fleet"))
    for member in given.members:
        member.until, member.state, member.alerts = END - 100, "offline", ()
    given.members[0].expected_off = True
    given.rig.source.push(given.members[0].info)
    async with staged(given=given, size=(100, 24)) as stage:
        await stage.press("h")
        lines = text_of(stage.app)
        row = next(line for line in lines if given.members[0].name in line and "│" in line)
        assert "OFF 1m" in row
        assert "✖" not in row
        assert any("✖ OFFLINE" in line for line in lines)


async def test_the_time_bar_of_the_fleet_is_that_of_all_hosts_whether_the_one_chosen_is_heard_or_not() -> None:
    given = fleet(3, end=END, screen=ScreenSettings(start="fleet"))
    first, second, _ = given.members
    for member in given.members:
        member.until, member.state, member.alerts = END - 100, "offline", ()
    async with staged(given=given, size=(120, 40), histories={second.id: Past(second, range(1, END))}) as stage:
        stage.app.show_host(first.id)
        stage.app._stalled()
        await until(stage.pilot, lambda: stage.app.track is not None)
        stage.app.track = None
        stage.app.refresh_view()
        await stage.until_text("no recording of any host yet")
