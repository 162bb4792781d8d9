"""TCP and UDP as a whole: retransmissions, resets, lost connections and datagrams (/proc/net/snmp, netstat)."""

from __future__ import annotations

from collectors.base import Collector, Reading, malformed, read_text
from sysmon.catalogue import Formula, counter, derived, rate
from sysmon.errors import CollectorError, MalformedInput, NoData
from sysmon.frame import Fault, Number

SNMP = {
    ("Tcp", "ActiveOpens"): "tcp.opens.active",
    ("Tcp", "PassiveOpens"): "tcp.opens.passive",
    ("Tcp", "AttemptFails"): "tcp.failed_attempts",
    ("Tcp", "EstabResets"): "tcp.resets",
    ("Tcp", "InSegs"): "tcp.receive.segments",
    ("Tcp", "OutSegs"): "tcp.transmit.segments",
    ("Tcp", "RetransSegs"): "tcp.retransmits",
    ("Tcp", "InErrs"): "tcp.receive.errors",
    ("Udp", "InDatagrams"): "udp.receive.datagrams",
    ("Udp", "OutDatagrams"): "udp.transmit.datagrams",
    ("Udp", "InErrors"): "udp.receive.errors",
    ("Udp", "NoPorts"): "udp.no_port",
}
"""(protocol, name) in /proc/net/snmp -> metric."""

NETSTAT = {
    ("TcpExt", "ListenOverflows"): "tcp.listen.overflows",
    ("TcpExt", "ListenDrops"): "tcp.listen.drops",
}
"""(protocol, name) in /proc/net/netstat -> metric."""


def parse_pairs(content: str, path: str = "/proc/net/snmp") -> dict[tuple[str, str], int]:
    """Parses the form of /proc/net/snmp and /proc/net/netstat: per protocol a line of names and one of values.

    Args:
        content: the whole file.
        path: named in errors.

    Returns:
        (protocol, name) -> value. Some values can be negative (`Tcp MaxConn`).

    Raises:
        MalformedInput: names and values do not go together.
    """
    found: dict[tuple[str, str], int] = {}
    names: tuple[str, list[str]] | None = None
    for index, line in enumerate(content.split("\n"), start=1):
        protocol, colon, rest = line.partition(":")
        if not line.strip():
            continue
        if not colon:
            raise malformed(path, index, line, "a protocol with names or values")
        fields = rest.split()
        if names is None:
            names = (protocol, fields)
            continue
        if names[0] != protocol or len(names[1]) != len(fields):
            raise malformed(path, index, line, f"the values of {names[0]}")
        try:
            found.update({(protocol, name): int(value) for name, value in zip(names[1], fields, strict=True)})
        except ValueError:
            raise malformed(path, index, line, "a protocol with whole numbers") from None
        names = None
    if names is not None:
        raise malformed(path, content.count("\n") + 1, names[0], "followed by its values")
    return found


class ProtocolsCollector(Collector):
    """Reads the counters of TCP and UDP of this network namespace."""

    name = "protocols"
    help = "Retransmissions, resets and drops of TCP and UDP"
    interval = 5.0
    metrics = (
        counter("tcp.opens.active", "", "Connections begun by this host", "/proc/net/snmp"),
        counter("tcp.opens.passive", "", "Connections accepted by this host", "/proc/net/snmp"),
        counter("tcp.failed_attempts", "", "Connections that failed while being made", "/proc/net/snmp"),
        counter("tcp.resets", "", "Connections reset after they were made", "/proc/net/snmp"),
        counter("tcp.receive.segments", "", "Segments received", "/proc/net/snmp"),
        counter("tcp.transmit.segments", "", "Segments sent, retransmissions left out", "/proc/net/snmp"),
        counter("tcp.retransmits", "", "Segments sent again", "/proc/net/snmp"),
        counter("tcp.receive.errors", "", "Segments received with errors", "/proc/net/snmp"),
        counter("tcp.listen.overflows", "", "Connections lost to a full accept queue", "/proc/net/netstat"),
        counter("tcp.listen.drops", "", "Connections lost by a listening socket", "/proc/net/netstat"),
        counter("udp.receive.datagrams", "", "UDP datagrams received", "/proc/net/snmp"),
        counter("udp.transmit.datagrams", "", "UDP datagrams sent", "/proc/net/snmp"),
        counter("udp.receive.errors", "", "UDP datagrams lost, most for want of buffers", "/proc/net/snmp"),
        counter("udp.no_port", "", "UDP datagrams to a port where nobody listens", "/proc/net/snmp"),
        rate("tcp.open_rate", "tcp.opens.active", "/s", "Connections begun per second"),
        rate("tcp.accept_rate", "tcp.opens.passive", "/s", "Connections accepted per second"),
        rate("tcp.reset_rate", "tcp.resets", "/s", "Connections reset per second"),
        rate("tcp.retransmit_rate", "tcp.retransmits", "/s", "Segments sent again per second"),
        derived(
            "tcp.retransmit_ratio",
            "ratio",
            "Segments sent again per segment sent",
            Formula("delta_ratio", ("tcp.retransmits",), ("tcp.transmit.segments", "tcp.retransmits")),
        ),
        rate("tcp.listen.drop_rate", "tcp.listen.drops", "/s", "Connections lost by listening sockets per second"),
        rate("udp.error_rate", "udp.receive.errors", "/s", "UDP datagrams lost per second"),
    )

    def read(self) -> Reading:
        """Reads both files; one that fails becomes a fault beside the other's values.

        Raises:
            NoData: neither is there.
        """
        reading = Reading()
        for file, wanted in (("snmp", SNMP), ("netstat", NETSTAT)):
            path = self.roots.proc / "net" / file
            try:
                pairs = parse_pairs(read_text(path), str(path))
            except (CollectorError, MalformedInput) as error:
                reading.faults.append(self.fault(error))
                continue
            values: dict[str, Number] = {metric: pairs[pair] for pair, metric in wanted.items() if pair in pairs}
            negative = [metric for metric, value in values.items() if value < 0]
            for metric in negative:
                del values[metric]
                reading.faults.append(Fault(self.name, "failed", f"{path}: {metric} is below 0"))
            reading.values.update(values)
        if not reading.values and all(fault.kind == "no_data" for fault in reading.faults):
            raise NoData(f"{self.roots.proc / 'net'} holds neither snmp nor netstat", reading.faults[0].hint)
        return reading


COLLECTOR = ProtocolsCollector
