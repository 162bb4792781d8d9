"""Names and addresses of a router's devices: dnsmasq's and odhcpd's leases, and what LuCI knows of hosts.

Which names devices give themselves is up to them: they are cleaned, and two may have the same.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from collectors._router.lan import address_of, mac_of
from sysmon.errors import MalformedInput
from sysmon.frame import clean_text

MAX_LEASES = 20_000
"""Leases taken of one text at most."""

_NAME = 63
_DUID_MAC = re.compile(r"(?:0001[0-9a-f]{4}[0-9a-f]{8}|00030001)([0-9a-f]{12})", re.ASCII)


class Lease(NamedTuple):
    """One device as a list of leases or hosts tells it.

    Attributes:
        mac: '' where not told.
        addresses: those leased to it.
        name: what it calls itself, or what it was named; '' for none.
        expires: Unix seconds by the router's clock; None where it never does, or that is not told.
    """

    mac: str
    addresses: tuple[str, ...]
    name: str = ""
    expires: int | None = None


def parse_leases(text: str) -> list[Lease]:
    """Parses dnsmasq's file of leases: `expiry mac address name client-id`, `*` for no name.

    After a line `duid …` follow leases of IPv6: `expiry iaid address name duid`; the MAC is taken from the DUID where
    that holds one (types 1 and 3). Lines of another form are left out.

    Source: lease_update_file in dnsmasq's lease.c.
    """
    leases: list[Lease] = []
    six = False
    for line in text.splitlines()[: MAX_LEASES + 1]:
        words = line.split()
        if words[:1] == ["duid"]:
            six = True
            continue
        if len(words) < 4 or not (words[0].isascii() and words[0].isdigit() and len(words[0]) < 12):
            continue
        address = address_of(words[2])
        mac = _mac_of_duid(words[4]) if six and len(words) > 4 else "" if six else mac_of(words[1])
        if address:
            leases.append(Lease(mac, (address,), host_name(words[3]), int(words[0]) or None))
    return leases


def parse_odhcpd(text: str) -> list[Lease]:
    """Parses odhcpd's file of leases: `# interface duid iaid|ipv4 name expiry id length address/length …`.

    With `ipv4` in place of the IAID the second word is the MAC in 12 digits. Other lines are for /etc/hosts and left
    out.

    Source: odhcpd's src/statefiles.c, and luci.c of rpcd-mod-luci.
    """
    leases: list[Lease] = []
    for line in text.splitlines()[:MAX_LEASES]:
        words = line.split()
        if len(words) < 8 or words[0] != "#":
            continue
        if words[3] == "ipv4":
            digits = words[2]
            mac = mac_of(":".join(digits[at : at + 2] for at in range(0, 12, 2))) if len(digits) == 12 else ""
        else:
            mac = _mac_of_duid(words[2])
        addresses = tuple(address for word in words[8:24] if (address := address_of(word)))
        expires = int(words[5]) if words[5].isascii() and words[5].isdigit() and len(words[5]) < 12 else 0
        if addresses or mac:
            leases.append(Lease(mac, addresses, host_name(words[4]), expires or None))
    return leases


class _Hint(msgspec.Struct):
    name: str = ""
    ipaddrs: list[str] = []
    ip6addrs: list[str] = []
    ipv4: str = ""
    ipv6: str = ""


_hints = msgspec.json.Decoder(dict[str, _Hint])


def parse_hints(text: str) -> list[Lease]:
    """Parses the answer of `ubus call luci-rpc getHostHints`: MAC -> name and addresses, of any version of LuCI.

    Raises:
        MalformedInput: no JSON of this form.
    """
    try:
        found = _hints.decode(text.encode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedInput(f"LuCI's hints of hosts are not their JSON: {error}") from None
    leases = []
    for given, hint in list(found.items())[:MAX_LEASES]:
        mac = mac_of(given)
        if mac:
            told = (*hint.ipaddrs[:16], *hint.ip6addrs[:16], hint.ipv4, hint.ipv6)
            addresses = tuple(dict.fromkeys(address for each in told if (address := address_of(each))))
            leases.append(Lease(mac, addresses, host_name(hint.name)))
    return leases


def host_name(given: str) -> str:
    """Makes a device's own name fit to be shown; '' for none (`*`, `-`, `?`)."""
    return "" if given in ("*", "-", "?", "") else clean_text(given, _NAME)


def _mac_of_duid(duid: str) -> str:
    """Returns the Ethernet MAC that a DUID of type 1 (with time) or 3 was made of, else ''."""
    digits = duid.lower().replace(":", "")
    found = _DUID_MAC.fullmatch(digits)
    if found is None or digits[:8] not in ("00030001", "00010001"):
        return ""
    mac = found[1]
    return mac_of(":".join(mac[at : at + 2] for at in range(0, 12, 2)))
