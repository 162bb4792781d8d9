"""Who this host is: its stable id, its boot, and what is said of it beside its frames."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import platform
import secrets
import socket
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from collectors._cgroups import parse_cpu_list
from collectors.base import read_file
from collectors.capacity import container_cgroup, container_kind
from sysmon.errors import CollectorError, MalformedInput
from sysmon.frame import Fault, clean_text
from sysmon.records import HostInfo

if TYPE_CHECKING:
    from pathlib import Path

    from collectors.base import Roots

ID_FILE = "host-id"
"""Name of the file in the state folder that keeps the id of a host without a usable machine-id."""

_HEX = frozenset("0123456789abcdef")
_VENDORS = (
    ("qemu", "qemu"),
    ("kvm", "kvm"),
    ("vmware", "vmware"),
    ("innotek", "virtualbox"),
    ("virtualbox", "virtualbox"),
    ("oracle corporation", "virtualbox"),
    ("xen", "xen"),
    ("bochs", "bochs"),
    ("parallels", "parallels"),
    ("bhyve", "bhyve"),
    ("amazon ec2", "amazon"),
    ("google compute", "google"),
    ("microsoft corporation", "hyper-v"),
    ("apple virtualization", "apple"),
    ("openstack", "kvm"),
    ("digitalocean", "kvm"),
    ("hetzner", "kvm"),
)


class Identity(NamedTuple):
    """Who the frames of this host are from.

    Attributes:
        info: what is said of the host; its id is the frames' `host`.
        boot: the kernel's boot id, the lifetime of counters.
        faults: what keeps the identity from being stable.
    """

    info: HostInfo
    boot: str
    faults: tuple[Fault, ...] = ()

    @property
    def host(self) -> str:
        """The stable id."""
        return self.info.id


def identify(roots: Roots, state: Path, version: str = "") -> Identity:
    """Finds out who this host is.

    Args:
        roots: where the kernel's files are.
        state: folder in which a random id is kept where there is no usable machine-id.
        version: of sysmon.
    """
    host = machine_host_id(roots)
    faults: tuple[Fault, ...] = ()
    if host is None:
        host, fault = stored_host_id(state)
        faults = (fault,) if fault else ()
    return Identity(host_info(roots, host, version), boot_id(roots), faults)


def host_id(machine_id: str) -> str | None:
    """Returns the host's id for a machine-id: the first 16 hex digits of HMAC-SHA256 under the key 'sysmon'.

    None for what identifies no machine: empty, 'uninitialized', all zero, or not 32 hex digits.
    """
    text = machine_id.strip().lower()
    if len(text) != 32 or not _HEX.issuperset(text) or text == "0" * 32:
        return None
    return hmac.new(b"sysmon", text.encode(), hashlib.sha256).hexdigest()[:16]


def machine_host_id(roots: Roots) -> str | None:
    """Returns the host's id from its machine-id, or None where it has no usable one."""
    for path in ("etc/machine-id", "var/lib/dbus/machine-id"):
        found = host_id(_text(f"{roots.base}/{path}"))
        if found is not None:
            return found
    return None


def stored_host_id(state: Path) -> tuple[str, Fault | None]:
    """Returns the random id kept in the state folder, drawn at first; a fault where it cannot be kept."""
    path = state / ID_FILE
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = _kept(path)
        if kept:
            return kept, None
        made = state / f"{ID_FILE}.{secrets.token_hex(4)}"
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(8) + "\n")
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                path.replace(path.with_suffix(".bad"))
            with contextlib.suppress(FileExistsError):  # another sysmon was first: its id holds
                os.link(made, path)
        finally:
            os.unlink(made)
        kept = _kept(path)
        if kept:
            return kept, None
        raise OSError(f"{path} does not keep what was written")
    except OSError as error:
        message = f"this host has no machine-id, and {path} cannot be written: {error.strerror or error}"
        hint = (
            "its id, and so its history, lasts for this run alone; write /etc/machine-id with systemd-machine-id-setup"
        )
        return secrets.token_hex(8), Fault("runner", "failed", message, hint)


def boot_id(roots: Roots) -> str:
    """Returns the kernel's boot id, else one made from the time of boot."""
    text = _text(f"{roots.proc}/sys/kernel/random/boot_id").strip().lower()
    if len(text) == 36 and _HEX.issuperset(text.replace("-", "")):
        return text
    if roots.live and sys.platform == "darwin":
        text = _sysctl("kern.bootsessionuuid").lower()
        if text:
            return text
    started = 0.0
    if roots.live:
        with contextlib.suppress(ImportError, OSError, RuntimeError):
            import psutil

            started = psutil.boot_time()
    if not started:
        for line in _text(f"{roots.proc}/stat").split("\n"):
            if line.startswith("btime ") and line[6:].strip().isdecimal():
                started = float(line[6:])
    # The time of boot wobbles with corrections of the clock; a minute of them still gives one id most of the time.
    seed = f"{platform.node()} {round(started / 60)}"
    return hashlib.sha256(seed.encode()).hexdigest()[:32]


def host_info(roots: Roots, host: str, version: str = "") -> HostInfo:
    """Returns what is known of the host; what cannot be found out is empty or 0."""
    live_linux = not roots.live or sys.platform.startswith("linux")
    cpus, memory = _capacity(roots) if live_linux else _portable_capacity()
    return HostInfo(
        id=host,
        hostname=_hostname(roots),
        os=os_name(roots),
        kernel=_text(f"{roots.proc}/sys/kernel/osrelease").strip() or (platform.release() if roots.live else ""),
        arch=platform.machine() if roots.live else "",
        cpu_model=cpu_model(_text(f"{roots.proc}/cpuinfo")) or (platform.processor() if roots.live else ""),
        cpus=cpus,
        memory=memory,
        virtualization=virtualization(roots),
        container=container_kind(roots) if live_linux else "",
        timezone=timezone(roots),
        version=version,
    )


