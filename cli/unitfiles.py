"""The systemd units of `sysmon service`: their text, for the system and for one user."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Role = Literal["record", "agent"]

ROLES: dict[Role, str] = {
    "record": "sysmon recorder: this host and the configured ones, with their history and alerts",
    "agent": "sysmon agent: this host, read-only",
}
"""Role -> what its unit says of itself."""

MARK = "# Written by `sysmon service install`; changes belong into a drop-in: systemctl edit"

# No capability, no way to any, no device, no file outside its own state, no other kernel interface than reading it.
# Not set, because the numbers would be wrong or missing: ProtectProc (processes of others), PrivateUsers (their
# owners), PrivateNetwork (interfaces), ProtectHome=yes (it mounts over /home, whose space would not be seen),
# PrivateDevices (NVIDIA's devices; all others are closed by DevicePolicy).
_HARDENING = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
UMask=0077
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateMounts=yes
DevicePolicy=closed
DeviceAllow=char-nvidia rw
DeviceAllow=char-nvidia-uvm rw
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
TasksMax=128
MemoryMax=1G
"""

# A user's manager cannot set up most of the above without privileges.
_USER_HARDENING = """\
NoNewPrivileges=yes
UMask=0077
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
TasksMax=128
"""


class Unit(NamedTuple):
    """One unit: its name, such as `sysmon-recorder.service`, and its text."""

    name: str
    text: str


def unit_name(role: Role) -> str:
    """The unit's name."""
    return "sysmon-recorder.service" if role == "record" else "sysmon-agent.service"


def make_unit(role: Role, command: Sequence[str], *, user: bool = False, paths: Sequence[Path] = ()) -> Unit:
    """Writes a unit.

    Args:
        role: what the program shall be.
        command: the program and its arguments.
        user: for the user's own manager rather than the system's.
        paths: folders beside its state that it must be able to write to, such as that of `[history] path`.

    Returns:
        The unit. Of the system: a transient user without capabilities, state in /var/lib/sysmon, socket in
        /run/sysmon, configuration in /etc/sysmon/config.toml.
    """
    service = ["Type=notify", "NotifyAccess=main", f"ExecStart={' '.join(_quoted(word) for word in command)}"]
    service += ["Restart=on-failure", "RestartSec=5", "TimeoutStopSec=20", "WatchdogSec=60"]
    if role == "agent":
        # Its threads take turns anyway: a heap for each of them costs 2 MiB of a pushing agent's 46.
        service.append("Environment=MALLOC_ARENA_MAX=1")
    if not user:
        service += ["DynamicUser=yes", "User=sysmon", "StateDirectory=sysmon", "StateDirectoryMode=0700"]
        service += ["RuntimeDirectory=sysmon", "RuntimeDirectoryMode=0755", "ConfigurationDirectory=sysmon"]
    service += [f"ReadWritePaths={_quoted(str(path))}" for path in paths]
    hardening = _USER_HARDENING if user else _HARDENING
    wants = [] if user else ["Wants=network-online.target", "After=network-online.target"]
    lines = [
        MARK + (" --user" if user else "") + f" {unit_name(role)}",
        "[Unit]",
        f"Description={ROLES[role]}",
        *wants,
        "# What stands in its way may go away: it is tried for ever.",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        *service,
        hardening,
        "[Install]",
        f"WantedBy={'default.target' if user else 'multi-user.target'}",
    ]
    return Unit(unit_name(role), "\n".join(lines) + "\n")


def _quoted(word: str) -> str:
    """Writes one word of a command so that systemd takes it literally."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return escaped if re.fullmatch(r"[A-Za-z0-9_./:=@,+%-]+", word) else f'"{escaped}"'
