"""A host made up of arithmetic, so that every screen can be shown, timed and photographed without a machine.

`Script` makes frames for any second; `ScriptedSource` feeds them to an app when told; `ScriptedHistory` answers for the
past from the same frames; `view` gives a screen something to show at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sysmon.clock import ManualClock
from sysmon.config import Config, ScreenSettings
from sysmon.frame import (
    Frame,
    join_key,
)
from tui.app import SysmonApp
from tui.glyphs import UNICODE, Glyphs
from tui.services import Services

if TYPE_CHECKING:
    from collections.abc import Sequence


from tests.tui.scripted_host import START, Script, catalogue, view, wave
from tests.tui.scripted_past import ScriptedHistory, ScriptedSource


@dataclass
class Rig:
    """Everything an app under test needs, and what it did with it."""

    services: Services
    source: ScriptedSource
    clock: ManualClock
    script: Script
    watched: list[set[str]]
    saved: list[dict[str, object]]

    def push(self, second: int, *, tables: bool = True) -> Frame:
        """Lets the host say what it knows at a second, at that second."""
        now = (self.script.start + second) * 1000
        self.clock.step_wall(now - self.clock.now())
        frame = self.script.frame(second, tables=tables)
        self.source.push(frame)
        return frame


def rig(
    script: Script | None = None,
    *,
    history: ScriptedHistory | None = None,
    screen: ScreenSettings | None = None,
    keys: dict[str, tuple[str, ...]] | None = None,
    notices: Sequence[str] = (),
    hosts: Sequence[Script] = (),
) -> Rig:
    """Services of a scripted host.

    Args:
        script: the host; it is introduced to the source at once.
        history: its past.
        screen: `[screen]`. `keys`: `[keys]`.
        notices: what is said at the start.
        hosts: more hosts, introduced after it.
    """
    made = script or Script()
    source = ScriptedSource()
    clock = ManualClock(now=made.start * 1000)
    watched: list[set[str]] = []
    saved: list[dict[str, object]] = []
    services = Services(
        source=source,
        history=lambda host: history if host == made.host else None,
        actions=lambda host: None,
        catalogue=catalogue(),
        config=Config(screen=screen or ScreenSettings(), keys=keys or {}),
        clock=clock,
        watch=lambda tables: watched.append(set(tables)),
        notices=list(notices),
        save_settings=saved.append,
    )
    source.push(made.info, *(each.info for each in hosts))
    return Rig(services, source, clock, made, watched, saved)


def make_app(services: Services, *, glyphs: Glyphs | None = None, theme_name: str = "sysmon-dark") -> SysmonApp:
    """An app in full colour, whatever terminal the tests run in."""
    return SysmonApp(services, theme_name=theme_name, glyphs=glyphs or UNICODE, depth="truecolor")


__all__ = [
    "START",
    "Rig",
    "Script",
    "ScriptedHistory",
    "ScriptedSource",
    "catalogue",
    "join_key",
    "make_app",
    "rig",
    "view",
    "wave",
]
