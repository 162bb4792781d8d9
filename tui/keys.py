"""Every key of the program in one table: what it does, where, and how `[keys]` may change it.

Nothing here loads Textual, so that `sysmon config check` can know the actions.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
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
    Key("fleet", ("2",), "screen('fleet')", "all hosts, worst first", show=True, label="Fleet"),
    Key("network", ("3",), "screen('network')", "interfaces, LAN devices, connections", show=True, label="Network"),
    Key("processes", ("4",), "screen('processes')", "processes", show=True, label="Processes"),
    Key("history", ("9",), "screen('history')", "charts of the past", show=True, label="History"),
    Key("alerts", ("0",), "screen('alerts')", "alerts", show=True, label="Alerts"),
    Key("help", ("question_mark", "f1"), "help", "this help", show=True, label="Help"),
    Key("quit", ("q", "ctrl+c"), "quit", "quit", show=True, label="Quit"),
    Key("palette", ("ctrl+p",), "command_palette", "all commands, by name"),
    Key("hosts", ("h",), "hosts", "choose the host to look at"),
    Key("theme", ("ctrl+t",), "next_theme", "next colour theme"),
    Key("next_panel", ("tab",), "focus_next", "to the next panel"),
    Key("previous_panel", ("shift+tab",), "focus_previous", "to the previous panel"),
    Key("redraw", ("ctrl+l",), "redraw", "draw the whole screen anew"),
    Key("freeze", ("Z",), "freeze", "freeze the screen; recording goes on", show=True, label="Freeze"),
    Key("maximise", ("z",), "maximise", "maximise the panel in focus, and back", show=True, label="Zoom"),
    Key("faster", ("plus", "equals_sign"), "step(-1)", "update the screen more often"),
    Key("slower", ("minus",), "step(1)", "update the screen less often"),
    Key("back", ("left_square_bracket",), "time_step(-1)", "one step back in time", show=True, label="Back"),
    Key("forward", ("right_square_bracket",), "time_step(1)", "one step forward in time"),
    Key("leap_back", ("left_curly_bracket",), "time_leap(-1)", "ten minutes back in time"),
    Key("leap_forward", ("right_curly_bracket",), "time_leap(1)", "ten minutes forward in time"),
    Key("jump", ("b",), "time_jump", "go to a moment: 03:12, 3h ago", show=True, label="Go to"),
    Key("mark_back", ("left_parenthesis",), "time_mark(-1)", "to the event before this moment"),
    Key("mark_forward", ("right_parenthesis",), "time_mark(1)", "to the event after this moment"),
    Key("live", ("L", "end"), "time_live", "back to now"),
    Key("leave", ("escape",), "leave", "back: cancel, minimise, leave the past; never quits"),
    Key("suspend", ("ctrl+z",), "suspend_process", "stop, as any job of the shell"),
)
"""Actions that work everywhere; screens add theirs with `register`."""

_screens: dict[str, tuple[Key, ...]] = {}


def register(screen: str, keys: Iterable[Key]) -> tuple[Key, ...]:
    """Adds a screen's keys to the table, for help and `[keys]`; returns them."""
    _screens[screen] = tuple(keys)
    return _screens[screen]


def keys_of(screen: str) -> tuple[Key, ...]:
    """Returns the keys that a screen registered."""
    return _screens.get(screen, ())


def tabs() -> list[tuple[str, Key]]:
    """Returns the numbered screens as (name, key), in the order in which they are shown."""
    return [(key.id, key) for key in KEYS if key.action == f"screen('{key.id}')"]


def binding_id(key: Key) -> str:
    """Returns the name by which `[keys]` and Textual know an action."""
    return key.id if key.scope == "app" else f"{key.scope}.{key.id}"


_SIGNS = {
    "question_mark": "?",
    "exclamation_mark": "!",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "left_parenthesis": "(",
    "right_parenthesis": ")",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
    "slash": "/",
    "backslash": "\\",
    "full_stop": ".",
    "comma": ",",
    "colon": ":",
    "semicolon": ";",
    "asterisk": "*",
    "number_sign": "#",
    "vertical_line": "|",
    "tilde": "~",
    "circumflex_accent": "^",
    "underscore": "_",
    "escape": "Esc",
    "enter": "Enter",
    "space": "Space",
    "tab": "Tab",
    "shift+tab": "Shift+Tab",
    "delete": "Del",
    "backspace": "Backspace",
    "pageup": "PgUp",
    "pagedown": "PgDn",
}


def label(key: str) -> str:
    """Returns a key's name as people know it: `?`, `F1`, `^P`."""
    if key in _SIGNS:
        return _SIGNS[key]
    if key.startswith("ctrl+"):
        return "^" + label(key[5:]).upper()
    return key.capitalize() if len(key) > 1 else key


def present_keys(key: Key, settings: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Returns the keys that an action has now, `[keys]` considered."""
    return settings.get(binding_id(key), key.keys)


def all_keys() -> tuple[Key, ...]:
    """Returns every action known, everywhere's first; screens' keys in modules of their own are looked up there."""
    for name, _ in tabs():
        if name not in _screens and find_spec(f"tui.keys_{name}") is not None:
            register(name, import_module(f"tui.keys_{name}").KEYS)
    order = [*(name for name, _ in tabs()), *sorted(_screens)]
    return (*KEYS, *(key for name in dict.fromkeys(order) for key in keys_of(name)))


def bindings(keys: Iterable[Key]) -> list[Binding]:
    """Builds Textual bindings whose ids `[keys]` can remap."""
    from textual.binding import Binding

    return [
        Binding(
            ",".join(key.keys),
            key.action,
            key.label or key.help,
            show=key.show,
            id=binding_id(key),
            priority=False,
        )
        for key in keys
    ]


def keymap(settings: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Turns `[keys]` into Textual's keymap: binding id -> keys."""
    return {name: ",".join(keys) for name, keys in settings.items()}


def document() -> str:
    """Returns docs/keys.md: every action with its keys and its name in `[keys]`, by where it works."""
    lines = [
        "# Keys",
        "",
        "`?` shows this list in the program, `^P` finds an action by its name, and most of what a key does a click",
        "does too. Any action can have other keys: in the configuration file, by the name in the last column,",
        "",
        "```toml",
        "[keys]",
        'freeze = ["w"]',
        '"processes.tree" = ["t", "f5"]',
        "```",
        "",
        "Keys are written as Textual names them (`question_mark`, `ctrl+p`, `left_square_bracket`) or as the sign.",
    ]
    keys = all_keys()
    for scope in dict.fromkeys(key.scope for key in keys):
        title = "Everywhere" if scope == "app" else scope.capitalize()
        lines += ["", f"## {title}", "", "| keys | what | name |", "|---|---|---|"]
        for key in keys:
            if key.scope == scope:
                names = " ".join(f"`{label(name)}`".replace("|", "\\|") for name in key.keys)
                lines.append(f"| {names} | {key.help.replace('|', chr(92) + '|')} | `{binding_id(key)}` |")
    return "\n".join(lines) + "\n"
