"""Loading and writing config.toml with everything known about collectors and keys."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sysmon.configfile import load, parse
from sysmon.configschema import CAP, COLLECTOR, HOST, ROUTER, RULE, SECTIONS, Option

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sysmon.catalogue import Catalogue
    from sysmon.config import Config


def collector_options() -> dict[str, Mapping[str, Option]]:
    """Returns collector's name -> the options it takes beside `enabled` and `interval`."""
    from collectors.registry import found

    known: dict[str, Mapping[str, Option]] = {}
    for collector in found().classes:
        known[collector.name] = {**known.get(collector.name, {}), **getattr(collector, "OPTIONS", {})}
    return known


def load_config(path: Path, catalogue: Catalogue, *, named: bool = False) -> Config:
    """Reads and checks a configuration file against collectors and catalogue.

    Raises:
        ConfigError: with every mistake of the file.
    """
    return load(path, catalogue, named=named, collectors=collector_options(), actions=key_actions())


def stamp(path: Path) -> tuple[int, int, int] | None:
    """Returns what changes whenever the file does, None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def check_text(text: str, name: str, catalogue: Catalogue) -> Config:
    """Checks the text of a configuration file that is called `name`; errors are those of `load_config`."""
    return parse(text, name, catalogue, collectors=collector_options(), actions=key_actions())


def key_actions() -> dict[str, tuple[str, ...]]:
    """Returns the names that `[keys]` may bind, with the keys they have by default."""
    from tui.keys import all_keys, binding_id

    return {binding_id(key): key.keys for key in all_keys()}


def sample() -> str:
    """Returns a commented configuration file that holds every option at its default; un-commented it loads."""
    lines = [
        "# sysmon's configuration. Every option stands here with its default, commented out.",
        "# `sysmon config check` names every mistake; `sysmon config show` prints what is in force.",
        "# A file that is named without a folder lies beside this one; ~ is the home of whoever runs sysmon.",
    ]
    for section, options in SECTIONS.items():
        lines += ["", f"[{section}]", *_options(options)]
    lines += ["", "# One table per collector; `sysmon doctor` lists them.", "# [collectors.processes]"]
    lines += _options({**COLLECTOR, **collector_options().get("processes", {})})
    lines += ["", "# Hosts to record and to show: sysmon --agent runs there.", "# [hosts.db]", *_options(HOST)]
    lines += ["", "# Routers, asked by ssh for the devices of their LAN: nothing is installed or written there."]
    lines += ["# [routers.home]", *_options(ROUTER)]
    lines += ["", "# How much may go through in a month; the alert traffic-cap says when it is used up."]
    lines += ["# [caps.line]", *_options({key: option for key, option in CAP.items() if key != "device"})]
    lines += ["", "# Alert rules. A default rule is changed by its name, or switched off: enabled = false."]
    from sysmon.defaultrules import DEFAULT_RULES

    lines += [f"#   {rule.name:<20} {rule.metric}: {rule.help}" for rule in DEFAULT_RULES]
    lines += ["# [alerts.srv-full]"]
    lines += _options({key: option for key, option in RULE.items() if key != "below"})
    lines += ["", "# Keys: action = key, or a list of keys. docs/keys.md lists the actions.", "[keys]"]
    lines += ['# quit = ["q", "ctrl+c"]', ""]
    return "\n".join(lines)


def missing_files(config: Config) -> list[str]:
    """Says which files that a configuration names are not there, not to be read, or open to others: one line each."""
    tables: list[tuple[str, object, Mapping[str, Option]]] = [
        ("[agent]", config.agent, SECTIONS["agent"]),
        ("[push]", config.push, SECTIONS["push"]),
    ]
    tables += [(f"[hosts.{host.name}]", host, HOST) for host in config.hosts.values()]
    found = []
    for table, settings, options in tables:
        for key in (key for key, option in options.items() if option.file):
            given = getattr(settings, key)
            if given and given != "system" and not given.startswith("$"):
                problem = _file_problem(key, os.path.expanduser(given))
                found += [f"{table} {key} = '{given}': {problem}"] if problem else []
    return found


def _file_problem(key: str, path: str) -> str:
    from pathlib import Path

    from remote.private import read_private
    from sysmon.errors import SysmonError

    try:
        if key == "token_file":
            read_private(Path(path), "it")
            return ""
        with open(path, "rb") as file:
            if key == "key" and os.fstat(file.fileno()).st_mode & 0o007:
                return f"it is open to everybody; chmod o-rwx {path}"
    except FileNotFoundError:
        return "there is no such file"
    except SysmonError as error:
        return str(error)
    except OSError as error:
        return f"it cannot be read: {(error.strerror or str(error)).lower()}"
    return ""


def _options(options: Mapping[str, Option]) -> list[str]:
    width = max((len(f"{name} = {option.sample}") for name, option in options.items()), default=0)
    return [f"# {f'{name} = {option.sample}':<{width}}  # {option.help}" for name, option in options.items()]
