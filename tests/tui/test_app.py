"""The app as its users drive it: keys, time travel, hosts, sizes, faults."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from sysmon.config import ScreenSettings
from sysmon.errors import RemoteError
from sysmon.frame import Fault
from sysmon.records import AlertState, Status
from tests.tui.scripted import START, Script, ScriptedHistory, make_app, rig
from tests.tui.support import show as show
from tests.tui.support import text_of as text_of
from tests.tui.support import until as until
from tui.actions import STEPS
from tui.glyphs import ASCII
from tui.keys import KEYS, all_keys, binding_id
from tui.screens.base import HostScreen
from tui.screens.help import HelpScreen
from tui.screens.hosts import HostsScreen
from tui.widgets.header import Header

pytestmark = pytest.mark.anyio

SIZES = [(80, 24), (120, 40), (300, 80), (100, 24), (200, 24), (80, 60), (59, 30), (40, 12), (20, 5), (1, 1)]


async def test_first_paint_needs_no_data() -> None:
    given = rig()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        lines = text_of(app)
        assert any("collecting" in line for line in lines)
        assert "1 Overview" in lines[-1]
        await show(pilot, given, 5)
        lines = text_of(app)
        assert not any("collecting" in line for line in lines)
        assert lines[0].startswith(" db-1 ")
        assert "LIVE" in lines[0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("glyphs", ["unicode", "ascii"])
async def test_every_size_is_drawn(size: tuple[int, int], glyphs: str) -> None:
    given = rig(Script(cores=40 if size[0] == 120 else 8))
    app = make_app(given.services, glyphs=ASCII) if glyphs == "ascii" else make_app(given.services)
    async with app.run_test(size=size) as pilot:
        await show(pilot, given, 5)
        lines = text_of(app)
        assert len(lines) == size[1]
        if glyphs == "ascii" and size[0] > 1:
            drawn = "".join(lines).replace("日本語", "")
            assert drawn.isascii(), {char for char in drawn if not char.isascii()}


async def test_resizing_goes_through_all_sizes() -> None:
    given = rig()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 5)
        for width, height in SIZES:
            await pilot.resize_terminal(width, height)
            app.refresh_view()
            await pilot.pause()
            assert len(text_of(app)) == height


async def test_a_tick_lays_nothing_out() -> None:
    given = rig()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 5)
        passes: list[object] = []
        screen = app.screen
        refresh_layout = screen._refresh_layout
        screen._refresh_layout = lambda *args, **more: (passes.append(args), refresh_layout(*args, **more))[1]  # type: ignore[method-assign,func-returns-value]
        for second in range(5, 25):
            given.push(second)
            time = (START + second) * 1000
            await until(pilot, lambda time=time: screen.view is not None and screen.view.time == time)  # type: ignore[attr-defined,misc]
        assert passes == []


@pytest.mark.parametrize("seconds", [0, 5], ids=["without data", "with data"])
async def test_no_key_harms(seconds: int) -> None:
    script = Script()
    given = rig(script, history=ScriptedHistory(script, range(5)))
    app = make_app(given.services)
    async with app.run_test(size=(100, 36)) as pilot:
        if seconds:
            await show(pilot, given, seconds)
        for key in KEYS:
            if key.id in ("quit", "suspend"):
                continue
            for name in key.keys:
                await pilot.press(name)
                await pilot.pause()
                assert app.is_running, key.id
                if not isinstance(app.screen, HostScreen):
                    await pilot.press("escape")
        assert app.return_code is None


async def test_every_key_has_an_action() -> None:
    given = rig()
    app = make_app(given.services)
    for key in KEYS:
        name = key.action.partition("(")[0]
        assert hasattr(app, f"action_{name}"), key


async def test_q_quits_and_escape_never() -> None:
    app = make_app(rig().services)
    async with app.run_test(size=(80, 24)) as pilot:
        for _ in range(4):
            await pilot.press("escape")
        assert app.is_running
        await pilot.press("q")
        await pilot.pause()
        assert app.return_code == 0


async def test_screens_are_kept_and_their_tables_watched() -> None:
    given = rig()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 3)
        first = app.screen
        assert given.watched[-1] == {"processes"}
        for key, name in (("3", "network"), ("9", "history"), ("0", "alerts"), ("4", "processes"), ("1", "overview")):
            await pilot.press(key)
            await pilot.pause()
            screen = app.host_screen
            assert screen is not None
            assert screen.NAME == name
            assert given.watched[-1] == set(screen.TABLES)
            assert screen.view is not None
        assert app.screen is first


async def test_graphs_are_full_from_history() -> None:
    script = Script()
    given = rig(script, history=ScriptedHistory(script, range(300)))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        given.push(300)
        given.push(301)
        host = app.model.hosts
        await until(
            pilot,
            lambda: (
                script.host in host and len(host[script.host].window.recorded("temperature:k10temp/Tctl", 500)) > 250
            ),
        )
        window = host[script.host].window
        points = window.points("cpu.utilization", 200)
        assert points.count(None) <= 1, "the first live frame alone has no rate"


async def test_this_machine_is_shown_first_whoever_is_heard_of_before() -> None:
    router = Script(host="ffff0000ffff0000", name="home")
    given = rig(router)
    own = Script()
    given.services.local = own.host
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.host_id == router.host)
        given.source.push(own.info)
        await until(pilot, lambda: app.host_id == own.host)
        app.show_host(router.host)
        given.source.push(own.info, own.frame(0))
        await until(pilot, lambda: app.model.hosts[own.host].frames == 1)
        assert app.host_id == router.host, "somebody chose it"


async def test_the_machine_of_a_hub_is_shown_before_those_it_follows() -> None:
    first, second = Script(host="ffff0000ffff0000", name="home"), Script()
    given = rig(first)
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        given.source.push(replace(first.info, via=["4444"]))
        await until(pilot, lambda: app.host is not None and app.host.info.via == ["4444"])
        given.source.push(replace(second.info, hub="4444", via=["4444"]))
        await until(pilot, lambda: app.host_id == second.host)


async def test_another_host_is_chosen() -> None:
    other = Script(host="ffff0000ffff0000", name="web-7")
    given = rig(hosts=[other])
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 3)
        given.source.push(other.frame(0), other.frame(1))
        given.source.push(Status(host=other.host, state="offline", message="connection refused"))
        await until(pilot, lambda: app.model.hosts[other.host].status.state == "offline")
        await pilot.press("h")
        await until(pilot, lambda: isinstance(app.screen, HostsScreen))
        await pilot.pause()
        rows = [line for line in text_of(app) if "web-7" in line or "db-1 *" in line]
        assert "OFFLINE" in rows[0], "the worst comes first"
        await pilot.press("up", "enter")
        await until(pilot, lambda: app.host_id == other.host)
        await until(pilot, lambda: text_of(app)[0].startswith(" web-7"))
        assert "connection refused" in text_of(app)[1]


async def test_help_lists_every_key_and_searches() -> None:
    given = rig()
    app = make_app(given.services)
    async with app.run_test(size=(120, 50)) as pilot:
        await show(pilot, given, 3)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await pilot.pause()
        assert "overview of one host" in "\n".join(text_of(app))
        await pilot.press(*"freeze")
        await pilot.pause()
        text = "\n".join(text_of(app))
        assert "freeze the screen" in text
        assert "overview of one host" not in text
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, HostScreen)


async def test_the_palette_opens_a_screen() -> None:
    given = rig()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 3)
        await pilot.press("ctrl+p")
        await pilot.pause()
        await pilot.press(*"Network")
        await until(pilot, lambda: "Network: interfaces, LAN devices, connections  (3)" in "\n".join(text_of(app)))
        await asyncio.sleep(0.2)
        await pilot.press("enter")
        await until(pilot, lambda: app.host_screen is not None and app.host_screen.NAME == "network")


async def test_themes_are_kept() -> None:
    given = rig()
    app = make_app(given.services, theme_name="sysmon-dark")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+t")
        await pilot.pause()
        assert app.theme == "sysmon-light"
        assert given.saved == [{"theme": "light"}]


async def test_keys_are_remapped_and_unknown_names_said() -> None:
    given = rig(keys={"freeze": ("f9",), "freese": ("x",)})
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 3)
        toasts = [notice.message for notice in app._notifications]
        assert any("'freese' is not an action; did you mean 'freeze'?" in message for message in toasts)
        await pilot.press("Z")
        assert app.cursor.live
        await pilot.press("f9")
        assert app.cursor.mode == "frozen"
        assert "F9 " in text_of(app)[-1]


async def test_the_step_changes_what_is_shown_and_nothing_else() -> None:
    given = rig()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 10)
        await pilot.press("minus", "minus")
        assert app.interval == 5
        shows: list[int] = []
        screen = app.host_screen
        host = app.host
        assert screen is not None
        assert host is not None
        screen.show = lambda view: shows.append(view.time // 1000 - START)  # type: ignore[method-assign]
        for second in range(10, 31):
            given.push(second)
            await until(pilot, lambda second=second: host.frames == second + 1)  # type: ignore[misc]
        assert 4 <= len(set(shows)) <= 6
        for _ in STEPS:
            await pilot.press("plus")
        assert app.interval == 1


async def test_what_is_wrong_is_the_second_line() -> None:
    given = rig()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 3)
        given.source.push(
            AlertState(host=given.script.host, rule="r", key="fs.utilization:/srv", status="firing",
                       severity="critical", message="/srv fills up")
        )  # fmt: skip
        given.push(3)
        await until(pilot, lambda: "/srv fills up" in text_of(app)[1])
        await pilot.click(Header, offset=(10, 1))
        await until(pilot, lambda: app.host_screen is not None and app.host_screen.NAME == "alerts")


async def test_a_source_that_ends_leaves_the_screen() -> None:
    given = rig(screen=ScreenSettings(start="overview"))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 3)
        given.source.end(RemoteError("the agent left", "start it again"))
        await until(pilot, lambda: "the agent left; start it again" in text_of(app)[1])
        await given.clock.advance(60)
        app.refresh_view()
        await pilot.pause()
        assert "STALE" in text_of(app)[0]


async def test_faults_say_why_a_panel_is_empty() -> None:
    faults = (
        Fault("pressure", "unsupported", "the kernel has no pressure information"),
        Fault("sensors", "denied", "sensors may not be read here"),
    )
    given = rig(Script(pressure=False, sensors=False, gpus=0, faults=faults))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 3)
        await pilot.pause()
        text = "\n".join(text_of(app))
        assert "the kernel has no pressure" in text
        assert "sensors may not be read here" in text


async def test_zoom_and_back() -> None:
    given = rig()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 30)
        await pilot.press("z")
        await pilot.pause()
        app.refresh_view()
        await pilot.pause()
        lines = text_of(app)
        assert "cpu" in lines[2]
        assert "1 Overview" in lines[-1]
        assert "db-1" in lines[0]
        assert not any("memory┌" in line for line in lines)
        await pilot.press("escape")
        await pilot.pause()
        assert any("memory┌" in line for line in text_of(app))


async def test_the_names_of_keys_are_unique() -> None:
    names = [binding_id(key) for key in all_keys()]
    assert len(names) == len(set(names))
