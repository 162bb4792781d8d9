"""The dialog that sends a signal: to exactly the processes that were chosen when it opened, each named."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from textual.binding import Binding, BindingType
from textual.containers import Vertical

from sysmon.errors import SysmonError
from tui.dialog import Dialog
from tui.renderables.columns import Column
from tui.renderables.frame import Hint
from tui.renderables.text import Spans, strip
from tui.widgets.lines import LinesPanel
from tui.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.style import Style
    from textual import events
    from textual.app import ComposeResult
    from textual.strip import Strip

    from sysmon.frame import ProcessRow
    from tui.palette import Palette
    from tui.theme import Look

MANY: Final = 5
"""So many processes at once want a second confirmation."""

_OFFERED: Final = (
    ("TERM", "end, tidily"),
    ("KILL", "end at once; nothing is saved"),
    ("INT", "as ^C does"),
    ("HUP", "read the configuration again, or end"),
    ("STOP", "stand still until CONT"),
    ("CONT", "go on"),
    ("USR1", "what the program makes of it"),
    ("USR2", "what the program makes of it"),
    ("QUIT", "end, and leave a core file"),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A signal: its number, name and what it is for."""

    number: int
    name: str
    meaning: str


def choices() -> list[Choice]:
    """The signals offered, as this platform numbers them."""
    return [
        Choice(int(getattr(signal, f"SIG{name}")), name, meaning)
        for name, meaning in _OFFERED
        if hasattr(signal, f"SIG{name}")
    ]


def signal_name(number: int) -> str:
    """TERM, or the number of one without a name."""
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return f"signal {number}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one process; `words` is '' where it went well."""

    row: ProcessRow
    words: str = ""


def send(rows: Sequence[ProcessRow], act: Callable[[ProcessRow], None]) -> list[Outcome]:
    """Does something to each process and returns what became of each; one failure does not keep the others."""
    outcomes = []
    for row in rows:
        try:
            act(row)
        except SysmonError as error:
            outcomes.append(Outcome(row, error.message))
        else:
            outcomes.append(Outcome(row))
    return outcomes


def named(rows: Sequence[ProcessRow]) -> str:
    """`nginx (123)`, or `3 processes`."""
    return f"{rows[0].name} ({rows[0].pid})" if len(rows) == 1 else f"{len(rows)} processes"


