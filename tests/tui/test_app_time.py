"""The app in time: freezing, stepping, leaping, jumping, the time bar."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sysmon.records import Event
from tests.tui.scripted import START, Rig, Script, ScriptedHistory, make_app, rig
from tui.screens.prompt import Prompt
from tui.widgets.timebar import TimeBar

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from tui.app import SysmonApp

from tests.tui.support import show, text_of, until

pytestmark = pytest.mark.anyio


async def test_freezing_keeps_the_picture_while_frames_come() -> None:
    given = rig()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 5)
        await pilot.press("Z")
        await pilot.pause()
        before = text_of(app)[2:-2]
        assert "FROZEN" in text_of(app)[0]
        for second in range(5, 12):
            given.push(second)
        host = app.host
        assert host is not None
        await until(pilot, lambda: host.frames == 12)
        app.refresh_view()
        await pilot.pause()
        assert text_of(app)[2:-2] == before
        await pilot.press("Z")
        await until(pilot, lambda: "LIVE" in text_of(app)[0])
        screen = app.host_screen
        assert screen is not None
        assert screen.view is not None
        assert screen.view.time == (START + 11) * 1000


def recorded() -> tuple[Script, Rig]:
    """A host with a past that has a hole and an event in it."""
    script = Script()
    event = Event(id="1", time=(START + 30) * 1000, host=script.host, kind="alert.firing", severity="critical",
                  message="the disk was full")  # fmt: skip
    history = ScriptedHistory(script, [*range(20, 50), *range(100, 160)], events=[event])
    return script, rig(script, history=history)


async def go(pilot: Pilot[int], app: SysmonApp, second: int) -> None:
    """Waits until a moment of the past is shown."""

    def there() -> bool:
        screen = app.host_screen
        return screen is not None and screen.view is not None and screen.view.time == (START + second) * 1000

    await until(pilot, there)


async def test_stepping_leaping_and_coming_back() -> None:
    _, given = recorded()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 160)
        await pilot.press("left_square_bracket")
        await go(pilot, app, 158)
        assert "REPLAY" in text_of(app)[0]
        assert "as of" in "\n".join(text_of(app))
        await pilot.press("left_square_bracket")
        await go(pilot, app, 157)
        await pilot.press("right_square_bracket")
        await go(pilot, app, 158)
        await pilot.press("left_curly_bracket")
        await go(pilot, app, 20)
        assert "begins" in text_of(app)[1]
        app.go_to((START + 100) * 1000)
        await go(pilot, app, 100)
        await pilot.press("left_square_bracket")
        await go(pilot, app, 49)
        assert "gap" in text_of(app)[1]
        await pilot.press("L")
        await until(pilot, lambda: app.cursor.live)
        await until(pilot, lambda: "LIVE" in text_of(app)[0])


@pytest.mark.parametrize("screen", ["3", "4", "0"])
async def test_end_is_the_way_back_to_now_also_where_a_list_has_the_keys(screen: str) -> None:
    _, given = recorded()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 3)
        await pilot.press(screen, "left_square_bracket")
        await until(pilot, lambda: not app.cursor.live)
        await pilot.press("end")
        await until(pilot, lambda: app.cursor.live)


async def test_keys_pressed_faster_than_history_answers_all_count() -> None:
    script, given = recorded()
    history = given.services.history(script.host)
    assert isinstance(history, ScriptedHistory)
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 160)
        await until(pilot, lambda: app.track is not None)
        history.hold = asyncio.Event()
        await pilot.press(*["left_square_bracket"] * 4)
        history.hold.set()
        await go(pilot, app, 155)


async def test_events_are_gone_to() -> None:
    _, given = recorded()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 160)
        await until(pilot, lambda: app.track is not None)
        await pilot.press("left_parenthesis")
        await go(pilot, app, 30)


async def test_going_to_a_moment_by_its_time() -> None:
    _, given = recorded()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 160)
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, Prompt))
        await pilot.press(*"later")
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, Prompt), "an error must not close the prompt"
        assert "is not a moment" in "\n".join(text_of(app))
        await pilot.press(*["backspace"] * 5, *"20s", "space", *"ago", "enter")
        await go(pilot, app, 139)


async def test_a_slow_read_is_said_and_can_be_cancelled() -> None:
    script, given = recorded()
    history = given.services.history(script.host)
    assert isinstance(history, ScriptedHistory)
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 160)
        await until(pilot, lambda: app.track is not None)
        history.hold = asyncio.Event()
        await pilot.press("left_square_bracket")
        await asyncio.sleep(0.45)
        await until(pilot, lambda: "reading the past" in text_of(app)[1])
        await pilot.press("escape")
        await pilot.pause()
        assert app.cursor.live
        assert "cancelled" in text_of(app)[1]
        history.hold.set()
        await pilot.pause()
        assert app.cursor.live


async def test_the_time_bar_is_clicked() -> None:
    _, given = recorded()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 160)
        await until(pilot, lambda: app.track is not None)
        bar = app.screen.query_one(TimeBar)
        await until(pilot, lambda: bar._bar != (0, 0))
        start, end = bar._bar
        await pilot.click(TimeBar, offset=(start + (end - start) // 2, 0))
        await until(pilot, lambda: app.cursor.mode == "past")
        assert "ago" in text_of(app)[-2]
        await pilot.press("end")
        await until(pilot, lambda: app.cursor.live)


async def test_a_host_without_history_says_so() -> None:
    given = rig()
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 3)
        await pilot.press("left_square_bracket")
        await pilot.pause()
        assert "nobody records this host" in text_of(app)[1]
