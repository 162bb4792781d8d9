"""Every key of the program in one table: what it does, where, and how `[keys]` may change it.

Nothing here loads Textual, so that `sysmon config check` can know the actions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from textual.binding import Binding


@dataclass(frozen=True, slots=True)
class Key:
    """One action that keys are bound to.

    Attributes:
        id: its name in `[keys]`.
        keys: Textual key names, the one to show first; a letter before an F-key.
        action: Textual action string.
        help: what it does, in a few words.
        scope: `app` for everywhere, else a screen's name.
        show: whether the footer shows it.
        label: the footer's word for it.
    """

    id: str
    keys: tuple[str, ...]
    action: str
    help: str
    scope: str = "app"
    show: bool = False
    label: str = ""


KEYS: tuple[Key, ...] = (
    Key("overview", ("1",), "screen('overview')", "overview of one host", show=True, label="Overview"),
    Key("network", ("3",), "screen('network')", "network interfaces", show=True, label="Network"),
    Key("processes", ("4",), "screen('processes')", "processes", show=True, label="Processes"),
    Key("history", ("9",), "screen('history')", "charts of the past", show=True, label="History"),
    Key("alerts", ("0",), "screen('alerts')", "alerts", show=True, label="Alerts"),
    Key("help", ("question_mark", "f1"), "help", "this help", show=True, label="Help"),
    Key("quit", ("q", "ctrl+c"), "quit", "quit", show=True, label="Quit"),
    Key("palette", ("ctrl+p",), "command_palette", "all commands, by name"),
    Key("hosts", ("h",), "hosts", "choose the host to look at"),
    Key("theme", ("ctrl+t",), "next_theme", "next colour theme"),
    Key("redraw", ("ctrl+l",), "redraw", "draw the whole screen anew"),
    Key("freeze", ("Z",), "freeze", "freeze the screen; recording goes on"),
    Key("maximise", ("z",), "maximise", "maximise the panel in focus, and back"),
    Key("faster", ("plus", "equals_sign"), "step(-1)", "update the screen more often"),
    Key("slower", ("minus",), "step(1)", "update the screen less often"),
    Key("back", ("left_square_bracket",), "time_step(-1)", "one step back in time"),
    Key("forward", ("right_square_bracket",), "time_step(1)", "one step forward in time"),
    Key("leap_back", ("left_curly_bracket",), "time_leap(-1)", "ten minutes back in time"),
    Key("leap_forward", ("right_curly_bracket",), "time_leap(1)", "ten minutes forward in time"),
    Key("jump", ("b",), "time_jump", "go to a moment: 03:12, 3h ago"),
    Key("live", ("end", "L"), "time_live", "back to now"),
    Key("previous_mark", ("less_than_sign",), "time_mark(-1)", "to the previous event", scope="alerts"),
)
"""Actions that work everywhere; screens add theirs with `register`."""

_screens: dict[str, tuple[Key, ...]] = {}


def register(screen: str, keys: Iterable[Key]) -> tuple[Key, ...]:
    """Adds a screen's keys to the table, for help and `[keys]`; returns them."""
    _screens[screen] = tuple(keys)
    return _screens[screen]


def all_keys() -> tuple[Key, ...]:
    """Returns every action known, everywhere's first."""
    return (*KEYS, *(key for keys in _screens.values() for key in keys))


def bindings(keys: Iterable[Key]) -> list[Binding]:
    """Builds Textual bindings whose ids `[keys]` can remap."""
    from textual.binding import Binding

    return [
        Binding(
            ",".join(key.keys),
            key.action,
            key.label or key.help,
            show=key.show,
            id=f"{key.scope}.{key.id}" if key.scope != "app" else key.id,
            priority=False,
        )
        for key in keys
    ]


def keymap(settings: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Turns `[keys]` into Textual's keymap: binding id -> keys."""
    return {name: ",".join(keys) for name, keys in settings.items()}