class SignalDialog(Dialog[str | None]):
    """Chooses a signal, asks once more where that is due, sends it, and tells what became of each process.

    Its result is a sentence for the user, or None when nothing was sent.

    Args:
        rows: the processes, as they were when they were chosen.
        dangers: (process, why it wants a second confirmation).
        act: sends a signal to one process; raises `SysmonError`.
    """

    DEFAULT_CSS = """
    SignalDialog { align: center middle; }
    SignalDialog #box { width: 84; max-width: 96%; height: auto; max-height: 100%; }
    SignalDialog #targets { height: 5; }
    SignalDialog #signals { height: 11; }
    SignalDialog #outcomes { height: 11; display: none; }
    SignalDialog #sure { height: 7; display: none; }
    SignalDialog.-sure #sure { display: block; }
    SignalDialog.-sure #signals { display: none; }
    SignalDialog.-told #outcomes { display: block; }
    SignalDialog.-told #signals, SignalDialog.-told #sure, SignalDialog.-told #targets { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", show=False),
        Binding("q", "back", show=False),
        Binding("y", "confirm", show=False),
        Binding("backspace", "erase", show=False),
        Binding("enter", "enter", show=False),
    ]

    def __init__(
        self,
        rows: Sequence[ProcessRow],
        dangers: Sequence[tuple[ProcessRow, str]],
        act: Callable[[ProcessRow, int], None],
    ) -> None:
        super().__init__()
        self._rows = list(rows)
        self._dangers = list(dangers)
        self._act = act
        self._number = ""
        self._asked: int | None = None
        self._sent: str | None = None
        self.stage: Literal["choose", "sure", "told"] = "choose"

    def compose(self) -> ComposeResult:
        """Who gets it, which signal, and later what became of it."""
        with Vertical(id="box"):
            yield LinesPanel(f"signal {named(self._rows)}", focusable=False, id="targets")
            yield Table(
                _signal_columns(), lambda row: row.number, "which signal", header=False, position=False, id="signals",
                hints=[Hint("Enter", "send", "screen.enter"), Hint("Esc", "cancel", "screen.back"),
                       Hint("0-9", "by number")],
            )  # fmt: skip
            yield LinesPanel("are you sure?", focusable=True, id="sure")
            yield Table(
                _outcome_columns(), lambda each: (each.row.pid, each.row.started), "what became of it", header=False,
                hints=[Hint("Enter", "close", "screen.back")], id="outcomes",
            )  # fmt: skip

    def on_mount(self) -> None:
        """Offer TERM first."""
        self._fit()
        self.query_one("#targets", LinesPanel).set_draw(self._draw_targets)
        table = self.query_one("#signals", Table)
        table.set_rows(choices())
        table.move_cursor(index=0)
        table.focus()

    def on_resize(self) -> None:
        """Fit the terminal."""
        self._fit()

    def _fit(self) -> None:
        """Gives the targets as many lines as they need, the signals as many as are left."""
        room = self.app.size.height
        targets = min(len(self._rows), 5 if room >= 20 else 1) + 2
        self.query_one("#targets", LinesPanel).styles.height = targets
        self.query_one("#signals", Table).styles.height = max(3, min(11, room - targets - 1))
        self.query_one("#outcomes", Table).styles.height = max(3, min(11, room - 1))

    # -- choosing

    @property
    def chosen(self) -> int | None:
        """The number typed, else the signal under the cursor."""
        if self._number:
            return int(self._number)
        row = self.query_one("#signals", Table).cursor_row
        return row.number if isinstance(row, Choice) else None

    def on_key(self, event: events.Key) -> None:
        """A digit of a signal's number."""
        if self.stage == "choose" and event.character is not None and event.character in "0123456789":
            event.stop()
            self._type((self._number + event.character)[-2:].lstrip("0"))

    def action_erase(self) -> None:
        """Take the last digit back."""
        if self.stage == "choose":
            self._type(self._number[:-1])

    def _type(self, number: str) -> None:
        self._number = number
        table = self.query_one("#signals", Table)
        if number:
            table.move_cursor(key=int(number))
        known = bool(number) and 0 < int(number) < signal.NSIG
        words = f"{number}: {signal_name(int(number)) if known else 'no such signal'}" if number else ""
        table.set_frame(subtitle=words)

    def on_table_row_highlighted(self, event: Table.RowHighlighted) -> None:
        """Arrows choose anew: a number typed before counts no more."""
        event.stop()
        if self._number and event.key != int(self._number):
            self._type("")

    def on_table_row_selected(self, event: Table.RowSelected) -> None:
        """Enter or a click on the signal under the cursor."""
        event.stop()
        self.action_enter()

    def action_enter(self) -> None:
        """Go on: send, or ask once more; on the outcome, close. A second Enter never confirms a danger."""
        if self.stage == "told":
            self.dismiss(self._sent)
            return
        number = self.chosen
        if self.stage != "choose" or number is None:
            return
        if not 0 < number < signal.NSIG:
            return
        reasons = self._reasons()
        if not reasons:
            self._send(number)
            return
        self._asked = number
        self.stage = "sure"
        self.add_class("-sure")
        panel = self.query_one("#sure", LinesPanel)
        panel.styles.height = min(len(reasons), 6) + 2
        panel.set_frame(
            title=f"are you sure? {signal_name(number)} to {named(self._rows)}",
            hints=[Hint("y", "yes, send it", "screen.confirm"), Hint("Esc", "no", "screen.back")],
        )
        panel.set_draw(lambda width, height, look: _draw_reasons(reasons, width, height, look))
        panel.focus()

    def _reasons(self) -> list[str]:
        reasons = [f"{row.name} ({row.pid}): {why}" for row, why in self._dangers]
        if len(self._rows) >= MANY:
            reasons.append(f"these are {len(self._rows)} processes at once")
        return reasons

    def action_confirm(self) -> None:
        """The second confirmation."""
        if self.stage == "sure" and self._asked is not None:
            self._send(self._asked)

    def action_back(self) -> None:
        """One step back, or out."""
        if self.stage == "sure":
            self.stage = "choose"
            self.remove_class("-sure")
            self.query_one("#signals", Table).focus()
        else:
            self.dismiss(self._sent)

    # -- sending

    def _send(self, number: int) -> None:
        outcomes = send(self._rows, lambda row: self._act(row, number))
        failed = [each for each in outcomes if each.words]
        name = signal_name(number)
        done = len(outcomes) - len(failed)
        self._sent = f"{name} sent to {named(self._rows) if not failed else f'{done} of {len(outcomes)} processes'}"
        if not failed:
            self.dismiss(self._sent)
            return
        self.stage = "told"
        self.set_class(True, "-told")
        table = self.query_one("#outcomes", Table)
        table.set_frame(title=f"{name}: {done} sent, {len(failed)} not", update=False)
        table.set_rows([*failed, *(each for each in outcomes if not each.words)])
        table.focus()

    def _draw_targets(self, width: int, height: int, look: Look) -> list[Strip]:
        rest = len(self._rows) - height
        dots = look.glyphs.ellipsis
        shown = self._rows[: height if rest <= 0 else height - 1]
        lines = [strip(_target(row, look), width, look.palette.text, ellipsis=dots) for row in shown]
        if rest > 0:
            more: Spans = [(f"and {rest + 1} more", look.palette.dim)]
            lines.append(strip(more, width, look.palette.text))
        return lines


