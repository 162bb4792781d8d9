"""A played router: a real sshd without rights, behind it a shell whose PATH holds nothing but commands that are played.

What `nlbw`, `ubus`, `uci`, `ip` and `pidof` print lies in files of a folder and is changed as a test goes on; the other
commands are this machine's, for files of a router's the played ones. Every command that is run is written down.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.context import Context
from cli.sources import open_source
from remote.client.transport import Connections
from sysmon.config import HostSettings
from tests.conftest import FIXTURES
from tests.system.programs import Program
from tests.system.sshbox import SshBox, Watching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from remote.liveness import Patience

LEASED = 4_102_444_800
"""Unix seconds until which the played router leases addresses: the year 2100."""

PLAYED = {
    "nlbw": (
        'case "$*" in "-c json -g family,mac,ip") w=nlbw ;; "-c json -g mac,layer7") w=services ;; '
        '*) echo "nlbw: invalid option" >&2; exit 1 ;; esac'
    ),
    "ip": 'case "$*" in neigh) w=neighbours ;; route) w=route ;; "-6 route") w=route6 ;; addr) w=addr ;; esac',
    "ubus": 'case "$*" in "list hostapd.*") w=hostapd ;; "call luci-rpc getHostHints") w=hints ;; *) w=ubus ;; esac',
    "uci": 'w=uci-$3; [ "$1 $2" = "-q get" ] && [ -f "$R/state/$w" ] || exit 1',
    "pidof": 'w=pid-$1; [ -f "$R/state/$w" ] || exit 1',
}
"""What only a router has -> the line that finds which of the played answers is meant."""

REAL = (
    *("cat", "head", "tail", "tr", "grep", "ls", "date", "id", "uname", "getconf", "stat", "df", "dd", "sleep"),
    "sed",
)
"""What a router has as any machine: these read, and print."""

_ANSWER = """f=$R/state/$w
[ -f "$f.does" ] && . "$f.does"
[ -f "$f" ] && @cat@ "$f"
[ -f "$f.err" ] && @cat@ "$f.err" >&2
[ -f "$f.status" ] && { read -r s <"$f.status"; exit $s; }
exit 0
"""

_OVERLAID = """[ -f $R/slow.@name@ ] && { read -r s <$R/slow.@name@; @sleep@ $s; }
if [ -f $R/state/booted ]; then
read -r o <$R/state/booted; read -r u r </proc/uptime; mkdir -p $R/root/proc
echo "$((${u%.*} - o)).${u#*.} 1.00" >$R/root/proc/uptime
fi
n=$#; i=0; o=
while [ $i -lt $n ]; do
a=$1; shift; i=$((i + 1))
case $a in /?*) [ -e "$R/root$a" ] && { a=$R/root$a; o=1; } ;; esac
set -- "$@" "$a"
done
[ "$o" ] || exec @real@ "$@"
@real@ "$@" | @sed@ "s|^$R/root||"
"""

Row = tuple[str, str, int, int, int]
"""MAC, address, connections, bytes received, bytes sent."""


class PlayedRouter(SshBox):
    """A router at home: two devices, nlbwmon, leases.

    Args:
        folder: for all of it.
        prepend: puts the `ssh` that knows it in front of PATH.
    """

    def __init__(self, folder: Path, prepend: Callable[[str, str], None]) -> None:
        super().__init__(folder, prepend)
        self.bin, self.state, self.root = (folder / name for name in ("played", "state", "root"))
        for each in (self.bin, self.state, self.root, folder / "home"):
            each.mkdir()
        (folder / "home").chmod(0o555)
        real = {name: shutil.which(name) or f"/bin/{name}" for name in (*REAL, "cat", "sed", "mkdir", "dash")}
        head = '#!{dash}\nR={folder}\necho "@{name} $*" >>$R/ran\n'
        for name, line in PLAYED.items():
            self._script(name, head.format(dash=real["dash"], folder=folder, name=name) + f"{line}\n{_ANSWER}", real)
        for name in REAL:
            text = _OVERLAID.replace("@real@", real[name]).replace("@name@", name)
            text = head.format(dash=real["dash"], folder=folder, name=name) + text
            self._script(name, text.replace("mkdir", real["mkdir"]), real)
        (folder / "forced").write_text(
            f"#!{real['dash']}\n[ -f {folder}/greeting ] && {real['cat']} {folder}/greeting\n"
            # Only what is played is found: the folders that the script adds are not there on this router.
            rf"{real['sed']} -u 's|^\(.*\)PATH=$PATH:/bin:/usr/bin:/sbin:/usr/sbin$|\1PATH={self.bin}|' |"
            f" PATH={self.bin} HOME={folder}/home exec {real['dash']} -s\n"
        )
        (folder / "forced").chmod(0o755)
        self.file("/etc/os-release", 'NAME="OpenWrt"\nPRETTY_NAME="OpenWrt 24.10.4"\n')
        self.file("/proc/sys/net/netfilter/nf_conntrack_acct", "1\n")
        # The captured leases have run out; those of a router that is on have not.
        captured = (FIXTURES / "router/leases").read_text()
        self.file("/tmp/dhcp.leases", re.sub(r"^\d{10} ", f"{LEASED} ", captured, flags=re.M))
        self.file("/var/lib/nlbwmon/20261101.db.gz", "")
        self.say("neighbours", (FIXTURES / "router/neighbours-busybox").read_text())
        self.say("addr", "2: br-lan: <UP> mtu 1500\n    inet 192.168.1.1/24 scope global br-lan\n"
                         "    inet6 fd00:1::1/64 scope global\n3: eth1: <UP> mtu 1500\n"
                         "    inet 203.0.113.2/24 scope global eth1\n")  # fmt: skip
        self.say("route", "default via 203.0.113.1 dev eth1\n")
        self.say("pid-nlbwmon", "1234\n")
        self.say("hostapd", "")
        self.say("hints", "", error="Command failed: Not found", status=4)
        self.say("uci-nlbwmon.@nlbwmon[0].refresh_interval", "1s\n")
        self.say("services", '{"columns":["proto","port","mac","conns","rx_bytes","rx_pkts","tx_bytes","tx_pkts",'
                             '"layer7"],"data":[]}')  # fmt: skip
        self.count([])

    def _script(self, name: str, text: str, real: dict[str, str]) -> None:
        for each in ("cat", "sed", "sleep"):
            text = text.replace(f"@{each}@", real[each])
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)

    @property
    def target(self) -> str:
        """Where it is."""
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}"

    def switch_on(self) -> None:
        """Starts its sshd."""
        self.start(f"ForceCommand {self.folder}/forced", "PermitUserEnvironment no")

    # What it says

    def say(self, name: str, text: str, *, error: str = "", status: int = 0) -> None:
        """Has a command print a text, say something on standard error and end with a status, from now on."""
        for end, what in ((".err", error and f"{error}\n"), (".status", f"{status}\n" if status else ""), ("", text)):
            path = self.state / f"{name}{end}"
            if end and not what:
                path.unlink(missing_ok=True)
                continue
            new = self.state / f"{name}{end}.new"
            new.write_text(what)
            new.replace(path)

    def silence(self, name: str) -> None:
        """Has a command know no answer."""
        (self.state / name).unlink()

    def does(self, name: str, what: str) -> None:
        """Has a command do something first: a line of a shell; '' for nothing."""
        path = self.state / f"{name}.does"
        path.unlink(missing_ok=True)
        if what:
            path.write_text(f"{what}\n")

    def count(self, rows: Iterable[Row], **more: Any) -> None:
        """Has nlbwmon tell these counters."""
        columns = ["family", "mac", "ip", "conns", "rx_bytes", "rx_pkts", "tx_bytes", "tx_pkts"]
        data = [
            [6 if ":" in address else 4, mac, address, connections, received, received // 999, sent, sent // 999]
            for mac, address, connections, received, sent in rows
        ]
        self.say("nlbw", json.dumps({"columns": columns, "data": data, **more}, separators=(",", ":")))

    def slow(self, name: str, seconds: float) -> None:
        """Has one of the usual commands take its time."""
        (self.folder / f"slow.{name}").write_text(f"{seconds}\n")

    def file(self, path: str, text: str) -> None:
        """Lays out a file of the router."""
        place = self.root / path[1:]
        place.parent.mkdir(parents=True, exist_ok=True)
        new = place.with_name(f"{place.name}.new")
        new.write_text(text)
        new.replace(place)

    def remove(self, name: str) -> None:
        """Takes a command away."""
        (self.bin / name).unlink()

    def reboot(self, number: int) -> None:
        """Has it come up anew: another boot, and a clock since boot that begins anew."""
        up = Path("/proc/uptime").read_text().partition(".")[0]
        (self.state / "booted").write_text(f"{int(up) - 5}\n")
        self.file("/proc/sys/kernel/random/boot_id", f"00000000-0000-4000-8000-{number:012}\n")
        self.cut()

    # What was done there

    def ran(self) -> list[str]:
        """Every command that was run, with its arguments."""
        path = self.folder / "ran"
        return [line[1:] for line in path.read_text().splitlines() if line[:1] == "@"] if path.exists() else []

    @staticmethod
    def command(pid: int) -> bytes:
        """The command line of a process, b'' where it is gone."""
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return file.read()
        except OSError:
            return b""

    def held(self) -> dict[str, tuple[int, int, int]]:
        """Every file and folder of the router, with what shows that it was written to."""
        found = {}
        for top in (self.bin, self.state, self.root, self.folder / "home"):
            for folder, folders, files in os.walk(top):
                for name in ("", *folders, *files):
                    info = os.stat(os.path.join(folder, name))
                    found[os.path.join(folder, name)] = (info.st_mtime_ns, info.st_size, info.st_ino)
        return found


def follow(router: PlayedRouter, *, devices: float = 1.0, patience: Patience | None = None) -> Watching:
    """Follows a played router as a configured one that is looked at every second."""
    connections = Connections()
    settings = HostSettings(name="home", target=router.target, router=True, interval=1.0, devices=devices)
    opened = open_source(
        Context.of_environment(), settings, connections=connections, patience=patience, tables=["devices"]
    )
    return Watching(opened, connections)


HASTE = """import collectors._router.counting
import sysmon.configschema as schema
collectors._router.counting.INTERVAL = 1.0
schema.ROUTER["devices"] = schema.Option(schema.duration(1.0), '"1s"', "")
"""
"""What makes a program look every second, where nlbwmon's own steps of 30 s would be waited for."""


class HastyProgram(Program):
    """A `sysmon` that looks at routers every second."""

    @property
    def environment(self) -> dict[str, str]:
        """What it runs with."""
        given = super().environment
        (self.folder / "haste").mkdir(exist_ok=True)
        (self.folder / "haste" / "sitecustomize.py").write_text(HASTE)
        path = [str(self.folder / "haste"), *filter(None, [given.get("PYTHONPATH"), *_roots()])]
        return {**given, "PYTHONPATH": os.pathsep.join(path)}


def _roots() -> list[str]:
    """Where the packages of this program are imported from, as seen by this process."""
    module = sys.modules["cli.context"].__file__ or ""
    return [re.sub(r"/cli/context\.py$", "", module)]
