"""Reading config.toml: every mistake of a file found in one run, each with its place, the value and the mend.

`config.toml:12: [alerts.disk-full] for = 'x' is not a duration; write "5m"`
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sysmon.config import (
    AgentSettings,
    CapSettings,
    CollectorSettings,
    Config,
    HistorySettings,
    HostSettings,
    PushSettings,
    Rule,
    ScreenSettings,
)
from sysmon.configkeys import clashes, key_name
from sysmon.configschema import (
    CAP,
    COLLECTOR,
    HOST,
    ROUTER,
    ROUTER_INTERVAL,
    RULE,
    SECTIONS,
    Option,
    placed,
    quoted,
)
from sysmon.defaultrules import DEFAULT_RULES
from sysmon.errors import ConfigError, nearest
from sysmon.thresholds import threshold

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sysmon.catalogue import Catalogue

TABLES = ("history", "screen", "agent", "push", "collectors", "alerts", "hosts", "routers", "caps", "keys")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def load(
    path: Path,
    catalogue: Catalogue,
    *,
    named: bool = False,
    collectors: Mapping[str, Mapping[str, Option]] | None = None,
    actions: Mapping[str, tuple[str, ...]] | None = None,
) -> Config:
    """Reads and checks a configuration file.

    Args:
        path: the file; when it is missing the defaults hold, unless `named`.
        catalogue: metrics that alert rules may name.
        named: whether the user named the file, so that it must exist.
        collectors: collector's name -> the options it takes beside `enabled` and `interval`.
        actions: names that `[keys]` may bind -> their default keys.

    Raises:
        ConfigError: `problems` lists every mistake in the file's order.
    """
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        if named:
            raise ConfigError(f"{path} does not exist", "`sysmon config init` writes one") from None
        return parse("", str(path), catalogue, collectors=collectors, actions=actions)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8", "save the file as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    return parse(text, str(path), catalogue, source=path, collectors=collectors, actions=actions)


def parse(
    text: str,
    name: str,
    catalogue: Catalogue,
    *,
    source: Path | None = None,
    collectors: Mapping[str, Mapping[str, Option]] | None = None,
    actions: Mapping[str, tuple[str, ...]] | None = None,
) -> Config:
    """Checks the text of a configuration file; arguments and errors are those of `load`."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
        if place:
            message = f"{name}:{place[1]}: column {place[2]}: {str(error)[: place.start()].lower()}"
        else:
            message = f"{name}: {error}"
        raise ConfigError(message, "this is not TOML") from None
    reader = _Reader(name, text)
    config = reader.config(raw, catalogue, collectors or {}, actions or {}, source)
    if reader.problems:
        ordered = tuple(problem for _, problem in sorted(reader.problems, key=lambda entry: entry[0]))
        count = f"{len(ordered)} mistakes" if len(ordered) > 1 else "1 mistake"
        raise ConfigError(f"{name} has {count}", problems=ordered)
    return config


