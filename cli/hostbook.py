"""The configured hosts: read from config.toml and changed there, with the checks and the words of the file itself.

A router is a host whose table is `[routers.NAME]`; it stays in there whatever of it is changed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from cli.configuration import check_text, load_config
from cli.settings import add_table, edited, rewrite
from remote.target import host_target
from sysmon.config import HostSettings
from sysmon.configfile import NAME
from sysmon.configschema import HOST, ROUTER, ROUTER_INTERVAL, Option, placed
from sysmon.errors import ConfigError, SysmonError, UsageError, nearest
from sysmon.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from cli.context import Context
    from sysmon.config import Config
    from sysmon.ports import Peer

_MET = frozenset(("target", "token_file", "fingerprint", "ca", "cert", "key"))
"""Fields that must go with one another."""
HINT = "edit the file by hand, or name another one with SYSMON_CONFIG"


class ConfigHostBook:
    """Implements `sysmon.ports.HostBook` over the configuration file.

    Args:
        context: where the file is, and what it is checked against.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self.path = context.places.config

    def hosts(self) -> list[HostSettings]:
        """Returns them as the file has them now, in its order.

        Raises:
            ConfigError: with every mistake of the file.
        """
        return [*self._load().hosts.values()]

    def get(self, name: str) -> HostSettings:
        """Returns one.

        Raises:
            UsageError: there is none; names the nearest.
        """
        return _named(name, self._load().hosts)

    def made(self, name: str, given: Mapping[str, object], *, router: bool = False) -> HostSettings:
        """Makes settings of fields as the file would give them; nothing is written.

        Args:
            name: of the host.
            given: its fields.
            router: whether it is to stand in `[routers.NAME]`.

        Raises:
            ConfigError: a field is not known or not right, or two do not go together. UsageError: that is no name.
        """
        return self._checked(name, _from_here(given), router=router)

    def fields(self, settings: HostSettings) -> dict[str, object]:
        """Returns the fields that differ from their defaults; the reverse of `made`."""
        return _given(settings)

    def check_free(self, settings: HostSettings) -> None:
        """Checks that a host may be added.

        Raises:
            UsageError: its name or its target is taken.
        """
        _free(settings, self._loaded_or_new().hosts)

    def add(self, settings: HostSettings) -> None:
        """Adds one; its name must be free."""
        made = self._checked(settings.name, _from_here(_given(settings)), router=settings.router)
        values, group = _plain(made), _group(made)

        def change(text: str, hosts: Mapping[str, HostSettings]) -> str:
            _free(made, hosts)
            if text and not text.endswith("\n"):
                text += "\n"
            return _spaced(
                edited(text, lambda document: add_table(document, group, made.name, values)), group, made.name
            )

        self._change(change, lambda hosts: {**hosts, made.name: made})

    def edit(self, name: str, changes: Mapping[str, object]) -> HostSettings:
        """Changes fields of one; None takes a field out, so that its default holds. Returns what it now is."""
        new = str(changes.get("name", name))
        fields = _from_here({key: value for key, value in changes.items() if key != "name"})
        result: list[HostSettings] = []

        def change(text: str, hosts: Mapping[str, HostSettings]) -> str:
            before = _named(name, hosts)
            if new != name and new in hosts:
                raise UsageError(f"there is a host '{new}' already", "choose another name")
            kept = {key: value for key, value in _given(before).items() if key not in fields}
            given = kept | {key: value for key, value in fields.items() if value is not None}
            made = self._checked(new, given, together=not fields.keys().isdisjoint(_MET), router=before.router)
            _only(made, [host for host in hosts.values() if host.name != name])
            result[:] = [made]
            values, group = _plain(made), _group(made)

            def apply(document: Any) -> None:
                table: Any = document[group]
                _set(table[name], {key: values.get(key) for key in fields})

            text = edited(text, apply) if fields else text
            return text if new == name else _renamed(text, group, name, new)

        self._change(
            change,
            lambda hosts: {new if key == name else key: result[0] if key == name else hosts[key] for key in hosts},
        )
        return result[0]

    def remove(self, name: str) -> None:
        """Takes one out of the file; what was recorded of it stays."""

        def change(text: str, hosts: Mapping[str, HostSettings]) -> str:
            group = _group(_named(name, hosts))

            def apply(document: Any) -> None:
                table: Any = document[group]
                del table[name]

            left = edited(text, apply).rstrip("\n")
            return f"{left}\n" if left else ""

        self._change(change, lambda hosts: {key: host for key, host in hosts.items() if key != name})

    async def probe(self, settings: HostSettings) -> Peer:
        """Asks who answers there; see `cli.probe.probe`."""
        from cli.probe import probe

        return await probe(self._context, settings)

    def _load(self) -> Config:
        return load_config(self.path, self._context.catalogue, named=self._context.places.config_named)

    def _loaded_or_new(self) -> Config:
        """The file's, or the defaults where a file is yet to be made, even if it is named."""
        return load_config(self.path, self._context.catalogue)

    def _check(self, text: str) -> Config:
        return check_text(text, str(self.path), self._context.catalogue)

    def _checked(
        self, name: str, given: Mapping[str, object], *, together: bool = True, router: bool = False
    ) -> HostSettings:
        """Checks fields as the file's are, with its words; `together`: also whether they go with one another."""
        plain = _defaults(router)
        known = _options(plain)
        table = f"[{_group(plain)}.{name}]"
        if not NAME.fullmatch(name):
            raise UsageError(f"'{name}' is not a name of a host", "use letters, digits, '.', '_' and '-', 64 at most")
        if name == "local":
            raise UsageError("'local' is this machine itself", "choose another name")
        problems = []
        values: dict[str, Any] = {}
        for key, value in given.items():
            option = known.get(key)
            if option is None:
                problems.append(
                    f"{table} '{key}' is not known here; {nearest(key, known) or 'known are ' + ', '.join(known)}"
                )
                continue
            try:
                values[option.field or key] = option.check([*value] if isinstance(value, tuple) else value)
            except ValueError as error:
                problems.append(f"{table} {key} = {error}")
        if not problems and "target" not in values:
            problems.append(f"{table} target is missing; write target = {known['target'].sample}")
        made = msgspec.structs.replace(plain, name=name, **values)
        if not problems and together:
            problems = [f"{table} {problem}" for problem in _contradictions(made)]
        if problems:
            raise ConfigError(problems[0], problems=tuple(f"sysmon: {problem}" for problem in problems))
        return made

    def _change(
        self,
        change: Callable[[str, Mapping[str, HostSettings]], str],
        expected: Callable[[dict[str, HostSettings]], dict[str, HostSettings]],
    ) -> None:
        """Rewrites the file, which must hold no mistakes before, and afterwards what was wanted and the rest."""

        def checked(text: str) -> str:
            before = self._check(text)
            try:
                after = change(text, before.hosts)
            except (ValueError, TypeError, KeyError):  # tomlkit's: tables within one line, say
                raise SysmonError(f"{self.path} is written in a way that cannot be changed here", HINT) from None
            wanted = msgspec.structs.replace(before, hosts=expected(before.hosts))
            try:
                found = self._check(after)
            except ConfigError as error:
                raise SysmonError(f"{self.path} would no longer be right: {error}", HINT) from None
            if found != wanted:
                raise SysmonError(f"{self.path} is written in a way that cannot be changed here", HINT)
            return after

        rewrite(self.path, checked, hint=HINT)


