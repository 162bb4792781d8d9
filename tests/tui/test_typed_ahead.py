"""Keys that come in one burst: those after the one that opens a filter are typed into it, on every screen with one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.events import Key
from textual.widgets import Input

from sysmon.config import ScreenSettings
from tests.tui.screens.networkstage import Gateway, Ledger
from tests.tui.scripted import make_app, rig
from tests.tui.support import show, until

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from tui.app import SysmonApp

pytestmark = pytest.mark.anyio


def type_at_once(app: SysmonApp, keys: str) -> None:
    """Sends keys as a terminal does that has several to tell: none waits for what another does."""
    names = {"/": "slash", " ": "space", ":": "colon"}
    for character in keys:
        app.post_message(Key(names.get(character, character), character))


async def typed(pilot: Pilot[int], keys: str) -> Input:
    """The line that has the focus once all was typed."""
    app = pilot.app
    type_at_once(app, keys)  # type: ignore[arg-type]
    await until(pilot, lambda: isinstance(app.focused, Input) and len(app.focused.value) >= len(keys) - 1)
    await pilot.pause()
    assert isinstance(app.focused, Input)
    return app.focused


@pytest.mark.parametrize("start", ["network", "processes", "fleet"])
async def test_what_is_typed_right_after_the_slash_is_the_filter(start: str) -> None:
    script = Gateway(name="home", processes=4)
    given = rig(script, history=Ledger(script, range(60)), screen=ScreenSettings(start=start))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        # Each of them is a key of the screens, or of the app.
        line = await typed(pilot, "/dxr1j")
        assert line.value == "dxr1j"
        assert type(app.screen).__name__.lower().startswith(start)
        for _ in range(3):
            await pilot.press("backspace")
        assert line.value == "dx"
        await pilot.press("home", "y")
        assert line.value == "ydx"


async def test_a_burst_that_ends_with_enter_filters() -> None:
    script = Gateway(name="home", processes=2)
    given = rig(script, history=Ledger(script, range(60)), screen=ScreenSettings(start="network"))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 4)
        type_at_once(app, "/lan")
        app.post_message(Key("enter", "\r"))
        await until(pilot, lambda: app.screen.tab.filter == "lan" and not isinstance(app.focused, Input))  # type: ignore[attr-defined]
