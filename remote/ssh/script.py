"""What is run on a box that is reached by plain ssh: one fixed POSIX shell script that prints files of the kernel.

It is given to `sh -s` on standard input, writes nothing, and does what one line of its input asks for: the names of
groups of files, listed here. It ends with its input, or when nobody asked for a while. Each answer is framed by a
random boundary of the connection, and each line of a file is printed behind the file's name, so that nothing that a
file holds can be taken for anything else.

A router is asked for what some commands print, too: their text is handed in, and none of it comes from a user or from
the box. Each has a deadline of its own, an empty standard input, and no more room than `MOST_OUTPUT`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

GROUPS: dict[str, tuple[str, ...]] = {
    "cpu": ("/proc/stat",),
    "memory": (
        "/proc/meminfo",
        "/proc/spl/kstat/zfs/arcstats",
        "/proc/sys/vm/min_free_kbytes",
        "/sys/kernel/mm/hugepages/*/nr_hugepages",
        "/sys/kernel/mm/hugepages/*/free_hugepages",
    ),
    "swap": ("/proc/vmstat", "/sys/block/zram*/mm_stat"),
    "pressure": tuple(f"/proc/pressure/{name}" for name in ("cpu", "memory", "io", "irq")),
    "disks": ("/proc/diskstats",),
    "network": ("/proc/net/dev", "/proc/net/wireless", "/sys/class/net/*/ifindex"),
    "interfaces": (
        "/proc/net/if_inet6",
        *(
            f"/sys/class/net/*/{name}"
            for name in (
                "operstate",
                "flags",
                "speed",
                "mtu",
                "type",
                "iflink",
                "tun_flags",
                "uevent",
                "carrier_changes",
            )
        ),
    ),
    "load": ("/proc/loadavg",),
    "protocols": ("/proc/net/snmp", "/proc/net/netstat"),
    "sockets": ("/proc/net/sockstat", "/proc/net/sockstat6"),
    "tcp": ("/proc/net/tcp", "/proc/net/tcp6"),
    "frequency": ("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq",),
    "cpuinfo": ("/proc/cpuinfo",),
    "filesystems": ("/proc/self/mountinfo",),
    "blocks": tuple(
        f"/sys/block/*/{name}"
        for name in (
            *("size", "removable", "queue/rotational", "device/model", "device/name"),
            *("dm/name", "loop/backing_file"),
        )
    ),
    "supplies": (
        *(
            f"/sys/class/power_supply/*/{name}"
            for name in (
                *("type", "scope", "online", "present", "status", "capacity", "cycle_count"),
                *("energy_now", "energy_full", "energy_full_design", "charge_now", "charge_full"),
                *("charge_full_design", "power_now", "current_now", "voltage_now"),
            )
        ),
        "/sys/class/powercap/*/name",
        "/sys/class/powercap/*/energy_uj",
        *(
            f"/sys/class/thermal/thermal_zone*/{name}"
            for name in ("type", "temp", "trip_point_*_type", "trip_point_*_temp")
        ),
    ),
    # A name that ends in f is a pipe (1.ref), and reading it would never end.
    "sessions": ("/run/systemd/sessions/*[!f]",),
    "cgroup": (
        *(
            f"/sys/fs/cgroup/{name}"
            for name in (
                *("cpu.max", "cpu.stat", "cpuset.cpus.effective", "pids.current", "memory.max", "memory.current"),
                *("memory.stat", "memory.events", "memory.swap.current", "memory.swap.max"),
                *("cpu.pressure", "memory.pressure", "io.pressure", "irq.pressure"),
            )
        ),
        *(
            f"/sys/fs/cgroup/cpu*/{name}"
            for name in (
                *("cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.stat", "cpuacct.usage", "cpuacct.stat"),
                *("cpuset.effective_cpus", "cpuset.cpus"),
            )
        ),
        *(
            f"/sys/fs/cgroup/memory/memory.{name}"
            for name in (
                *("limit_in_bytes", "usage_in_bytes", "stat", "oom_control"),
                *("memsw.limit_in_bytes", "memsw.usage_in_bytes"),
            )
        ),
        "/sys/fs/cgroup/pids/pids.current",
    ),
    "processes": ("/proc/[0-9]*/stat",),
    "boot": (
        "/etc/machine-id",
        "/var/lib/dbus/machine-id",
        "/etc/os-release",
        "/usr/lib/os-release",
        "/etc/hostname",
        "/etc/timezone",
        "/etc/passwd",
        "/proc/sys/kernel/random/boot_id",
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/osrelease",
        "/proc/1/cgroup",
        "/proc/self/cgroup",
        "/proc/self/mountinfo",
        "/run/systemd/container",
        "/sys/devices/system/cpu/online",
        "/sys/hypervisor/type",
        "/sys/class/dmi/id/sys_vendor",
        "/sys/class/dmi/id/product_name",
        "/sys/class/dmi/id/bios_vendor",
        "/proc/cpuinfo",
        "/proc/meminfo",
        "/proc/stat",
    ),
}
"""Group -> the files that it prints, as globs of the shell."""

_CHIP: tuple[str, ...] = (
    "temp*_input",
    "temp*_label",
    "temp*_max",
    "temp*_crit",
    "temp*_fault",
    "fan*_input",
    "fan*_label",
)
_CHIP += ("power*_average", "power*_input", "power*_label")
_CARD = ("product_name", "gpu_busy_percent", "mem_busy_percent", "mem_info_vram_used", "mem_info_vram_total")
_CARD_CHIP = ("temp1_input", "power1_cap", "power1_average", "power1_input", "freq1_input", "freq2_input", "pwm1")

SPECIAL: dict[str, tuple[str, ...]] = {
    "sensors": (
        "/sys/class/hwmon/*/name",
        "/sys/class/hwmon/*/device/name",
        "/sys/class/hwmon/*/device/power/runtime_status",
        *(f"/sys/class/hwmon/*/{name}" for name in _CHIP),
        *(f"/sys/class/hwmon/*/device/{name}" for name in _CHIP),
    ),
    "gpu": (
        "/sys/class/drm/card*/device/vendor",
        "/sys/class/drm/card*/device/power/runtime_status",
        *(f"/sys/class/drm/card*/device/{name}" for name in _CARD),
        *(f"/sys/class/drm/card*/device/hwmon/*/{name}" for name in _CARD_CHIP),
    ),
    "describe": ("/proc/[0-9]*/status", "/proc/[0-9]*/cgroup", "/proc/[0-9]*/cmdline"),
    "links": ("/proc/net/route", "/proc/net/ipv6_route", "/proc/net/fib_trie"),
    "logins": ("/run/utmp", "/var/run/utmp"),
    "pids": (),
    "sizes": (),
    "agent": (),
    "system": (),
}
"""Groups that the script treats in its own way -> files that they may print."""

MARKS = (
    "/.dockerenv",
    "/run/.containerenv",
    *(f"/sys/class/net/*/{name}" for name in ("device", "phy80211", "wireless", "bridge", "bonding", "lower_*")),
    "/sys/block/*/slaves/*",
    "/sys/class/hwmon/*/device/block/*",
    "/sys/class/thermal/thermal_zone*/hwmon*",
)
"""What is only told to be there."""

LINKS = (
    "/etc/localtime",
    "/proc/1/ns/pid",
    "/proc/self/ns/pid",
    "/sys/class/net/*/master",
    "/sys/class/hwmon/*/device",
)
"""Links whose ends are told."""

ROWS = 500
"""Lines printed of a routing table at most: a router may hold a million."""

IDLE = 90
"""Seconds without a request after which the script ends."""

MOST_PIDS = 100
"""Processes described by one answer at most."""

COMMAND_SECONDS = 15
"""Seconds that a command may take; then it is ended with all that it has started."""

MOST_OUTPUT = 4 << 20
"""Bytes kept of what a command prints: 10,000 rows of nlbwmon are one million."""

MOST_WORDS = 600
"""Bytes kept of what it says on standard error."""

OVERDUE = 124
"""Status told of a command that was ended because it took too long; the same that timeout(1) gives."""

_PLAIN = "".join(f'{name}) set -- "$@" {" ".join(files)} ;;\n' for name, files in GROUPS.items())

PRELUDE = r"""main() {
B=@BOUNDARY@
LC_ALL=C; export LC_ALL; PATH=$PATH:/bin:/usr/bin:/sbin:/usr/sbin
unset GREP_OPTIONS GREP_COLORS CDPATH ENV
exec 3<&0 4>&2 </dev/null 2>/dev/null
cd / || exit 9
A=; echo x | grep -a x >/dev/null && A=a
if echo x | grep -H x >/dev/null; then g() { grep -H$A '' "$@" /dev/null; }
else g() { raw "$@"; }
fi
raw() { for f; do [ -f "$f" ] && [ -r "$f" ] && { echo "$B f $f"; cat "$f"; echo; }; done; echo "$B g"; }
if (echo x | read -r -t 1 x); then n() { IFS= read -r -t @IDLE@ "$1" <&3; }
else n() { IFS= read -r "$1" <&3; }; T=1
fi
"""
"""Begin of the script. `g` prints files line by line behind their names, `raw` one after the other as they are (the way
out where there is no grep), `n` reads one line of what is asked for. All of the script is one function, so that a shell
has read it whole before its standard input becomes another."""

COMMANDS = r"""o() { cat; }
if [ "$(echo xx | head -c 1)" = x ]; then o() { head -c "$1"; }
elif [ "$(echo xx | dd bs=1 count=1)" = x ]; then o() { dd bs=1024 count=$(($1 / 1024 + 1)); }
fi
c() {
case $1 in
@COMMANDS@*) exit 127 ;;
esac
}
end() {
kill -STOP $1
for i in /proc/[0-9]*; do
a=; while read -r a b; do [ "$a" = PPid: ] && break; done <$i/status
[ "$a $b" = "PPid: $1" ] && (end ${i#/proc/})
done
kill -9 $1
}
w() {
(c $1) 3<&- 4>&- 5>&- 6>&- 7>&- &
p=$!
(trap 'kill $!; exit' TERM; sleep @SECONDS@ 6>&- & wait $! && echo "
$B q @OVERDUE@" >&6 && end $p) 2>/dev/null >/dev/null 3<&- 4>&- 5>&- 7>&- &
q=$!
wait $p; s=$?
kill $q 2>/dev/null; wait $q 2>/dev/null
echo "
$B q $s" >&6
}
x() {
echo "$B k $1"
exec 5>&1
e=$(exec 6>&1
{ w $1 2>&1 >&7 | { o @WORDS@; cat >/dev/null; } >&6 7>&-; } 7>&1 | o @MOST@ >&5 6>&-)
exec 5>&-
echo
echo "$B m"
printf '%s\n' "$e"
echo "$B g"
}
"""
"""What commands need. `x` runs one and frames it: what it printed, what it said, its status. `c` holds the commands,
`w` runs one with its deadline, `end` ends a process and all that it has started (a shell without a terminal has no
groups of processes), `o` lets so many bytes through."""

MAIN = r"""# This shell cannot read with a time-out: what it says now and then shows it that nobody listens any more.
[ "$T" ] && {
(trap 'kill $S; exit' TERM; while :; do sleep 20 4>&- & S=$!; wait $S; echo >&4 || exit; done) >/dev/null 3<&- &
W=$!; trap 'kill $W' EXIT
}
echo
echo "$B r"
while n r; do
set -- /proc/uptime
t=; z=
for k in $r; do
[ "$t" ] || { t=$k; echo "$B b $t"; continue; }
case $k in
@PLAIN@sensors) for h in /sys/class/hwmon/hwmon*; do
s=; read -r s <$h/device/power/runtime_status
set -- "$@" $h/name $h/device/power/runtime_status
case $s in suspend*) ;; *)
for d in $h $h/device; do set -- "$@" $d/name @CHIP@; done ;;
esac
done ;;
gpu) for d in /sys/class/drm/card[0-9]/device /sys/class/drm/card[0-9][0-9]/device; do
s=; read -r s <$d/power/runtime_status
set -- "$@" $d/vendor $d/power/runtime_status
case $s in suspend*) ;; *) set -- "$@" @CARD@ ;; esac
done ;;
links) for f in @MARKS@; do [ -e "$f" ] && echo "$B e $f"; done
echo "$B l"; ls -ld @LINKS@
for f in /proc/net/route /proc/net/ipv6_route /proc/net/fib_trie; do
[ -r $f ] && { echo "$B f $f"; head -n @ROWS@ $f; echo; }
done
echo "$B g" ;;
logins) raw /run/utmp /var/run/utmp ;;
pids) echo "$B p"; cd /proc && echo [0-9]*; cd /; echo "$B g" ;;
describe) n p || exit
s=
for i in $p; do
s="$s /proc/$i/status"; set -- "$@" /proc/$i/cgroup
[ -r /proc/$i/cmdline ] && { echo "$B f /proc/$i/cmdline"; dd if=/proc/$i/cmdline bs=4096 count=1; echo; }
done
echo "$B g"; grep -H '^Name\|^Uid' $s /dev/null ;;
sizes) z=1 ;;
agent) u=$(id -u)
for s in sysmon tied; do
for f in /run/sysmon/$s.sock "$XDG_RUNTIME_DIR/sysmon/$s.sock" "/run/user/$u/sysmon/$s.sock"; do
[ -S "$f" ] && if [ -w "$f" ]; then echo "$B a $f"; else echo "$B s foreign $f"; fi
done
done
for a in 0100007F 7F000001 00000000; do
grep -q "^ *[0-9]*: $a:2008 00000000:0000 0A" /proc/net/tcp && echo "$B a 127.0.0.1:8200"
done
echo "$B s program $(command -v sysmon || ls "$HOME/.local/bin/sysmon")" ;;
system) echo "$B s system $(uname -s)"
echo "$B s arch $(uname -m)"
echo "$B s page $(getconf PAGESIZE || grep -m1 KernelPageSize /proc/self/smaps)"
echo "$B s zone $(date +%z)" ;;
clock) echo "$B s clock $(date +%s.%N)" ;;
run.*) x "${k#run.}" ;;
esac
done
g "$@"
if [ "$z" ]; then
set --
while n p && [ "$p" ]; do set -- "$@" "$p"; done
if [ $# -gt 0 ]; then
if stat -f -c %S / >/dev/null; then echo "$B z"; stat -f -c '%S %b %f %a %c %d %n' "$@"
else echo "$B y"; df -P -k "$@"
fi
fi
fi
echo "$B . $t" || exit
done
}
main; exit
"""
"""The rest: prints what each line of standard input asks for, until that ends."""


def script(boundary: str, commands: Mapping[str, str] | None = None) -> str:
    """Returns the script for one connection.

    Args:
        boundary: hex digits that nobody else knows; they travel on standard input, so that they stand in no list of
            processes.
        commands: name -> line for a shell; asked for as `run.NAME`. They only read, and are as fixed as the script.
    """
    text = PRELUDE + (COMMANDS if commands else "") + MAIN
    for name, value in (
        ("@PLAIN@", _PLAIN),
        ("@CHIP@", " ".join(f"$d/{name}" for name in _CHIP)),
        ("@CARD@", " ".join([*(f"$d/{name}" for name in _CARD), *(f"$d/hwmon/*/{name}" for name in _CARD_CHIP)])),
        ("@MARKS@", " ".join(MARKS)),
        ("@LINKS@", " ".join(LINKS)),
        ("@ROWS@", str(ROWS)),
        ("@IDLE@", str(IDLE)),
        ("@SECONDS@", str(COMMAND_SECONDS)),
        ("@OVERDUE@", str(OVERDUE)),
        ("@WORDS@", str(MOST_WORDS)),
        # One byte more, by which it is seen that there were more.
        ("@MOST@", str(MOST_OUTPUT + 1)),
        ("@COMMANDS@", "".join(f"{name}) {command} ;;\n" for name, command in (commands or {}).items())),
        ("@BOUNDARY@", boundary),
    ):
        text = text.replace(name, value)
    return text


def pattern(globs: tuple[str, ...]) -> str:
    """Returns a regular expression that matches what the shell makes of the globs.

    A last part never holds a colon, which ends the name where a line of a file stands behind it.
    """
    return "|".join(f"(?:{_translated(glob)})" for glob in globs)


def _translated(glob: str) -> str:
    *folders, last = glob.split("/")
    return "/".join([*(_part(folder, "/") for folder in folders), _part(last, "/:")])


def _part(text: str, without: str) -> str:
    if text == "*":
        return rf"(?!\.\.?(?:[{without}]|$))[^{without}\n]+"
    made = re.escape(text)
    # In the order that keeps an inserted expression from being translated again.
    made = made.replace(r"\[!f\]", f"[^f{without}\n]").replace(r"\[0\-9\]\*", "[0-9]+")
    return made.replace(r"\*", f"[^{without}\n]*")