class _Reader:
    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.folder = Path(name).absolute().parent
        self.lines = _line_index(text)
        self.problems: list[tuple[int, str]] = []

    def problem(self, table: str, key: str, message: str) -> None:
        below = f"{table}.{key}" if table else key
        line = next((self.lines[at] for at in ((table, key), (below, ""), (table, "")) if at in self.lines), 0)
        # A table may be there by those in it alone: [hosts.db].
        line = line or min((at for (name, _), at in self.lines.items() if name.startswith(f"{below}.")), default=1)
        shown = f"[{table}] " if table else ""
        self.problems.append((line, f"{self.name}:{line}: {shown}{message}"))

    def config(
        self,
        raw: dict[str, Any],
        catalogue: Catalogue,
        collectors: Mapping[str, Mapping[str, Option]],
        actions: Mapping[str, tuple[str, ...]],
        source: Path | None,
    ) -> Config:
        for key in raw:
            if key not in TABLES:
                hint = nearest(key, TABLES) or f"known are {', '.join(TABLES)}"
                self.problem("", key, f"'{key}' is not a table of this file; {hint}")
        tables = {name: self.table(raw, name) for name in TABLES}
        return Config(
            history=HistorySettings(**self.options("history", tables["history"], SECTIONS["history"])),
            screen=ScreenSettings(**self.options("screen", tables["screen"], SECTIONS["screen"])),
            agent=AgentSettings(**self.options("agent", tables["agent"], SECTIONS["agent"])),
            push=PushSettings(**self.options("push", tables["push"], SECTIONS["push"])),
            collectors=self.collectors(tables["collectors"], collectors),
            hosts=self.routers(tables["routers"], self.hosts(tables["hosts"])),
            caps=self.caps(tables["caps"]),
            rules=self.rules(tables["alerts"], catalogue),
            keys=self.keys(tables["keys"], actions),
            source=source,
        )

    def table(self, raw: dict[str, Any], name: str) -> dict[str, Any]:
        value = raw.get(name, {})
        if isinstance(value, dict):
            return value
        self.problem("", name, f"{name} = {quoted(value)} is not a table; write [{name}] on a line of its own")
        return {}

    def options(self, table: str, raw: Mapping[str, Any], known: Mapping[str, Option]) -> dict[str, Any]:
        """Checks the keys of one table; those that fail are left out after being reported."""
        values = {}
        for key, value in raw.items():
            option = known.get(key)
            if option is None:
                hint = nearest(key, known) or f"known are {', '.join(known)}"
                self.problem(table, key, f"'{key}' is not known here; {hint}")
                continue
            try:
                checked = option.check(value)
            except ValueError as error:
                self.problem(table, key, f"{key} = {error}")
                continue
            values[option.field or key] = placed(checked, self.folder) if option.file else checked
        return values

    def collectors(
        self, raw: Mapping[str, Any], known: Mapping[str, Mapping[str, Option]]
    ) -> dict[str, CollectorSettings]:
        made = {}
        for name, body in self.named("collectors", raw):
            if known and name not in known:
                hint = nearest(name, known) or f"known are {', '.join(sorted(known))}"
                self.problem(f"collectors.{name}", "", f"'{name}' is not a collector; {hint}")
                continue
            own = known.get(name, {})
            values = self.options(f"collectors.{name}", body, {**COLLECTOR, **own})
            common = {key: values.pop(key) for key in ("enabled", "interval") if key in values}
            made[name] = CollectorSettings(**common, options=values)
        return made

    def hosts(self, raw: Mapping[str, Any]) -> dict[str, HostSettings]:
        made = {}
        for name, body in self.named("hosts", raw):
            values = self.options(f"hosts.{name}", body, HOST)
            if "target" not in body:
                self.problem(f"hosts.{name}", "", 'target is missing; write target = "https://HOST:8200"')
            elif "target" in values:
                made[name] = HostSettings(name=name, **values)
        return made

    def routers(self, raw: Mapping[str, Any], hosts: dict[str, HostSettings]) -> dict[str, HostSettings]:
        """Adds the routers to the hosts: they share names, and none is both."""
        made = dict(hosts)
        targets = {host.target: f"hosts.{name}" for name, host in hosts.items()}
        for name, body in self.named("routers", raw):
            table = f"routers.{name}"
            values = {"interval": ROUTER_INTERVAL, **self.options(table, body, ROUTER)}
            target = values.get("target")
            if "target" not in body:
                self.problem(table, "", f"target is missing; write target = {ROUTER['target'].sample}")
            elif name in hosts:
                self.problem(table, "", f"'{name}' is the name of a host too; a router is a host: keep one of them")
            elif target in targets:
                self.problem(
                    table, "target", f"target = {quoted(target)} is also that of [{targets[target]}]; keep one"
                )
            elif target is not None:
                made[name] = HostSettings(name=name, router=True, **values)
                targets[target] = table
        return made

    def caps(self, raw: Mapping[str, Any]) -> dict[str, CapSettings]:
        made = {}
        for name, body in self.named("caps", raw):
            values = self.options(f"caps.{name}", body, CAP)
            if "limit" not in body:
                self.problem(f"caps.{name}", "", 'limit is missing; write limit = "1 TB"')
            elif body.get("interface") and body.get("device"):
                self.problem(f"caps.{name}", "device", "interface and device are both given; keep one")
            elif "limit" in values:
                made[name] = CapSettings(name=name, **values)
        return made

    def rules(self, raw: Mapping[str, Any], catalogue: Catalogue) -> tuple[Rule, ...]:
        made = {rule.name: rule for rule in DEFAULT_RULES}
        for name, body in self.named("alerts", raw):
            rule = self.rule(name, body, made.get(name), catalogue)
            if rule is not None:
                made[name] = rule
        return tuple(made.values())

    def rule(self, name: str, body: Mapping[str, Any], base: Rule | None, catalogue: Catalogue) -> Rule | None:
        table = f"alerts.{name}"
        before = len(self.problems)
        levels = {key: body[key] for key in ("above", "below", "clear") if key in body}
        values = self.options(table, {key: value for key, value in body.items() if key not in levels}, RULE)
        metric_name = values.get("metric", base.metric if base else None)
        if metric_name is None and "metric" not in body:
            meant = nearest(name, [rule.name for rule in DEFAULT_RULES])
            if meant:
                self.problem(table, "", f"'{name}' is no rule of its own without a metric; {meant}")
                return None
            self.problem(table, "", 'metric is missing; write metric = "fs.utilization"')
        metric = catalogue.get(metric_name or "")
        if metric is None and metric_name:
            hint = nearest(metric_name, [each.name for each in catalogue]) or "`sysmon doctor --metrics` lists all"
            self.problem(table, "metric", f"metric = '{metric_name}' is not known; {hint}")
        elif metric is not None and metric.kind == "counter":
            rates = [each.name for each in catalogue.derived_from(metric.name)]
            hint = f"did you mean '{rates[0]}'?" if rates else "a threshold on it would never clear; choose a rate"
            self.problem(table, "metric", f"metric = '{metric.name}' is a counter that only grows; {hint}")
            metric = None
        for key, value in levels.items():
            try:
                if isinstance(value, bool) or not isinstance(value, int | float | str):
                    raise ValueError(f'{quoted(value)} is not a value; write {key} = "90 %"')
                if metric is not None:
                    values[key] = threshold(value, metric)
            except ValueError as error:
                self.problem(table, key, f"{key} = {error}")
        self.thresholds(table, body, values, base)
        if len(self.problems) > before:
            return None
        if base is not None:
            if {"above", "below"} & set(values):
                values = {"above": None, "below": None, "clear": None} | values
            return Rule(**{each: getattr(base, each) for each in base.__struct_fields__} | values)
        return Rule(name=name, **values)

    def thresholds(self, table: str, body: Mapping[str, Any], values: Mapping[str, Any], base: Rule | None) -> None:
        if "above" in body and "below" in body:
            self.problem(table, "below", "above and below are both given; keep one, or write two rules")
        elif "above" not in body and "below" not in body and base is None:
            self.problem(table, "", 'no threshold; write above = "90 %" or below = "10 %"')
        level = values.get("above", base.above if base and "below" not in values else None)
        low = values.get("below", base.below if base and "above" not in values else None)
        clear = values.get("clear")
        if clear is None:
            return
        if level is not None and clear > level:
            self.problem(
                table, "clear", f"clear = {quoted(body['clear'])} lies above the threshold; write a lower value"
            )
        if low is not None and clear < low:
            self.problem(
                table, "clear", f"clear = {quoted(body['clear'])} lies below the threshold; write a higher value"
            )

    def keys(self, raw: Mapping[str, Any], actions: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        made: dict[str, tuple[str, ...]] = {}
        for action, value in raw.items():
            keys = [value] if isinstance(value, str) else value
            if actions and action not in actions:
                hint = nearest(action, actions) or "`sysmon config init --print` lists all"
                self.problem("keys", action, f"'{action}' is not an action; {hint}")
            elif not isinstance(keys, list) or not keys or not all(isinstance(key, str) for key in keys):
                self.problem("keys", action, f'{action} = {quoted(value)} is not a key; write "x" or ["x", "f9"]')
            else:
                try:
                    made[action] = tuple(dict.fromkeys(key_name(key) for key in keys))
                except ValueError as error:
                    self.problem("keys", action, f"{action} = {error}")
        for action, wrong in clashes(made, actions):
            self.problem("keys", action, wrong)
        return made

    def named(self, kind: str, raw: Mapping[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
        for name, body in raw.items():
            if not isinstance(body, dict):
                self.problem(
                    kind, name, f"{name} = {quoted(body)} is not a table; write [{kind}.{name}] above its keys"
                )
            elif not NAME.fullmatch(name):
                self.problem(f"{kind}.{name}", "", f"'{name}' is not a name; use letters, digits, '.', '_' and '-'")
            else:
                yield name, body


def _line_index(text: str) -> dict[tuple[str, str], int]:
    """Maps (table, key) to the line it stands on, and (table, '') to the line of its header."""
    found: dict[tuple[str, str], int] = {}
    table = ""
    quote = ""
    depth = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not quote and depth <= 0:
            header = re.match(r"\s*\[\[?([^\[\]]+)\]\]?\s*(?:#.*)?$", line)
            if header:
                table = ".".join(_parts(header[1]))
                found.setdefault((table, ""), number)
                continue
            key = re.match(
                r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""", line
            )
            if key:
                *above, last = _parts(key[1])
                where = ".".join(part for part in (table, *above) if part)
                found.setdefault((where, last), number)
                found.setdefault((where, ""), number)
        for mark in ('"""', "'''"):
            if line.count(mark) % 2 and quote in ("", mark):
                quote = "" if quote else mark
        if not quote:
            bare = re.sub(r""""(?:[^"\\]|\\.)*"|'[^']*'|#.*""", "", line)
            depth += bare.count("[") + bare.count("{") - bare.count("]") - bare.count("}")
    return found


def _parts(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in re.findall(r"""\s*("[^"]*"|'[^']*'|[^."']+)\s*\.?""", dotted)]
