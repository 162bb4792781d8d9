"""The configuration as the program uses it: one tree with defaults, checked by `sysmon.configfile`.

Durations are seconds, sizes bytes, ratios 0..1. Precedence: command line > environment > file > default.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from sysmon.records import Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

NoData = Literal["keep", "fire", "clear"]
Theme = Literal["auto", "dark", "light", "contrast", "ansi"]

_DAY = 86400.0


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One alert rule; `name` is the id that its states hang on.

    Attributes:
        metric, instance: a metric of the catalogue and a glob over its instances.
        hosts: globs over name, hostname or id.
        above, below: the threshold, in the metric's base unit; exactly one is set.
        clear: the value at which a firing alert may resolve (hysteresis); the threshold itself by default.
        hold: `for`: seconds the condition must last before it fires.
        keep: seconds it must have been clear before it resolves.
        no_data: what a missing value means: keep the state, fire, or clear.
    """

    name: str
    metric: str
    instance: str = "*"
    hosts: tuple[str, ...] = ("*",)
    above: float | None = None
    below: float | None = None
    clear: float | None = None
    hold: float = 0.0
    keep: float = 0.0
    no_data: NoData = "keep"
    severity: Severity = "warning"
    enabled: bool = True
    help: str = ""


class CollectorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[collectors.NAME]`. `interval` None: the collector's own."""

    enabled: bool = True
    interval: float | None = None
    options: dict[str, object] = {}


class HostSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[hosts.NAME]`: a host whose frames the recorder takes and the screen can show.

    Attributes:
        interval: seconds between the frames wanted of it.
        token_file: a 0600 file with the token to show there.
        fingerprint: `sha256:` and 64 hex digits of its public key (SPKI), pinned; or empty.
        ca: a PEM file of certificates to verify it by, `system` for the system's; or empty.
        cert, key: PEM files of this side's certificate, where it wants one (mutual TLS).
        collectors: those wanted of it; empty for all.
        paused: not connected to for now. `expected_off`: that it is away is nothing wrong.
        router: whether it stands in `[routers.NAME]`: then it is asked for the devices of its LAN too.
        devices: of a router, seconds between two looks at them.
    """

    name: str
    target: str
    interval: float = 1.0
    router: bool = False
    devices: float = 30.0
    token_file: str = ""
    fingerprint: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""
    collectors: tuple[str, ...] = ()
    paused: bool = False
    expected_off: bool = False
    tags: tuple[str, ...] = ()


class CapSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[caps.NAME]`: how much may go through in a month.

    Attributes:
        host: glob over name, hostname or id; this machine by default (`local`).
        interface: a glob; empty: all that count towards the host's total. `device`: MAC, alias or name of a router's
            device instead.
        limit: bytes in a month. `count`: both ways together, one of them, or the larger.
        day: of the month on which it begins anew; a shorter month begins anew on its last day.
    """

    name: str
    limit: float
    host: str = "local"
    interface: str = ""
    device: str = ""
    count: Literal["both", "receive", "transmit", "larger"] = "both"
    day: int = 1


class HistorySettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[history]`: ages in seconds, `size` of the file in bytes, `free` part of the disk that stays free."""

    enabled: bool = True
    path: str = ""
    raw: float = 2 * _DAY
    minute: float = 30 * _DAY
    quarter: float = 2 * 365.25 * _DAY
    size: float = 2 << 30
    free: float = 0.05
    evidence: float = 30.0


class ScreenSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[screen]`."""

    theme: Theme = "auto"
    ascii: bool = False
    interval: float = 1.0
    mouse: bool = True
    start: str = "overview"
    readonly: bool = False


class AgentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[agent]`: how `--agent` and `--record` serve.

    Attributes:
        names: hostnames and addresses, beside its own, by which it may be called.
        cert, key: PEM files of a given certificate; its own key and certificate by default.
        client_ca: a PEM file; only clients with a certificate from it are let in (mutual TLS).
        require_token: whether a token is wanted on loopback too.
    """

    listen: str = "127.0.0.1"
    port: int = 8200
    names: tuple[str, ...] = ()
    cert: str = ""
    key: str = ""
    client_ca: str = ""
    require_token: bool = False


class PushSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[push]`: the hub that an agent sends its frames to; `target` empty: none. The rest is as in `[hosts.NAME]`."""

    target: str = ""
    interval: float = 10.0
    token_file: str = ""
    fingerprint: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration. `source`: the file it came from, or None."""

    history: HistorySettings = HistorySettings()
    screen: ScreenSettings = ScreenSettings()
    agent: AgentSettings = AgentSettings()
    push: PushSettings = PushSettings()
    collectors: dict[str, CollectorSettings] = {}
    hosts: dict[str, HostSettings] = {}
    """Those of `[hosts.NAME]` and of `[routers.NAME]`."""
    caps: dict[str, CapSettings] = {}
    rules: tuple[Rule, ...] = ()
    keys: dict[str, tuple[str, ...]] = {}
    source: Path | None = None


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where files are for this user or service."""

    config: Path
    config_named: bool
    state: Path
    history: Path
    runtime: Path | None

    @property
    def host_id(self) -> Path:
        """The file that keeps this host's random id where there is no machine-id."""
        return self.state / "host-id"

    @property
    def socket(self) -> Path | None:
        """The recorder's Unix socket, or None where there is no folder for it."""
        return self.runtime / "sysmon.sock" if self.runtime else None


def places(environment: Mapping[str, str] | None = None) -> Places:
    """Works out the folders: `SYSMON_CONFIG` and `SYSMON_DB`, then systemd's for services, then XDG's."""
    env = os.environ if environment is None else environment
    home = Path(env.get("HOME") or os.path.expanduser("~"))
    if not home.is_absolute():  # a service's transient user without a home, or without any entry of its own
        home = Path("/")

    def xdg(name: str, fallback: str) -> Path:
        given = env.get(name, "")
        return (Path(given) if given.startswith("/") else home / fallback) / "sysmon"

    named = env.get("SYSMON_CONFIG", "")
    config = Path(named) if named else xdg("XDG_CONFIG_HOME", ".config") / "config.toml"
    if not named and not config.exists() and Path("/etc/sysmon/config.toml").exists():
        config = Path("/etc/sysmon/config.toml")
    service = env.get("STATE_DIRECTORY", "").split(":")[0]
    state = Path(service) if service else xdg("XDG_STATE_HOME", ".local/state")
    database = env.get("SYSMON_DB", "")
    runtime: Path | None = None
    if env.get("RUNTIME_DIRECTORY"):
        runtime = Path(env["RUNTIME_DIRECTORY"].split(":")[0])
    elif env.get("XDG_RUNTIME_DIR", "").startswith("/"):
        runtime = Path(env["XDG_RUNTIME_DIR"]) / "sysmon"
    elif os.geteuid() == 0:
        runtime = Path("/run/sysmon")
    return Places(
        config=config,
        config_named=bool(named),
        state=state,
        history=Path(database) if database else state / "history.db",
        runtime=runtime,
    )
