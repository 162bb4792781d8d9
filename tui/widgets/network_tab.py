"""What the Network screen's tables share: order, filter, details, and how they reach the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from textual.containers import Vertical

from sysmon.errors import SysmonError
from tui.networkbook import REFRESH_SECONDS
from tui.networkfilter import FIELDS, Term, parse_filter
from tui.renderables.text import shorten, width_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence

    from sysmon.ports import History
    from tui.model import View
    from tui.networkbook import Entry
    from tui.renderables.frame import Hint
    from tui.screens.network import NetworkScreen
    from tui.widgets.table import Table

Told = TypeVar("Told")


class NetworkTab(Vertical):
    """One table of the Network screen with its details; subclasses say what it shows.

    Class attributes:
        NAME: its name in `show_tab('NAME')`.
        SORTS: columns it can be sorted by, and whether the largest comes first.
        TABLES: tables that must be collected while it is shown.
    """

    DEFAULT_CSS = """
    NetworkTab { height: 1fr; display: none; }
    NetworkTab.-shown { display: block; }
    """
    NAME: ClassVar[str] = ""
    SORTS: ClassVar[Mapping[str, bool]] = {}
    TABLES: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.sort: tuple[str, bool] = ("", False)
        self.filter = ""
        self.terms: tuple[Term, ...] = ()
        self.counts = (0, 0)

    # -- what subclasses have

    @property
    def table(self) -> Table[Any]:
        """The table shown."""
        raise NotImplementedError

    @property
    def whole(self) -> bool:
        """Whether all widgets are there; a worker may outlast them when the program ends."""
        raise NotImplementedError

    def draw(self, view: View) -> None:
        """Draw a moment; called only while `whole`."""
        raise NotImplementedError

    def draw_one(self, view: View) -> None:
        """Draw what depends on the row under the cursor."""

    def lay_out(self) -> None:
        """Take the columns for the present size, unit and range."""

    def hint(self) -> None:
        """Say which keys there are."""

    def open_details(self) -> None:
        """Show all about the row under the cursor."""

    def close_details(self) -> bool:
        """Close the details; returns whether they were open."""
        if not self.has_class("-details"):
            return False
        self.remove_class("-details")
        self.table.focus()
        self.hint()
        self.network.refresh_soon()
        return True

    def focus_list(self) -> None:
        """Put the focus where the cursor is: on the details where they are open, else on the table."""
        self.table.focus()

    @property
    def sorts(self) -> Mapping[str, bool]:
        """Columns it can be sorted by, and whether the largest comes first."""
        return self.SORTS

    @property
    def fields(self) -> Mapping[str, str]:
        """The fields of its filter, each with an example."""
        return FIELDS[self.NAME]

    def words_of_range(self, view: View) -> str:
        """The range it shows, for the line of tables; '' where it has none."""
        return ""

    # -- what they use

    @property
    def network(self) -> NetworkScreen:
        """The screen it stands on."""
        return cast("NetworkScreen", self.screen)

    def key_hint(self, name: str, words: str, action: str = "") -> Hint:
        """A hint of one of the screen's keys."""
        return self.network.key_hint(name, words, action)

    def ask(
        self,
        view: View,
        key: tuple[Hashable, ...],
        read: Callable[[History], Awaitable[Told]],
        *,
        seconds: float = REFRESH_SECONDS,
        empty: Callable[[Told], bool] | None = None,
    ) -> Entry[Told]:
        """What the history says of the host shown at the moment shown; see `Book.get`.

        Args:
            view: the moment.
            key: the question, without host and moment, which are added.
            read: asks the host's history.
            seconds: how old an answer about the present may be.
            empty: tells whether an answer has nothing in it yet.
        """
        host = view.info.id
        history = self.network.services.history(host)

        async def told() -> Told:
            if history is None:
                raise SysmonError("nobody records this host")
            return await read(history)

        whole = (*key, host, 0 if view.live else view.time)
        return self.network.book.get(whole, told, live=view.live, seconds=seconds, empty=empty)

    def set_filter(self, text: str) -> None:
        """Another filter counts."""
        self.filter, self.terms = text, parse_filter(text, self.fields)

    def order_words(self, natural: str) -> list[str]:
        """The filter, and what it is sorted by where that is not the screen's own order."""
        shown, among = self.counts
        parts = [f"'{self.filter}'", f"{shown} of {among}"] if self.filter else []
        column, reverse = self.sort
        if column or reverse:
            parts.append(f"by {column or natural}" + (", reversed" if not column else ""))
        return parts

    def fitted(self, title: str, parts: Sequence[str]) -> str:
        """Parts of a border's right end, cut rather than left out where they are too long for it."""
        table = self.table
        room = table.size.width - width_of(title) - 12
        return shorten("  ".join(part for part in parts if part), max(0, room), ellipsis=table.look.glyphs.ellipsis)

    # -- order

    def reverse(self) -> None:
        """Reverse the order."""
        self.sort = (self.sort[0], not self.sort[1])

    def sort_beside(self, direction: int) -> None:
        """Sort by the next column at the left or the right; before the first is the screen's own order."""
        placed = [each.column.key for each in self.table._placed]
        names = ["", *(name for name in placed if name in self.sorts)]
        at = names.index(self.sort[0]) if self.sort[0] in names else 0
        self.sort_by(names[(at + direction) % len(names)])

    def sort_by(self, column: str) -> None:
        """Sort by a column."""
        self.sort = (column, self.sorts.get(column, False))

    def on_table_header_selected(self, event: Table.HeaderSelected) -> None:
        """Sort by a column; again reverses; once more is the screen's own order."""
        event.stop()
        column, reverse = self.sort
        if event.column != column:
            self.sort_by(event.column)
        elif reverse == self.sorts.get(column, False):
            self.reverse()
        else:
            self.sort_by("")
        self.network.refresh_tab()

    def on_table_row_highlighted(self, event: Table.RowHighlighted) -> None:
        """Another row."""
        event.stop()
        view = self.network.view
        if view is not None and self.whole:
            self.draw_one(view)

    def on_table_row_selected(self, event: Table.RowSelected) -> None:
        """Enter, or a click on the row under the cursor."""
        event.stop()
        self.open_details()
