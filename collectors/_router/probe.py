"""What a router says of itself: whether nlbwmon counts there, how often, and what its LAN is."""

from __future__ import annotations

import re
from typing import NamedTuple

from collectors._router.lan import Lan, Network, address_of, mac_of, network_of, single

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_DURATION = re.compile(r"([0-9]{1,9})\s*([smhdw]?)")
_DATABASE = re.compile(r"([0-9]{8})\.db(?:\.gz)?")
_DEVICE = re.compile(r"[0-9]+: ([^:@ ]+)")
_WORDS = re.compile(r"\bdev (\S+)")


class Probe(NamedTuple):
    """What a router says of itself.

    Attributes:
        nlbw: whether the client is installed. `nlbwmon`: whether the daemon runs.
        accounting: whether connections are counted (`net.netfilter.nf_conntrack_acct`), None where not told.
        conntrack: whether the table of connections may be read.
        refresh: seconds between two of nlbwmon's looks at them.
        period: its `database_interval` as configured, '' for the default (a month).
        stations: whether hostapd tells of Wi-Fi clients.
        periods: first days of the periods kept, `YYYY-MM-DD`, oldest first.
        now: the router's Unix time, None where not told.
        lan: what lies behind it.
    """

    nlbw: bool = False
    nlbwmon: bool = False
    accounting: bool | None = None
    conntrack: bool = False
    refresh: float = 30.0
    period: str = ""
    stations: bool = False
    periods: tuple[str, ...] = ()
    now: int | None = None
    lan: Lan = Lan()


def parse_probe(text: str) -> Probe:
    """Parses the answer of the `probe` command: lines `name=value`, of which any may be missing or make no sense.

    Never raises: what is not told is left at its default.
    """
    single_values: dict[str, str] = {}
    lists: dict[str, list[str]] = {"database": [], "mac": [], "route": [], "address": []}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if not equals:
            continue
        if name in lists:
            lists[name].append(value.strip())
        else:
            single_values.setdefault(name, value.strip())
    days = sorted(found[1] for each in lists["database"] if (found := _DATABASE.fullmatch(each)))
    now = single_values.get("now", "")
    return Probe(
        nlbw=bool(single_values.get("nlbw")),
        nlbwmon=bool(single_values.get("nlbwmon")),
        accounting={"0": False, "1": True}.get(single_values.get("acct", "")),
        conntrack=single_values.get("conntrack") == "1",
        refresh=seconds(single_values.get("refresh", "")) or 30.0,
        period=single_values.get("period", "")[:40],
        stations=bool(single_values.get("hostapd")),
        periods=tuple(f"{day[:4]}-{day[4:6]}-{day[6:]}" for day in days),
        now=int(now) if now.isascii() and now.isdigit() and len(now) < 12 else None,
        lan=_lan(lists["address"], lists["route"], lists["mac"], single_values.get("local", "")),
    )


def seconds(text: str) -> float:
    """Returns the seconds of a duration as OpenWrt writes it (`30s`, `24h`, `90`); 0 where it is none."""
    found = _DURATION.fullmatch(text.strip().lower())
    return float(int(found[1]) * _SECONDS[found[2]]) if found else 0.0


def _lan(addresses: list[str], routes: list[str], macs: list[str], local: str) -> Lan:
    outer = {found[1] for line in routes if (found := _WORDS.search(line))}
    networks: dict[Network, None] = {}
    own: set[str] = set()
    device = ""
    for line in addresses:
        if found := _DEVICE.match(line):
            device = found[1]
            continue
        words = line.split()
        if len(words) < 2 or words[0] not in ("inet", "inet6") or not (address := address_of(words[1])):
            continue
        own.add(address)
        network = network_of(words[1])
        if network is None or device in outer or device == "lo" or not single(address) or network.is_link_local:
            continue
        if network.prefixlen < network.max_prefixlen:
            networks[network] = None
    # Private ranges that nlbwmon takes for local by default are the provider's too, behind two routers: not taken over.
    for word in local.split():
        named = network_of(word)
        if named is not None and named.prefixlen >= 8 and (not named.is_private or named.prefixlen > 16):
            networks[named] = None
    return Lan(networks, own, filter(None, (mac_of(line.rpartition(" ")[2]) for line in macs)), outer)