def _named(name: str, hosts: Mapping[str, HostSettings]) -> HostSettings:
    found = hosts.get(name)
    if found is None:
        hint = nearest(name, hosts) or (f"known are {', '.join(hosts)}" if hosts else "`sysmon hosts add NAME TARGET`")
        raise UsageError(f"'{name}' is not a configured host", hint)
    return found


def _free(made: HostSettings, hosts: Mapping[str, HostSettings]) -> None:
    if made.name in hosts:
        raise UsageError(f"there is a host '{made.name}' already", f"`sysmon hosts edit {made.name}` changes it")
    _only(made, hosts.values())


def _only(made: HostSettings, others: Iterable[HostSettings]) -> None:
    """Refuses a second host of the same target: its frames would come twice."""
    for other in others:
        if other.target == made.target:
            raise UsageError(
                f"{made.target} is configured already, as '{other.name}'", f"`sysmon hosts edit {other.name}`"
            )


def _contradictions(host: HostSettings) -> list[str]:
    """What no field alone can show to be wrong."""
    found = []
    try:
        target = host_target(host)
    except UsageError as error:
        return [f"target = {error}"]
    if not target.secure:
        found += [
            f"{key} = '{getattr(host, key)}' goes with https://, not with {host.target}"
            for key in ("fingerprint", "ca", "cert", "key")
            if getattr(host, key)
        ]
        if host.token_file and target.kind != "ssh":
            from remote.client.bearer import private

            if not private(target):
                found.append(f"token_file = '{host.token_file}' is not sent to {host.target}; write https://")
    if host.key and not host.cert:
        found.append(f"key = '{host.key}' goes with cert")
    return found


