"""What users say of devices: a name of their own, what sort it is, and that counting begins anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sysmon.errors import SysmonError
from sysmon.units import format_bytes, format_time
from tui.screens.confirm import Confirm
from tui.screens.prompt import Prompt
from tui.widgets.network_tab import NetworkTab

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tui.devicerows import Device
    from tui.widgets.devices_page import DevicePage

LONGEST: Final = 64
"""Characters of a name that a user gives."""


class DeviceNotes(NetworkTab):
    """The questions, and writing down what was answered; subclasses have the table and the page."""

    host = ""
    """Id of the router shown."""
    rows: list[Device]
    """Its devices."""
    pinned: str | None = None
    """Key of the device whose page is open."""

    @property
    def page(self) -> DevicePage:
        """The page of one device."""
        raise NotImplementedError

    def _chosen(self) -> Device | None:
        if self.has_class("-details"):
            return next((row for row in self.rows if row.key == self.pinned), None)
        return self.table.cursor_row

    def _writable(self) -> bool:
        if self.network.services.notes is None:
            self.network.sysmon.say("names are kept where the history is: not on this machine")
            return False
        return True

    def ask_alias(self) -> None:
        """Asks for a name of the user's own."""
        device = self._chosen()
        if device is None or not self._writable():
            return

        def parse(text: str) -> str:
            return "takes the name back" if text == "-" else f"it will be called {_checked(text)}"

        hint = "a name of your own; - takes it back" if device.alias else "a name of your own"
        self._ask(f"What is {device.label} to be called?", parse, hint, device.alias, lambda text: {"alias": text})

    def ask_category(self) -> None:
        """Asks what sort of device it is."""
        device = self._chosen()
        if device is None or not self._writable():
            return

        def parse(text: str) -> str:
            return "takes it back: it is guessed again" if text == "-" else f"a {_checked(text)}"

        hint = "phone, computer, television, printer, camera ..., - takes it back"
        self._ask(
            f"What sort of device is {device.label}?", parse, hint, device.given_category or device.category,
            lambda text: {"category": text},
        )  # fmt: skip

    def _ask(
        self,
        title: str,
        parse: Callable[[str], str],
        hint: str,
        value: str,
        changes: Callable[[str], dict[str, str]],
    ) -> None:
        network, device = self.network, self._chosen()
        notes, host = network.services.notes, self.host
        if notes is None or device is None:
            return
        key = device.key

        def given(text: str | None) -> None:
            if text is not None:
                words = "" if text == "-" else _checked(text)
                self._write(notes.name_device(host, key, **changes(words)), "kept")

        network.app.push_screen(Prompt(title, parse, hint=hint, value=value), given)

    def ask_reset(self) -> None:
        """Asks whether counting is to begin anew."""
        network = self.network
        notes, host, view = network.services.notes, self.host, network.view
        if view is None or not self.rows or not self._writable() or notes is None:
            return
        time = network.services.clock.now()
        moved = sum(row.amount.total for row in self.rows if row.amount is not None)
        words = (
            f"All {len(self.rows)} devices of {view.info.label} are counted anew from {format_time(time)[:16]} on:",
            "the range 'reset' shows what came after. What was counted before",
            f"stays, and so do the other ranges ({format_bytes(moved)} in the one shown).",
            "Nothing is written to the router: its own counters count on.",
        )

        def answered(yes: bool | None) -> None:
            if yes:
                self._write(notes.reset_devices(host, time), "a new counting period has begun", reset=True)

        network.app.push_screen(Confirm("Begin a new counting period?", words, yes="begin anew"), answered)

    def _write(self, work: Awaitable[None], said: str, *, reset: bool = False) -> None:
        network = self.network

        async def written() -> None:
            try:
                await work
            except SysmonError as error:
                network.sysmon.say(str(error))
                return
            network.book.forget("devices")
            network.sysmon.say(said)
            if reset:
                network.choose_range("reset")
            network.refresh_soon()

        network.run_worker(written(), group="notes")


def _checked(text: str) -> str:
    """A text fit for a name.

    Raises:
        SysmonError: it is too long, or has what no terminal prints.
    """
    words = " ".join(text.split())
    if len(words) > LONGEST:
        raise SysmonError(f"that is {len(words)} characters long", f"at most {LONGEST} are kept")
    if not words.isprintable():
        raise SysmonError("that has characters that cannot be shown")
    return words
