"""Screens by name, imported when they are first wanted."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from sysmon.errors import nearest
from tui.keys import all_keys, binding_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tui.screens.base import HostScreen


def screen_class(name: str) -> type[HostScreen]:
    """The class of a numbered screen, from the module of its name."""
    found: type[HostScreen] = importlib.import_module(f"tui.screens.{name}").SCREEN
    return found


def unknown_actions(settings: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Says which names of `[keys]` are no action."""
    known = [binding_id(key) for key in all_keys()]
    return [
        "; ".join(filter(None, (f"[keys] '{name}' is not an action", nearest(name, known))))
        for name in settings
        if name not in known
    ]
