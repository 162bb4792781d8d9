"""What the Fleet screen does to the configured hosts: add, change, pause and remove them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sysmon.errors import SysmonError
from sysmon.records import Status
from tui.fleet import hub_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sysmon.config import HostSettings
    from sysmon.ports import HostBook
    from tui.fleet import Entry
    from tui.screens.base import HostScreen
    from tui.services import Services

    _Base = HostScreen
else:
    _Base = object


def refusal(services: Services) -> str:
    """Returns why hosts cannot be changed here, or ''."""
    if services.config.screen.readonly:
        return "sysmon was started with --readonly: the configuration is left alone"
    if services.hosts is None:
        return "hosts cannot be changed here: this screen does not watch those of the configuration"
    return ""


def configured(book: HostBook, entry: Entry) -> HostSettings | None:
    """The settings that a host comes from, or None.

    Raises:
        SysmonError: the configuration cannot be read.
    """
    name = entry.host.info.name if entry.host is not None else entry.label
    return next((host for host in book.hosts() if host.name == name), None)


def why_not_configured(entry: Entry, labels: Mapping[str, str]) -> str:
    """Says why a host has no settings here."""
    info = entry.host.info if entry.host is not None else None
    if info is not None and info.target == "local":
        return f"{entry.label} is this machine: there is nothing to set"
    if info is not None and info.via:
        hub = labels.get(info.via[-1], info.via[-1])
        return f"{entry.label} comes through {hub}: it is configured there"
    return f"{entry.label} is not in the configuration"


class FleetHosts(_Base):
    """The actions; needs of the screen `entry`, `services`, `sysmon` and `show_again`."""

    if TYPE_CHECKING:

        @property
        def entry(self) -> Entry | None: ...
        def show_again(self) -> None: ...

    def _book(self) -> HostBook | None:
        """The book, or None, and why is said."""
        why = refusal(self.services)
        if why:
            self.sysmon.say(why)
            return None
        return self.services.hosts

    def _reread(self, book: HostBook) -> None:
        """Has the screen know the hosts as they are configured now: their tags, and whether they may be off."""
        try:
            hosts = {host.name: host for host in book.hosts()}
        except SysmonError as error:
            self.sysmon.say(str(error))
            return
        self.services.config = msgspec.structs.replace(self.services.config, hosts=hosts)

    def _chosen(self, book: HostBook) -> HostSettings | None:
        """The settings of the host under the cursor, or None, and why is said."""
        entry, app = self.entry, self.sysmon
        if entry is None:
            return None
        try:
            found = configured(book, entry)
        except SysmonError as error:
            app.say(str(error))
            return None
        if found is None:
            app.say(why_not_configured(entry, hub_labels(app.model)))
        return found

    def action_add_host(self) -> None:
        """Ask for a host's name and target, and who answers there."""
        from tui.screens.hostform import HostForm

        book = self._book()
        if book is None:
            return

        def added(host: HostSettings | None) -> None:
            if host is not None:
                self._reread(book)
                self._begin(host)
                self._done(f"{host.name} is added")
                self.reveal(f"@{host.name}")
                self.show_again()

        self.app.push_screen(HostForm(book, note=self.services.unwatched), added)

    def action_edit_host(self) -> None:
        """Change the settings of the host under the cursor."""
        from tui.screens.hostform import HostForm

        book = self._book()
        host = self._chosen(book) if book is not None else None
        if book is None or host is None:
            return

        def changed(new: HostSettings | None) -> None:
            if new is None:
                return
            self._reread(book)
            if new.name != host.name:
                self.sysmon.forget_host(host.name)
                self._begin(new)
            self._done(f"{new.name} is changed")
            self.show_again()

        self.app.push_screen(HostForm(book, host, note=self.services.unwatched), changed)

    def action_pause_host(self) -> None:
        """Stop watching the host under the cursor, or start again."""
        book = self._book()
        host = self._chosen(book) if book is not None else None
        if book is None or host is None:
            return
        try:
            new = book.edit(host.name, {"paused": not host.paused})
        except SysmonError as error:
            self.sysmon.say(str(error))
            return
        self._reread(book)
        self._done(f"{host.name} is paused" if new.paused else f"{host.name} is watched again")
        self.show_again()

    def action_remove_host(self) -> None:
        """Ask, and take the host under the cursor out of the configuration."""
        from tui.screens.confirm import Confirm

        book = self._book()
        host = self._chosen(book) if book is not None else None
        if book is None or host is None:
            return

        def sure(yes: bool | None) -> None:
            if not yes:
                return
            try:
                book.remove(host.name)
            except SysmonError as error:
                self.sysmon.say(str(error))
                return
            self._reread(book)
            self.sysmon.forget_host(host.name)
            self.sysmon.say(f"{host.name} is removed; what was recorded of it stays", update=False)
            self.show_again()

        words = [f"{host.target}", "It is taken out of the configuration and watched no more.",
                 "What was recorded of it stays in the history."]  # fmt: skip
        self.app.push_screen(Confirm(f"Remove {host.name}?", words, yes="remove it"), sure)

    def _begin(self, host: HostSettings) -> None:
        """Shows a host at once; its source tells the rest."""
        state: Any = "paused" if host.paused else "connecting"
        if not self.services.unwatched:
            self.sysmon.model.take(Status(host="", name=host.name, state=state, target=host.target))

    def _done(self, words: str) -> None:
        """Says what was done, and where that does not show here, why."""
        why = self.services.unwatched
        self.sysmon.say(f"{words}; {why}" if why else words, update=False)
