"""What a router is asked for: the names of its texts, and the command that prints each.

A name stands for two files below `FOLDER` of the tree that the collector reads: `NAME`, what the command printed, and
`NAME.status`, its exit status and then what it said on stderr. A command is one line for any POSIX shell, busybox's
too. It only reads, holds no single quote and nothing that a user typed, and is to be run in a subshell of its own whose
standard input is empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = "sysmon"
"""Folder of the texts in a tree."""

When = Literal["look", "seldom", "fallback"]
"""At every look; every few minutes, or while somebody looks; only where nlbwmon counts nothing."""

SELDOM = 300.0
"""Seconds between two answers of what is asked for seldom."""

MOST_LINES = 20_000
"""Lines printed of a table that may be long."""


class Command(NamedTuple):
    """A shell command that only reads, and when it is run."""

    text: str
    when: When


_PROBE = "; ".join(
    (
        'echo "nlbw=$(command -v nlbw)"',
        'echo "nlbwmon=$(pidof nlbwmon)"',
        'echo "acct=$(cat /proc/sys/net/netfilter/nf_conntrack_acct 2>/dev/null)"',
        'echo "conntrack=$([ -r /proc/net/nf_conntrack ] && echo 1)"',
        'echo "refresh=$(uci -q get "nlbwmon.@nlbwmon[0].refresh_interval")"',
        'echo "period=$(uci -q get "nlbwmon.@nlbwmon[0].database_interval")"',
        'echo "local=$(uci -q get "nlbwmon.@nlbwmon[0].local_network")"',
        'echo "hostapd=$(ubus list "hostapd.*" 2>/dev/null | head -n 32 | tr "\\n" " ")"',
        'echo "now=$(date +%s)"',
        'd=$(uci -q get "nlbwmon.@nlbwmon[0].database_directory")',
        'ls -- "${d:-/var/lib/nlbwmon}" 2>/dev/null | tail -n 64 | while read -r f; do echo "database=$f"; done',
        'for f in /sys/class/net/*/address; do echo "mac=$f $(cat "$f" 2>/dev/null)"; done | head -n 512',
        'ip route 2>/dev/null | grep "^default" | head -n 8 | while read -r f; do echo "route=$f"; done',
        'ip -6 route 2>/dev/null | grep "^default" | head -n 8 | while read -r f; do echo "route=$f"; done',
        'ip addr 2>/dev/null | grep -e "^[0-9]" -e "inet" | head -n 512 | while read -r f; do echo "address=$f"; done',
    )
)

GONE = "no nlbwmon runs"
"""Said on stderr after nlbw failed while its daemon is not there."""

COMMANDS: Mapping[str, Command] = {
    "nlbw": Command(
        f'nlbw -c json -g family,mac,ip || {{ s=$?; [ -n "$(pidof nlbwmon)" ] || echo "{GONE}" >&2; exit $s; }}', "look"
    ),
    "leases": Command(
        f'f=$(uci -q get "dhcp.@dnsmasq[0].leasefile"); head -n {MOST_LINES} -- "${{f:-/tmp/dhcp.leases}}"', "look"
    ),
    "neighbours": Command("ip neigh || cat /proc/net/arp", "look"),
    "probe": Command(_PROBE, "seldom"),
    "services": Command("nlbw -c json -g mac,layer7", "seldom"),
    "odhcpd": Command(
        'for f in "$(uci -q get dhcp.odhcpd.leasefile)" /tmp/odhcpd.leases /tmp/hosts/odhcpd; '
        f'do [ -f "$f" ] && head -n {MOST_LINES} -- "$f" && break; done',
        "seldom",
    ),
    "hints": Command("ubus list luci-rpc >/dev/null 2>&1 && ubus call luci-rpc getHostHints", "seldom"),
    "stations": Command(
        'for i in $(ubus list "hostapd.*" 2>/dev/null | head -n 32); do '
        'echo "@clients $i"; ubus call "$i" get_clients; echo "@status $i"; ubus call "$i" get_status; done',
        "fallback",
    ),
    "conntrack": Command(f"head -n {MOST_LINES} /proc/net/nf_conntrack", "fallback"),
}
"""Name -> command. Which are wanted next is told by `collectors.devices.DevicesCollector.needs`; first, `FIRST`."""

FIRST = tuple(name for name, command in COMMANDS.items() if command.when != "fallback")
"""What is asked for at the first look, when nothing is known yet."""
