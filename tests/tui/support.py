"""What tests of the app share: its lines, and waiting for what it shows."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tests.tui.scripted import START, Rig
from tui.app import SysmonApp

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot


def text_of(app: SysmonApp) -> list[str]:
    """The lines on screen."""
    return [strip.text for strip in app.screen._compositor.render_strips()]


async def until(pilot: Pilot[int], wanted: Callable[[], bool], seconds: float = 20.0) -> None:
    """Lets the app work until something holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        await pilot.pause()
        if wanted():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came true:\n" + "\n".join(text_of(pilot.app)))  # type: ignore[arg-type]


async def show(pilot: Pilot[int], given: Rig, seconds: int) -> SysmonApp:
    """Lets the host speak for some seconds, and the app show the last of them."""
    app = pilot.app
    assert isinstance(app, SysmonApp)
    for second in range(seconds):
        given.push(second, tables=second >= seconds - 2)
    last = (START + seconds - 1) * 1000

    def shown() -> bool:
        screen = app.host_screen
        return screen is not None and screen.view is not None and screen.view.time == last

    await until(pilot, shown)
    return app
