"""The form of a host's settings without its widgets: fields, what is typed into them, and what that means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sysmon.config import HostSettings
from sysmon.configfile import NAME
from sysmon.configschema import HOST
from sysmon.errors import UsageError
from sysmon.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sysmon.ports import Peer


@dataclass(frozen=True, slots=True)
class Field:
    """One line of the form."""

    name: str
    label: str
    example: str


FIELDS: Final = (
    Field("name", "name", "db-1"),
    Field("target", "target", "https://db-1:8200, ssh://user@box, node+http://nas:9100"),
    Field("tags", "tags", "prod web"),
    Field("interval", "interval", "1s"),
    Field("expected_off", "expected off", "no; yes: that it is away is nothing wrong"),
    Field("collectors", "collectors", "all; or some: cpu memory network"),
    Field("token_file", "token file", "a file, mode 0600, with the token to show there"),
    Field("fingerprint", "fingerprint", "sha256:... of its key; empty: shown, to be confirmed"),
    Field("ca", "ca", "a PEM file to verify it by, or 'system'"),
    Field("cert", "cert", "a PEM file: our certificate, where it wants one"),
    Field("key", "key", "a PEM file: the key of that certificate"),
)
"""All that `sysmon hosts add` takes; the labels are the names that errors begin with."""

_YES: Final = {"yes": True, "y": True, "true": True, "no": False, "n": False, "false": False, "": False}


def texts_of(host: HostSettings | None) -> dict[str, str]:
    """What stands in the form at first."""
    if host is None:
        return {**dict.fromkeys((field.name for field in FIELDS), ""), "interval": "1s",
                "expected_off": "no", "collectors": "all"}  # fmt: skip
    seconds = host.interval
    interval = f"{seconds:g}s" if seconds < 60 or seconds % 60 else format_duration(seconds).replace(" 00s", "")
    return {
        "name": host.name, "target": host.target, "tags": " ".join(host.tags), "interval": interval,
        "token_file": host.token_file, "expected_off": "yes" if host.expected_off else "no",
        "collectors": " ".join(host.collectors) or "all", "fingerprint": host.fingerprint, "ca": host.ca,
        "cert": host.cert, "key": host.key,
    }  # fmt: skip


def parse(texts: Mapping[str, str], host: HostSettings | None, taken: Sequence[str]) -> HostSettings:
    """Makes settings of what was typed; what the form does not show stays as it was.

    Args:
        texts: field name -> text. `host`: the settings before, None for a new host.
        taken: names of other hosts.

    Raises:
        UsageError: names the field and what is allowed.
    """
    name = texts["name"].strip()
    if not name:
        raise UsageError("name: a host needs one", "write what you call it, such as db-1")
    if not NAME.fullmatch(name):
        raise UsageError(f"name: '{name}' is not allowed", "write letters, digits, '.', '-' and '_', at most 64")
    if name in taken and (host is None or name != host.name):
        raise UsageError(f"name: '{name}' is taken")
    if not texts["target"].strip():
        raise UsageError("target: where is it?", 'write "https://HOST:8200" or "ssh://USER@HOST"')
    given: dict[str, Any] = {
        "target": texts["target"].strip(), "interval": texts["interval"].strip() or "1s",
        "tags": texts["tags"].replace(",", " ").split(),
    }  # fmt: skip
    given |= {field: texts.get(field, "").strip() for field in ("token_file", "fingerprint", "ca", "cert", "key")}
    wanted = texts.get("collectors", "").replace(",", " ").split()
    given["collectors"] = [] if wanted == ["all"] else wanted
    off = _YES.get(texts.get("expected_off", "").strip().lower())
    if off is None:
        raise UsageError(f"expected off: '{texts['expected_off'].strip()}' is neither yes nor no")
    given["expected_off"] = off
    values: dict[str, Any] = {"name": name}
    for field, value in given.items():
        try:
            values[field] = HOST[field].check(value)
        except ValueError as error:
            raise UsageError(f"{field.replace('_', ' ')}: {error}") from None
    if host is None:
        return HostSettings(**values)
    if values["target"] != host.target and values["fingerprint"] == host.fingerprint:
        # The pinned key is that of the target before.
        values["fingerprint"] = ""
    return msgspec.structs.replace(host, **values)


def changes(old: HostSettings, new: HostSettings) -> dict[str, object]:
    """What differs."""
    return {
        name: getattr(new, name) for name in HostSettings.__struct_fields__ if getattr(new, name) != getattr(old, name)
    }


def wants_pin(host: HostSettings) -> bool:
    """Whether the key of who answers there has to be confirmed first."""
    return "https://" in host.target and not host.fingerprint and not host.ca


def introduction(peer: Peer) -> list[tuple[str, str]]:
    """Who answers, as (name, value): its words, its key's digest, and who it says it is."""
    digest = peer.fingerprint.removeprefix("sha256:")
    pairs = [("words", peer.words), ("SHA-256", digest[:32]), ("", digest[32:])]
    names = ", ".join(info.label for info in peer.hosts)
    pairs.append(("says it is", names or "nothing yet: it wants a token first"))
    if peer.version:
        pairs.append(("speaks", peer.version))
    if peer.certificate:
        pairs.append(("certificate", peer.certificate))
    return pairs