def os_name(roots: Roots) -> str:
    """Returns the name of the operating system, such as 'Debian GNU/Linux 12 (bookworm)'."""
    for path in ("etc/os-release", "usr/lib/os-release"):
        fields = parse_os_release(_text(f"{roots.base}/{path}"))
        found = fields.get("PRETTY_NAME") or " ".join(
            part for part in (fields.get("NAME", ""), fields.get("VERSION", "")) if part
        )
        if found:
            return clean_text(found, 200)
    if not roots.live:
        return ""
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]}".strip()
    return f"{platform.system()} {platform.release()}".strip()


def parse_os_release(text: str) -> dict[str, str]:
    """Parses os-release(5): NAME=value, values quoted as for a shell; lines of any other form are left out."""
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        name, sign, value = line.strip().partition("=")
        if not sign or not name or name.startswith("#"):
            continue
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            quoted, value = value[0] == '"', value[1:-1]
            if quoted:
                for character in '"$`':
                    value = value.replace("\\" + character, character)
                value = value.replace("\\\\", "\\")
        fields[name] = value
    return fields


def cpu_model(cpuinfo: str) -> str:
    """Returns the processor's name from /proc/cpuinfo, or ''. Architectures call it differently; spaces are folded."""
    names: dict[str, str] = {}
    for line in cpuinfo.split("\n")[:2000]:
        name, colon, value = line.partition(":")
        if colon and value.strip():
            names.setdefault(name.strip().lower(), value.strip())
    for name in ("model name", "cpu model", "cpu", "model", "hardware", "processor", "uarch"):
        value = names.get(name, "")
        if value and not value.isdecimal():
            return clean_text(" ".join(value.split()), 200)
    return ""


def virtualization(roots: Roots) -> str:
    """Returns what kind of virtual machine the host is ('kvm', 'vmware', 'wsl', …), or '' for none known.

    Source: the hypervisor's names in DMI, /sys/hypervisor, the processor's 'hypervisor' flag.
    """
    release = _text(f"{roots.proc}/sys/kernel/osrelease").lower()
    if "microsoft" in release or "wsl" in release:
        return "wsl"
    dmi = " ".join(
        _text(f"{roots.sys}/class/dmi/id/{name}").strip().lower()
        for name in ("sys_vendor", "product_name", "bios_vendor")
    )
    for words, kind in _VENDORS:
        if words in dmi and (kind != "hyper-v" or "virtual machine" in dmi):
            return kind
    hypervisor = _text(f"{roots.sys}/hypervisor/type").strip()
    if hypervisor:
        return clean_text(hypervisor, 40)
    for line in _text(f"{roots.proc}/cpuinfo").split("\n"):
        if line.startswith("flags"):
            return "vm" if "hypervisor" in line.split() else ""
    return ""


def timezone(roots: Roots) -> str:
    """Returns the IANA name of the host's time zone, else its present offset as '+02:00'."""
    named = os.environ.get("TZ", "").removeprefix(":") if roots.live else ""
    if "/" in named and not named.startswith("/"):
        return clean_text(named, 64)
    with contextlib.suppress(OSError):
        target = os.readlink(f"{roots.etc}/localtime")
        if "zoneinfo/" in target:
            return clean_text(target.rpartition("zoneinfo/")[2].removeprefix("posix/"), 64)
    named = _text(f"{roots.etc}/timezone").strip()
    if named and " " not in named:
        return clean_text(named, 64)
    if not roots.live:
        return ""
    offset = time.localtime().tm_gmtoff // 60
    return f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}" if offset else "UTC"


def _hostname(roots: Roots) -> str:
    named = _text(f"{roots.proc}/sys/kernel/hostname").strip() or _text(f"{roots.etc}/hostname").strip()
    return clean_text(socket.gethostname() if roots.live else named, 253)


def _capacity(roots: Roots) -> tuple[int, int]:
    """Returns processors and bytes of memory; a container's limits where it has them."""
    cpus = memory = 0
    listed = _text(f"{roots.sys}/devices/system/cpu/online").strip()
    with contextlib.suppress(MalformedInput):
        cpus = parse_cpu_list(listed, "online")
    if not cpus:
        stat = _text(f"{roots.proc}/stat").split("\n")
        cpus = sum(1 for line in stat if line.startswith("cpu") and line[3:4].isdecimal())
    for line in _text(f"{roots.proc}/meminfo").split("\n"):
        if line.startswith("MemTotal:"):
            fields = line.split()
            memory = int(fields[1]) * 1024 if len(fields) > 1 and fields[1].isdecimal() else 0
    group = container_cgroup(roots)
    if group is not None:
        with contextlib.suppress(MalformedInput):
            memory = min(memory, group.memory_limit() or memory)
            cpus = min(cpus, max(1, round(group.cpu_limit() or cpus)))
    return cpus, memory


def _portable_capacity() -> tuple[int, int]:
    import psutil

    return os.cpu_count() or 0, int(psutil.virtual_memory().total)


def _sysctl(name: str) -> str:
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        buffer = ctypes.create_string_buffer(64)
        size = ctypes.c_size_t(64)
        if library.sysctlbyname(name.encode(), buffer, ctypes.byref(size), None, 0) == 0:
            return clean_text(buffer.value.decode("ascii", "replace").strip(), 64)
    return ""


def _kept(path: Path) -> str:
    text = _text(str(path)).strip()
    return text if len(text) == 16 and _HEX.issuperset(text) else ""


def _text(path: str) -> str:
    try:
        return read_file(path, 4 << 20)
    except CollectorError:
        return ""