def _target(row: ProcessRow, look: Look) -> Spans:
    palette = look.palette
    return [
        (f"{row.pid:>7} ", palette.dim), (f"{row.user:<9}", palette.dim), (f"{row.name}  ", palette.strong),
        (row.command, palette.dim),
    ]  # fmt: skip


def _draw_reasons(reasons: Sequence[str], width: int, height: int, look: Look) -> list[Strip]:
    palette, glyphs = look.palette, look.glyphs
    shown = (
        list(reasons) if len(reasons) <= height else [*reasons[: height - 1], f"and {len(reasons) - height + 1} more"]
    )
    spans: list[Spans] = [[(f"{glyphs.severity_warning} ", palette.critical), (each, palette.text)] for each in shown]
    return [strip(each, width, palette.text, ellipsis=glyphs.ellipsis) for each in spans]


def _signal_columns() -> list[Column[Choice]]:
    return [
        Column("number", "", lambda row: str(row.number), width=3, align="right", style=lambda _, p: p.dim),
        Column("name", "", lambda row: row.name, width=6, style=lambda _, p: p.strong),
        Column("meaning", "", lambda row: row.meaning, min_width=10, style=lambda _, p: p.dim),
    ]


def _outcome_columns() -> list[Column[Outcome]]:
    def style(each: Outcome, palette: Palette) -> Style:
        return palette.warning if each.words else palette.ok

    return [
        Column("pid", "", lambda each: str(each.row.pid), width=7, align="right", style=lambda _, p: p.dim),
        Column("name", "", lambda each: each.row.name, width=15),
        Column(
            "words",
            "",
            lambda each: each.words.removeprefix(f"process {each.row.pid} ") or "sent",
            min_width=20,
            style=style,
        ),
    ]


__all__ = ["MANY", "Choice", "Outcome", "SignalDialog", "choices", "named", "send", "signal_name"]
