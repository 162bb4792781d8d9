"""The command palette: screens, hosts, themes and every key's action, by name."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from tui.keys import KEYS, keys_of, label, present_keys
from tui.palette import THEME_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tui.app import SysmonApp

_HIDDEN = frozenset({"palette", "next_panel", "previous_panel", "leave"})


class SysmonCommands(Provider):
    """What can be done now."""

    def _commands(self) -> Iterator[tuple[str, str | None, Callable[[], Any]]]:
        """(name, help where the name does not say it, what runs) of each command."""
        app: SysmonApp = self.app  # type: ignore[assignment]
        settings = app.services.config.keys
        screen = app.host_screen
        own = keys_of(screen.NAME) if screen is not None else ()
        for key in (*KEYS, *own):
            if key.id in _HIDDEN and key.scope == "app":
                continue
            keys = " ".join(label(each) for each in present_keys(key, settings))
            namespace = app if key.scope == "app" else screen
            name = key.help
            if key.action.startswith("screen("):
                name = key.label if name.lower() == key.label.lower() else f"{key.label}: {name}"
            yield f"{name}  ({keys})", None, partial(app.run_action_soon, key.action, namespace)
        for host in app.model.hosts.values():
            yield f"host {host.info.label}", f"show {host.info.target}", partial(app.show_host, host.info.id)
        for theme in THEME_NAMES:
            yield f"theme {theme.removeprefix('sysmon-')}", None, partial(app.choose_theme, theme)

    async def discover(self) -> Hits:
        """All of them, before anything is typed."""
        for name, text, run in self._commands():
            # As content: a host's name or the key "[" is no markup.
            yield DiscoveryHit(Content(name), run, name, text)

    async def search(self, query: str) -> Hits:
        """Those whose name matches."""
        matcher = self.matcher(query)
        for name, text, run in self._commands():
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, matcher.highlight(name), run, name, text)
