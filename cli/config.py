"""`sysmon config`: where the file is, a first one, its mistakes, and what is in force."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.context import Context
from cli.output import write_json
from sysmon.errors import SysmonError

if TYPE_CHECKING:
    import argparse

HELP = "show where the configuration is, write a first one, check it, or print what is in force"
EXAMPLE = "sysmon config init\nsysmon config check ./new.toml"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("verb", choices=("path", "init", "check", "show"), help="what to do")
    parser.add_argument("file", nargs="?", help="another file than the one in use", metavar="FILE")
    parser.add_argument("--print", action="store_true", help="init: print instead of writing")
    parser.add_argument("--json", action="store_true", help="show: print JSON")


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    context = Context.of_environment()
    path = Path(options.file) if options.file else context.places.config
    if options.verb == "path":
        print(path)
        return 0
    if options.verb == "init":
        return _init(path, to_stdout=options.print)
    from cli.configuration import load_config, missing_files

    config = load_config(path, context.catalogue, named=bool(options.file) or context.places.config_named)
    if options.verb == "check":
        warnings = missing_files(config)
        for warning in warnings:
            print(f"sysmon: {path}: {warning}", file=sys.stderr)
        count = f", {len(warnings)} {'warning' if len(warnings) == 1 else 'warnings'}" if warnings else ""
        print(f"{path}: no mistakes{count}" if config.source else f"{path} does not exist; the defaults hold")
        return 0
    import msgspec

    tree = msgspec.to_builtins(msgspec.structs.replace(config, source=None))
    tree["source"] = str(config.source) if config.source else None
    if options.json:
        write_json(tree, indent=True)
        return 0
    print(f"# {config.source or 'defaults; no file'}")
    tree.pop("source")
    rules = tree.pop("rules")
    print(_toml(tree))
    for rule in rules:
        name = rule.pop("name")
        rule["for"] = rule.pop("hold")
        print(_table(f"alerts.{name}", rule))
    return 0


def _init(path: Path, *, to_stdout: bool) -> int:
    from cli.configuration import sample

    if to_stdout:
        sys.stdout.write(sample())
        return 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SysmonError(f"{path} exists already and was not touched", "`sysmon config init --print` prints") from None
    except OSError as error:
        raise SysmonError(f"{path} cannot be written: {error.strerror}", "set SYSMON_CONFIG to another file") from None
    with os.fdopen(handle, "w") as file:
        file.write(sample())
    print(path)
    return 0


def _toml(tree: dict[str, Any]) -> str:
    parts = []
    for name, body in tree.items():
        if name in ("collectors", "hosts"):
            parts += [
                _table(f"{name}.{each}", {**fields, **fields.pop("options", {})}) for each, fields in body.items()
            ]
        else:
            parts.append(_table(name, body))
    return "\n".join(parts)


def _table(name: str, body: dict[str, Any]) -> str:
    lines = [f"[{name}]"]
    lines += [f"{key} = {_value(value)}" for key, value in body.items() if value is not None and key != "name"]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    return (
        f"{value:g}" if isinstance(value, float) and value < 1e6 else str(int(value) if value == int(value) else value)
    )
