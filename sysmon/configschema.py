"""What each table of config.toml may hold: the one description that checks, shows, samples and documents it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sysmon.units import format_value, parse_duration, parse_quantity

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Option:
    """One key of a table.

    Attributes:
        check: turns a TOML value into the program's, or raises ValueError with "'value' is not …; write …".
        sample: the default, as TOML text.
        help: one sentence.
        field: the attribute it fills, where its name differs.
        file: whether it names a file: a relative one lies in the folder of config.toml.
    """

    check: Callable[[Any], Any]
    sample: str
    help: str
    field: str = ""
    file: bool = False


def placed(given: str, folder: Path) -> str:
    """Returns the name of a file as a file of that folder, where it is neither absolute nor below a home.

    What is no file stays as it is: nothing, `system` for the system's authorities, `$NAME` of the environment.
    """
    if given in ("", "system") or given.startswith(("/", "~", "$")):
        return given
    return os.path.normpath(folder / given)


def plain_value(value: float, unit: str) -> str:
    """Writes a value with its unit and without decimals that say nothing: `90 %`, `16 MiB`."""
    return re.sub(r"\.0+(?= |$)", "", format_value(value, unit))


def quoted(value: object) -> str:
    """Writes a value as the user gave it, in single quotes."""
    if isinstance(value, bool):
        return f"'{str(value).lower()}'"
    return f"'{value}'"


def duration(at_least: float = 0.0) -> Callable[[Any], float]:
    """A duration: text with units, or a number of seconds."""

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(f'{quoted(value)} is not a duration; write "5m"')
        try:
            seconds = parse_duration(value) if isinstance(value, str) else float(value)
        except ValueError:
            raise ValueError(f'{quoted(value)} is not a duration; write "5m"') from None
        if seconds < at_least:
            raise ValueError(f'{quoted(value)} is too short; the least is "{at_least:g}s"')
        return seconds

    return check


def quantity(unit: str, least: float, most: float) -> Callable[[Any], float]:
    """A value of a unit within bounds."""

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(f"{quoted(value)} is not a value of unit {unit}")
        number = parse_quantity(value, unit)
        if not least <= number <= most:
            allowed = " to ".join(plain_value(bound, unit) for bound in (least, most))
            raise ValueError(f"{quoted(value)} is out of range; allowed is {allowed}")
        return number

    return check


def boolean(value: Any) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{quoted(value)} is neither true nor false; write true or false without quotes")
    return value


def integer(least: int, most: int) -> Callable[[Any], int]:
    """A whole number within bounds."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{quoted(value)} is not a whole number; write {least}")
        if not least <= value <= most:
            raise ValueError(f"{quoted(value)} is out of range; allowed is {least} to {most}")
        return value

    return check


def choice(*allowed: str) -> Callable[[Any], str]:
    """One of some words."""

    def check(value: Any) -> str:
        if value not in allowed:
            raise ValueError(f"{quoted(value)} is not allowed; write one of {', '.join(allowed)}")
        return str(value)

    return check


def text(value: Any) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise ValueError(f'{quoted(value)} is not text; write it in quotes: "{value}"')
    return value


def texts(value: Any) -> tuple[str, ...]:
    """A list of texts, or one."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise ValueError(f'{quoted(value)} is not a list of texts; write ["a", "b*"]')
    return tuple(given)


def metric_name(value: Any) -> str:
    """A metric's name; whether it is known is checked against the catalogue."""
    name = text(value)
    if not re.fullmatch(r"[a-z0-9_.]+", name):
        raise ValueError(f'{quoted(value)} is not a metric; write "fs.utilization", its instance in instance = …')
    return name


def target(value: Any) -> str:
    """Where a host's frames come from."""
    given = text(value)
    if re.fullmatch(r"local|((node|netronome)\+)?https?://[^/\s@?#]+/?|unix:///\S+", given):
        return given.rstrip("/")
    if re.fullmatch(r"ssh://([A-Za-z0-9_][^/\s@:?#]*@)?[A-Za-z0-9_\[][^/\s@?#]*/?", given):
        return given.rstrip("/")
    if "@" in given and "http" in given:
        raise ValueError(f"{quoted(value)} holds a user or password; keep secrets out of targets")
    raise ValueError(
        f'{quoted(value)} is not a target; write "https://HOST:8200", "ssh://USER@HOST", "node+http://HOST:9100", '
        '"netronome+http://HOST:8200" or "unix:///run/x.sock"'
    )


def router_target(value: Any) -> str:
    """Where a router is: by ssh alone."""
    given = text(value)
    if not given.startswith("ssh://"):
        raise ValueError(f'{quoted(value)} is not how a router is reached; write "ssh://root@192.168.1.1"')
    return target(given)


def server(value: Any) -> str:
    """The address of a hub, or nothing."""
    given = text(value)
    if given and not re.fullmatch(r"https?://[^/\s@?#]+/?|unix:///\S+", given):
        raise ValueError(f'{quoted(value)} is not a hub; write "https://HOST:8200"')
    return given.rstrip("/")


def fingerprint(value: Any) -> str:
    """The SHA-256 of a public key, or nothing."""
    given = text(value).strip().lower()
    if given and not re.fullmatch(r"sha256:[0-9a-f]{64}", given):
        raise ValueError(f'{quoted(value)} is not a fingerprint; write "sha256:" and 64 hex digits')
    return given


