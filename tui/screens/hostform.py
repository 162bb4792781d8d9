"""The form of a host's settings; a key that is not known yet is shown in words, and pinned on a yes alone."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, ClassVar, Literal

import msgspec
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from sysmon.errors import SysmonError
from tui.dialog import Dialog
from tui.hostfields import FIELDS, changes, introduction, parse, texts_of, wants_pin
from tui.renderables.frame import Hint
from tui.renderables.text import Spans, strip
from tui.widgets.lines import LinesPanel

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.strip import Strip
    from textual.worker import Worker

    from sysmon.config import HostSettings
    from sysmon.ports import HostBook, Peer
    from tui.theme import Look


class HostForm(Dialog["HostSettings | None"]):
    """Adds a host, or changes one; the result is its settings, or None where nothing was done.

    Enter goes on from field to field and saves from the last, Ctrl+S saves from any. What cannot be is said below, and
    nothing typed is lost.

    Args:
        book: keeps the hosts.
        host: the one to change; None adds one.
        note: what is to be known about the hosts that are kept so.
    """

    DEFAULT_CSS = """
    HostForm #box { width: 84; max-width: 98%; height: auto; max-height: 100%; overflow-y: auto; }
    HostForm .row { height: 1; }
    HostForm .row Static { width: 13; color: $secondary; }
    HostForm .row Input { width: 1fr; }
    HostForm #problem { height: auto; min-height: 1; max-height: 4; }
    HostForm #trust { display: none; height: 14; width: 84; max-width: 98%; }
    HostForm.-trust #trust { display: block; }
    HostForm.-trust #box { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", show=False),
        Binding("ctrl+s", "save", show=False, priority=True),
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("y", "trust", show=False),
        Binding("n", "distrust", show=False),
    ]

    def __init__(self, book: HostBook, host: HostSettings | None = None, *, note: str = "") -> None:
        super().__init__()
        self._note = note
        self._book = book
        self._host = host
        self._new: HostSettings | None = None
        self._peer: Peer | None = None
        self._asking: Worker[None] | None = None
        self.stage: Literal["form", "asking", "trust"] = "form"

    def compose(self) -> ComposeResult:
        """A box with a line for each field; the introduction of who answers takes its place."""
        texts = texts_of(self._host)
        with Vertical(id="box", classes="dialog"):
            title = f"Change {self._host.name}" if self._host is not None else "Add a host"
            yield Static(f"{title}: Enter goes on, Ctrl+S saves, Esc leaves", classes="title", markup=False)
            for field in FIELDS:
                with Horizontal(classes="row"):
                    yield Static(field.label, markup=False)
                    yield Input(texts[field.name], placeholder=field.example, id=f"field-{field.name}")
            yield Static(self._note, id="problem", classes="dim", markup=False)
        yield LinesPanel(
            "who answers there", id="trust",
            hints=[Hint("y", "yes, pin this key", "screen.trust"), Hint("n", "no", "screen.distrust")],
        )  # fmt: skip

    def on_mount(self) -> None:
        """Begin with the first field."""
        self._inputs()[0].focus()

    def _inputs(self) -> list[Input]:
        return [self.query_one(f"#field-{field.name}", Input) for field in FIELDS]

    def _say(self, words: str, kind: str = "error") -> None:
        line = self.query_one("#problem", Static)
        line.set_classes(kind)
        line.update(words)

    # -- the form

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """On to the next field; from the last, save."""
        event.stop()
        inputs = self._inputs()
        at = inputs.index(event.input)
        if at == len(inputs) - 1:
            self.action_save()
        else:
            inputs[at + 1].focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """What was wrong may be right now."""
        event.stop()
        if self.stage == "form":
            self._say(self._note, "dim")

    def action_move(self, step: int) -> None:
        """To the field above or below."""
        inputs = self._inputs()
        at = next((index for index, each in enumerate(inputs) if each.has_focus), 0)
        inputs[max(0, min(at + step, len(inputs) - 1))].focus()

    def action_save(self) -> None:
        """Check what was typed, ask who answers where that is not known, and save."""
        if self.stage != "form":
            return
        texts = {field.name: each.value for field, each in zip(FIELDS, self._inputs(), strict=True)}
        try:
            taken = [host.name for host in self._book.hosts()]
            new = parse(texts, self._host, taken)
        except SysmonError as error:
            self._say(str(error))
            self._focus_of(error.message.partition(":")[0])
            return
        self._new = new
        if self._host is not None and new == self._host:
            self.dismiss(None)
        elif wants_pin(new) and (self._host is None or new.target != self._host.target):
            self._ask(new)
        else:
            self._keep(new)

    def _focus_of(self, label: str) -> None:
        for field, each in zip(FIELDS, self._inputs(), strict=True):
            if field.label == label:
                each.focus()

    def _keep(self, new: HostSettings) -> None:
        try:
            if self._host is None:
                self._book.add(new)
            else:
                new = self._book.edit(self._host.name, changes(self._host, new))
        except SysmonError as error:
            self._to_form(str(error))
            return
        self.dismiss(new)

    def _to_form(self, problem: str = "") -> None:
        self.stage = "form"
        self._peer = None
        self.remove_class("-trust")
        self._say(problem)
        if not any(each.has_focus for each in self._inputs()):
            self._inputs()[1].focus()

    # -- who answers

    def _ask(self, new: HostSettings) -> None:
        self.stage = "asking"
        self._say(f"asking {new.target} who it is ... Esc cancels", "dim")

        async def ask() -> None:
            try:
                peer = await self._book.probe(new)
            except SysmonError as error:
                self._to_form(str(error))
                return
            self._introduce(new, peer)

        self._asking = self.run_worker(ask(), group="probe", exclusive=True, exit_on_error=True)

    def _introduce(self, new: HostSettings, peer: Peer) -> None:
        if not peer.fingerprint or peer.verified:
            if peer.problem and not peer.verified:
                self._to_form(peer.problem)
            else:
                self._keep(new)
            return
        self._peer, self.stage = peer, "trust"
        self.add_class("-trust")
        panel = self.query_one("#trust", LinesPanel)
        panel.set_frame(title=f"who answers at {peer.target}", update=False)
        width = min(84, self.app.size.width * 98 // 100) - 4
        panel.styles.height = min(self.app.size.height, len(trust_lines(peer, width, 99, panel.look)) + 2)
        panel.set_draw(lambda width, height, look: trust_lines(peer, width, height, look))
        panel.focus()

    def action_trust(self) -> None:
        """Yes: pin it and save."""
        if self.stage == "trust" and self._peer is not None and self._new is not None:
            self._keep(msgspec.structs.replace(self._new, fingerprint=self._peer.fingerprint))

    def action_distrust(self) -> None:
        """No: back to the form; nothing is kept."""
        if self.stage == "trust":
            self._to_form("not saved: that key was not confirmed")

    def action_back(self) -> None:
        """One step back, or out."""
        if self.stage == "asking":
            if self._asking is not None:
                self._asking.cancel()
            self._to_form("cancelled")
        elif self.stage == "trust":
            self.action_distrust()
        else:
            self.dismiss(None)


def trust_lines(peer: Peer, width: int, height: int, look: Look) -> list[Strip]:
    """Draw who answers, and the question."""
    palette, dots = look.palette, look.glyphs.ellipsis
    lines: list[Spans] = []
    for name, value in introduction(peer):
        style = palette.strong if name == "words" else palette.text
        pieces = textwrap.wrap(value, max(8, width - 13)) or [""]
        for index, piece in enumerate(pieces):
            lines.append([(f"{name if not index else '':<13}", palette.dim), (piece, style)])
    if peer.problem:
        lines += [[(piece, palette.warning)] for piece in textwrap.wrap(peer.problem, max(8, width))]
    lines.append([("", palette.text)])
    question = "`sysmon --agent` prints its words when it starts. Are they the same? Nothing secret was sent yet."
    lines += [[(piece, palette.text)] for piece in textwrap.wrap(question, max(8, width))]
    return [strip(line, width, palette.text, ellipsis=dots) for line in lines][:height]