def _from_here(given: Mapping[str, object]) -> dict[str, object]:
    """Names files in full: who names one in a shell or a form means it from where they are, whoever reads it later."""
    found = dict(given)
    for key, value in given.items():
        option = HOST.get(key)
        if option is not None and option.file and isinstance(value, str):
            found[key] = placed(os.path.expanduser(value), Path.cwd())
    return found


def _group(host: HostSettings) -> str:
    """The table of tables that a host stands in."""
    return "routers" if host.router else "hosts"


def _options(host: HostSettings) -> Mapping[str, Option]:
    return ROUTER if host.router else HOST


def _defaults(router: bool) -> HostSettings:
    """What holds for a host, or for a router, of which a file gives nothing."""
    plain = HostSettings(name="", target="", router=router)
    return msgspec.structs.replace(plain, interval=ROUTER_INTERVAL) if router else plain


def _given(host: HostSettings) -> dict[str, object]:
    """The fields that differ from their defaults, as a file would give them."""
    plain, found = _defaults(host.router), {}
    for key, option in _options(host).items():
        value = getattr(host, option.field or key)
        if value != getattr(plain, option.field or key):
            found[key] = value
    return found


def _plain(host: HostSettings) -> dict[str, object]:
    """The same, as it is written into a file."""
    values = _given(host)
    for key, value in values.items():
        if isinstance(value, tuple):
            values[key] = [*value]
        elif isinstance(value, float) and not isinstance(value, bool):
            values[key] = _duration(value)
    return values


def _duration(seconds: float) -> str | float:
    for unit, size in (("h", 3600), ("m", 60), ("s", 1)):
        if seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    text = f"{seconds:g}s"
    return text if parse_duration(text) == seconds else seconds


def _set(table: Any, values: Mapping[str, object]) -> None:
    for key, value in values.items():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value


def _spaced(text: str, group: str, name: str) -> str:
    """Puts an empty line before and behind the table that was added, where the file has none there."""
    lines = text.split("\n")
    headers = (f"[{group}.{name}]", f'[{group}."{name}"]')
    at = next((number for number, line in enumerate(lines) if line in headers), None)
    if at is None:
        return text
    end = next((number for number in range(at + 1, len(lines)) if lines[number].startswith(("[", "#"))), None)
    if end is not None and lines[end - 1]:
        lines.insert(end, "")
    if at and lines[at - 1]:
        lines.insert(at, "")
    return "\n".join(lines)


def _renamed(text: str, group: str, name: str, new: str) -> str:
    """Gives a table another name where it stands; whether that worked is seen when the text is read again."""
    place = re.escape(name)
    header = re.compile(rf"""(?m)^(\s*\[\s*{group}\s*\.\s*)(?:{place}|"{place}"|'{place}')(\s*(?:\.[^\]\n]*)?\])""")
    shown = new if re.fullmatch(r"[A-Za-z0-9_-]+", new) else f'"{new}"'
    return header.sub(lambda found: f"{found[1]}{shown}{found[2]}", text)
