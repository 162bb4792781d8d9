"""Help: every key by where it works, as the table of keys and `[keys]` say; typing searches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input

from tui.dialog import Dialog
from tui.keys import Key, all_keys, binding_id, label, present_keys
from tui.renderables.columns import Column
from tui.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.style import Style
    from textual.app import ComposeResult

    from tui.palette import Palette


@dataclass(frozen=True, slots=True)
class HelpRow:
    """One line: a group's title, or an action with its keys and its name in `[keys]`."""

    keys: str
    what: str
    name: str = ""
    group: bool = False


def help_rows(
    keys: Sequence[Key], settings: Mapping[str, tuple[str, ...]], search: str = "", first: str = ""
) -> list[HelpRow]:
    """Groups keys by where they work; `first` names the screen whose group comes first, then come everywhere's."""
    scopes = sorted({key.scope for key in keys}, key=lambda scope: (scope != first, scope != "app", scope))
    words = search.lower().split()
    rows: list[HelpRow] = []
    for scope in scopes:
        found = []
        for key in keys:
            if key.scope != scope:
                continue
            row = HelpRow(
                "  ".join(label(each) for each in present_keys(key, settings)), key.help, f"{binding_id(key)}"
            )
            text = f"{row.keys} {row.what} {row.name} {key.label}".lower()
            if all(word in text for word in words):
                found.append(row)
        if found:
            rows.append(HelpRow("", "everywhere" if scope == "app" else scope, group=True))
            rows += found
    return rows


class HelpScreen(Dialog[None]):
    """All keys; the input at the top searches, arrows scroll, Esc closes.

    Args:
        settings: `[keys]`.
        scope: the screen it was asked for on; its keys come first.
    """

    DEFAULT_CSS = """
    HelpScreen #box { width: 84; max-width: 96%; height: 90%; max-height: 46; }
    HelpScreen Table { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1", "dismiss(None)", "Close", show=False),
        Binding("up", "scroll(-1)", show=False),
        Binding("down", "scroll(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
    ]

    def __init__(self, settings: Mapping[str, tuple[str, ...]], scope: str = "") -> None:
        super().__init__()
        self._settings = settings
        self._scope = scope

    def compose(self) -> ComposeResult:
        """A box with an input and a table."""
        with Vertical(id="box", classes="dialog"):
            yield Input(placeholder="type to search, Esc closes", id="search")
            yield Table(
                _columns(), lambda row: (row.group, row.name or row.what), "keys", header=False, border=False,
                empty="no key does that", focusable=False, id="keys",
            )  # fmt: skip

    def on_mount(self) -> None:
        """Show all."""
        self._fill("")
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search."""
        event.stop()
        self._fill(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter closes."""
        event.stop()
        self.dismiss(None)

    def _fill(self, search: str) -> None:
        table = self.query_one("#keys", Table)
        table.set_rows(help_rows(all_keys(), self._settings, search, self._scope))
        table.release_cursor()

    def action_scroll(self, rows: int) -> None:
        """Scroll by rows."""
        self.query_one("#keys", Table).scroll_rows(rows)

    def action_page(self, pages: int) -> None:
        """Scroll by pages."""
        table = self.query_one("#keys", Table)
        table.scroll_rows(pages * max(1, table.size.height - 1))


def _columns() -> list[Column[HelpRow]]:
    def what_style(row: HelpRow, palette: Palette) -> Style | None:
        return palette.title if row.group else None

    return [
        Column("keys", "KEYS", lambda row: row.keys, width=18, style=lambda _row, palette: palette.hotkey),
        Column("what", "WHAT", lambda row: row.what, min_width=20, style=what_style),
        Column("name", "[KEYS]", lambda row: row.name, width=22, priority=1, style=lambda _row, p: p.faint),
    ]
