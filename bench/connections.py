"""`python -m bench.connections`: what a look at a thousand connections costs, beside `ss` in the same run.

The connections are of this process, on loopback, half of them moving something between two looks. Ratios are against
`ss -tinOH` (its numbers alone) and `ss -tinpOH` (with processes); absolute numbers move with the machine.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import shutil
import socket
import statistics
import subprocess
import time
from typing import TYPE_CHECKING

from collectors._sockets.inetdiag import TCP
from collectors._sockets.kernel import dump
from collectors.base import Roots
from collectors.connections import Connections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUDGET = 0.020


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m bench.connections", description=__doc__)
    parser.add_argument("--sockets", type=int, default=1000, help="TCP sockets (1000)")
    parser.add_argument("--rounds", type=int, default=20, help="looks of each kind (20)")
    parser.add_argument("--closings", type=int, default=2000, help="connections closed between two looks (2000)")
    options = parser.parse_args()
    _allow(options.sockets + 200)
    with pairs(options.sockets // 2) as links:
        print(f"{len(dump(TCP))} TCP sockets")
        collector = Connections(Roots())
        first = _time(collector.read)
        print(f"first look, every process looked at    {first * 1e3:7.1f} ms")
        parts = {
            "asking and parsing": lambda: dump(TCP),
            "a whole look": collector.read,
            "ss -tinOH": lambda: _run("-tinOH"),
            "ss -tinpOH": lambda: _run("-tinpOH"),
        }
        took: dict[str, list[float]] = {name: [] for name in parts}
        for _ in range(options.rounds):
            for name, part in parts.items():
                for link in links[::2]:
                    link.send(b"x" * 100)
                took[name].append(_time(part))
        peer = statistics.median(took["ss -tinOH"])
        for name, times in took.items():
            middle = statistics.median(times)
            print(f"{name:<38} {middle * 1e3:7.1f} ms  {middle / peer:5.2f} of ss -tinOH")
        whole = statistics.median(took["a whole look"])
        budget = f"budget of 1,000 sockets {BUDGET * 1e3:.0f} ms"
        print(f"{budget}: {'kept' if whole <= BUDGET * max(1.0, options.sockets / 1000) else 'BROKEN'}")
        closings(collector, options.closings)
        collector.close()


def closings(collector: Connections, count: int) -> None:
    """Measures what connections cost that are opened and closed between two looks."""
    collector.read()
    before = time.process_time()
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        for _ in range(count):
            with socket.create_connection(server.getsockname()) as link, server.accept()[0]:
                link.send(b"x")
        bare = time.process_time() - before
        time.sleep(0.2)
    before = time.process_time()
    reading = collector.read()
    taken = time.process_time() - before
    short = sum(row.sent for row in reading.tables.talkers or [] if row.kind == "short")
    lost = [fault.message for fault in reading.faults if "closed" in fault.message]
    print(f"{count} short connections (2 sockets each)  {taken * 1e3:7.1f} ms in the look after them")
    print(f"  sending and hearing of them          {bare * 1e3:7.1f} ms; counted {short} of {count} bytes {lost or ''}")


@contextlib.contextmanager
def pairs(count: int) -> Iterator[list[socket.socket]]:
    """Holds so many connections of loopback open; yields the ends that opened them."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        links = []
        for _ in range(count):
            links.append(stack.enter_context(socket.create_connection(server.getsockname())))
            stack.enter_context(server.accept()[0])
        yield links


def _time(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _run(option: str) -> None:
    program = shutil.which("ss", path="/usr/bin:/usr/sbin:/bin:/sbin")
    if program is None:
        raise SystemExit("ss is not installed: apt install iproute2")
    subprocess.run([program, option], stdout=subprocess.DEVNULL, check=True)


def _allow(files: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2 * files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(2 * files, hard), hard))


if __name__ == "__main__":
    main()
