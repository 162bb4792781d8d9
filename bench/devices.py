"""`python -m bench.devices`: from what a router prints to rows, as large as routers get."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path

from collectors._router.conntrack import Growth, by_device, parse_conntrack
from collectors._router.lan import Lan, network_of
from collectors._router.nlbw import parse_nlbw
from collectors.base import Roots
from collectors.devices import DevicesCollector

ROUNDS = 7


def mac(number: int) -> str:
    """Returns the MAC of a made-up device."""
    return f"00:11:32:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"


def nlbw(rows: int, devices: int, look: int = 0) -> str:
    """Returns what nlbw would print: so many rows of so many devices, grown from look to look."""
    data = []
    for number in range(rows):
        device, nth = number % devices, number // devices
        address = f"10.{device >> 16}.{device >> 8 & 255}.{device & 255}" if not nth else f"fd00::{device:x}:{nth:x}"
        grown = number * 1000 + look * 500
        data.append([4 if not nth else 6, mac(device), address, 3 + look, grown, 10, grown // 9, 10])
    columns = ["family", "mac", "ip", "conns", "rx_bytes", "rx_pkts", "tx_bytes", "tx_pkts"]
    return json.dumps({"columns": columns, "data": data}, separators=(",", ":"))


def conntrack(connections: int) -> str:
    """Returns /proc/net/nf_conntrack of a router that translates addresses."""
    lines = []
    for number in range(connections):
        host = f"192.168.1.{number % 200 + 2}"
        port = 1024 + number % 60_000
        lines.append(
            f"ipv4     2 tcp      6 431999 ESTABLISHED src={host} dst=203.0.113.{number % 250} sport={port} dport=443 "
            f"packets=17 bytes={5920 + number} src=203.0.113.{number % 250} dst=198.51.100.2 sport=443 dport={port} "
            f"packets=29 bytes={901516 + number} [ASSURED] mark=0 zone=0 use=2\n"
        )
    return "".join(lines)


def median(measured: list[float]) -> str:
    """Returns the median and the largest of some seconds, in milliseconds."""
    return f"{statistics.median(measured) * 1000:6.1f} ms (max {max(measured) * 1000:.1f})"


def looks(rows: int, devices: int) -> None:
    """Prints what a look costs, from text to rows and counters."""
    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "sysmon"
        texts.mkdir()
        (texts / "neighbours").write_text(
            "".join(f"10.0.{n >> 8}.{n & 255} dev br-lan lladdr {mac(n)} STALE\n" for n in range(devices))
        )
        (texts / "leases").write_text(
            "".join(f"0 {mac(n)} 10.0.{n >> 8}.{n & 255} device-{n} *\n" for n in range(devices))
        )
        collector = DevicesCollector(Roots(Path(folder), live=False), {"router": True})
        at, parsed, whole = 0.0, [], []
        collector.clock = lambda: at
        for look in range(ROUNDS):
            text = nlbw(rows, devices, look)
            (texts / "nlbw").write_text(text)
            began = time.perf_counter()
            parse_nlbw(text)
            parsed.append(time.perf_counter() - began)
            collector.needs()
            began = time.perf_counter()
            reading = collector.read()
            whole.append(time.perf_counter() - began)
            at += 30.0
        assert len(reading.tables.devices or ()) == devices and len(reading.values) == 3 * devices
    print(f"  {rows:>6} rows of {devices:>5} devices   parsed {median(parsed)}   whole look {median(whole)}")


def connections(count: int) -> None:
    """Prints what the table of connections costs."""
    text, lan, growth, measured = conntrack(count), Lan([network_of("192.168.0.0/16") or exit()]), Growth(), []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        growth.take(by_device(parse_conntrack(text, lan), {})[0])
        measured.append(time.perf_counter() - began)
    print(f"  {count:>6} connections tracked         {median(measured)}")


def main() -> None:
    """Measures and prints."""
    print("devices of a router")
    looks(10_000, 200)
    looks(10_000, 2_400)
    looks(1_000, 50)
    connections(20_000)
    print("  budget: 10,000 rows from text to rows <= 250 ms")


if __name__ == "__main__":
    main()