def listening(value: Any) -> str:
    """Addresses or names of this machine, with commas between; who may come in there is checked when it is served."""
    given = text(value).strip()
    for part in given.split(","):
        name = part.strip().removeprefix("[").removesuffix("]")
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}|[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?", name):
            raise ValueError(f'{quoted(value)} is not an address to listen on; write "127.0.0.1", "::1" or "0.0.0.0"')
    return given


COLLECTOR = {
    "enabled": Option(boolean, "true", "whether it reads at all"),
    "interval": Option(duration(1.0), '"1s"', "time between reads; each collector has its own default"),
}

PEER = {
    "token_file": Option(text, '""', "a file, mode 0600, with the token to show there", file=True),
    "fingerprint": Option(fingerprint, '""', "of its public key, pinned: sha256: and 64 hex digits"),
    "ca": Option(text, '""', 'a PEM file to verify its certificate by instead; "system": the system\'s', file=True),
    "cert": Option(text, '""', "a PEM file: this side's certificate, where it wants one (mutual TLS)", file=True),
    "key": Option(text, '""', "the key of that certificate", file=True),
}
"""How another server is met: shared by `[hosts.NAME]` and `[push]`."""

HOST = {
    "target": Option(target, '"https://db-1:8200"', "https:// of an agent or hub, ssh://, node+http://, …"),
    "interval": Option(duration(1.0), '"1s"', "time between the frames wanted of it"),
    **PEER,
    "collectors": Option(texts, "[]", "those wanted of it; empty: all"),
    "paused": Option(boolean, "false", "do not connect for now"),
    "expected_off": Option(boolean, "false", "that it is away is nothing wrong"),
    "tags": Option(texts, "[]", "words to group hosts by"),
}

ROUTER_INTERVAL = 5.0
"""Seconds between the frames of a router, where nothing else is configured: it is a small machine."""

ROUTER = {
    "target": Option(router_target, '"ssh://root@192.168.1.1"', "the router, reached by ssh"),
    "interval": Option(duration(1.0), f'"{ROUTER_INTERVAL:g}s"', "time between looks at the router itself"),
    "devices": Option(duration(10.0), '"30s"', "time between looks at the devices of its LAN"),
    "paused": HOST["paused"],
    "expected_off": HOST["expected_off"],
    "tags": HOST["tags"],
}

CAP = {
    "limit": Option(quantity("bytes", 1, 1 << 60), '"1 TB"', "bytes that may go through in a month"),
    "host": Option(text, '"local"', "glob over host names; local: this machine"),
    "interface": Option(text, '""', "glob over its interfaces; empty: all that count towards its total"),
    "device": Option(text, '""', "instead of an interface: MAC, alias or name of a device, of any router without host"),
    "count": Option(choice("both", "receive", "transmit", "larger"), '"both"', "which way counts"),
    "day": Option(integer(1, 31), "1", "day of the month on which it begins anew"),
}

RULE = {
    "metric": Option(metric_name, '"fs.utilization"', "a metric of `sysmon doctor --metrics`"),
    "instance": Option(text, '"*"', "glob over its instances"),
    "hosts": Option(texts, '["*"]', "globs over host names"),
    "above": Option(text, '"90 %"', "fires above this; or below"),
    "below": Option(text, '"10 %"', "fires below this; or above"),
    "clear": Option(text, '"85 %"', "resolves only past this"),
    "for": Option(duration(), '"5m"', "how long it must last before it fires", field="hold"),
    "keep": Option(duration(), '"0s"', "how long it must be clear before it resolves"),
    "no_data": Option(choice("keep", "fire", "clear"), '"keep"', "what a missing value means"),
    "severity": Option(choice("info", "warning", "critical"), '"warning"', "how bad it is"),
    "enabled": Option(boolean, "true", "whether the rule is on"),
    "help": Option(text, '""', "what to do about it"),
}

SECTIONS = {
    "history": {
        "enabled": Option(boolean, "true", "keep a history"),
        "path": Option(text, '""', "the file; empty: the state folder, or SYSMON_DB", file=True),
        "raw": Option(duration(600.0), '"48h"', "how long every reading is kept"),
        "minute": Option(duration(3600.0), '"30d"', "how long minutes are kept"),
        "quarter": Option(duration(86400.0), '"2y"', "how long quarters of an hour are kept"),
        "size": Option(quantity("bytes", 16 << 20, 1 << 50), '"2 GiB"', "the file stays below this"),
        "free": Option(quantity("ratio", 0.0, 0.9), '"5 %"', "part of the disk that stays free"),
        "evidence": Option(duration(5.0), '"30s"', "time between records of the busiest processes"),
    },
    "screen": {
        "theme": Option(choice("auto", "dark", "light", "contrast", "ansi"), '"auto"', "colours"),
        "ascii": Option(boolean, "false", "draw without Unicode"),
        "interval": Option(duration(1.0), '"1s"', "time between updates of the screen"),
        "mouse": Option(boolean, "true", "take mouse events; false leaves selection to the terminal"),
        "start": Option(
            choice("overview", "fleet", "network", "processes", "history", "alerts"),
            '"overview"',
            "the screen shown first",
        ),
        "readonly": Option(boolean, "false", "no signals, no renice"),
    },
    "agent": {
        "listen": Option(listening, '"127.0.0.1"', "where --agent serves; beyond loopback only with a token"),
        "port": Option(integer(1, 65535), "8200", "port that --agent serves on"),
        "names": Option(texts, "[]", "names and addresses, beside its own, by which it may be called"),
        "cert": Option(text, '""', "a PEM file: the certificate to serve with; empty: one of its own", file=True),
        "key": Option(text, '""', "the key of that certificate", file=True),
        "client_ca": Option(text, '""', "a PEM file: only clients with a certificate from it are let in", file=True),
        "require_token": Option(boolean, "false", "want a token on loopback too"),
    },
    "push": {
        "target": Option(server, '""', "the hub that --agent sends its frames to; empty: none"),
        "interval": Option(duration(1.0), '"10s"', "time between batches"),
        **PEER,
    },
}
