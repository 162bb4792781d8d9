"""A real vnStat: its daemon counts real traffic in a namespace of its own, and sysmon takes that in and counts on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from cli.pasts import LOOK, SLACK
from collectors.base import Roots
from collectors.identity import machine_host_id
from collectors.registry import catalogue
from store.reader import SqliteHistory
from sysmon.clock import SystemClock
from sysmon.zones import STEPS
from tests.system.programs import Program, wait_for
from tests.system.sshbox import SshBox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sysmon.records import Usage

pytestmark = [
    pytest.mark.system,
    pytest.mark.needs("vnstat", "vnstatd", "unshare", "nsenter", "ip"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root"),
]

CONFIG = """
DatabaseDir "{folder}/db"
PollInterval 2
UpdateInterval 2
SaveInterval 1
UseLogging 0
CreateDirs 0
UpdateFileOwner 0
DaemonUser ""
DaemonGroup ""
BandwidthDetection 0
MaxBandwidth 1000
"""

LINKS = """
mount -t sysfs sysfs /sys
ip link set lo up
for n in 1 2; do
  ip link add up$n type veth peer name down$n
  ip link set up$n address 02:00:00:00:0$n:01
  ip link set down$n address 02:00:00:00:0$n:02
  # What is sent is what the test sends: no IPv6, and no ARP.
  for i in up$n down$n; do echo 1 >/proc/sys/net/ipv6/conf/$i/disable_ipv6; ip link set $i arp off up; done
  ip addr add 10.98.$n.1/24 dev up$n
  ip neigh add 10.98.$n.2 lladdr 02:00:00:00:0$n:02 dev up$n
done
echo ready
exec sleep 600
"""

SEND = """
import socket, sys
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(int(sys.argv[2])):
    sender.sendto(bytes(1400), (sys.argv[1], 9))
"""
FRAME = 1442
"""Bytes of one of its datagrams on the wire: with the headers of UDP, IPv4 and Ethernet."""


class Place:
    """A namespace with two pairs of interfaces, and a vnStat daemon in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "db").mkdir(parents=True)
        (folder / "bin").mkdir()
        (folder / "vnstat.conf").write_text(CONFIG.format(folder=folder))
        program = folder / "bin" / "vnstat"
        program.write_text(f'#!/bin/sh\nexec /usr/bin/vnstat --config {folder}/vnstat.conf "$@"\n')
        program.chmod(0o755)
        self._keeper = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", LINKS], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        assert self._keeper.stdout is not None
        assert self._keeper.stdout.readline() == b"ready\n"
        self._daemon: subprocess.Popen[bytes] | None = None

    @property
    def inside(self) -> tuple[str, ...]:
        """What is put before a command that runs in there."""
        return ("nsenter", "-t", str(self._keeper.pid), "--net", "--mount")

    def start(self) -> None:
        """Starts the daemon, and waits until it has a database."""
        with (self.folder / "log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [*self.inside, "vnstatd", "-n", "--config", str(self.folder / "vnstat.conf")], stdout=log, stderr=log
            )
        wait_for(lambda: b"Monitoring (4)" in (self.folder / "log").read_bytes())

    def send(self, number: int, count: int) -> None:
        """Sends datagrams out of an interface, and so into its peer."""
        subprocess.run([*self.inside, sys.executable, "-c", SEND, f"10.98.{number}.2", str(count)], check=True)

    def counters(self) -> dict[str, tuple[int, int]]:
        """What the kernel has counted: interface -> received, sent."""
        text = subprocess.run([*self.inside, "cat", "/proc/net/dev"], check=True, capture_output=True, text=True).stdout
        lines = (line.partition(":") for line in text.splitlines() if ":" in line)
        return {name.strip(): (int(rest.split()[0]), int(rest.split()[8])) for name, _, rest in lines}

    def saved(self) -> dict[str, Any]:
        """What vnStat says by itself."""
        found: dict[str, Any] = json.loads(subprocess.check_output([self.folder / "bin/vnstat", "--json"]))
        return found

    def totals(self) -> dict[str, tuple[int, int]]:
        """What it counted in all: interface -> received, sent."""
        each = {found["name"]: found["traffic"]["total"] for found in self.saved()["interfaces"]}
        return {name: (total["rx"], total["tx"]) for name, total in each.items()}

    def write_down(self) -> dict[str, tuple[int, int]]:
        """Has the daemon write down all that went through, and returns it."""
        daemon = self._daemon
        assert daemon is not None
        real = {name: found for name, found in self.counters().items() if name != "lo"}

        def done() -> bool:
            daemon.send_signal(signal.SIGHUP)
            time.sleep(0.1)
            return self.totals() == real

        wait_for(done, 15)
        return real

    def stop(self) -> None:
        """Ends all of it."""
        for process in (self._daemon, self._keeper):
            if process is not None:
                process.terminate()
                process.wait(10)
        assert self._keeper.stdout is not None
        self._keeper.stdout.close()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A place whose vnStat is the one on PATH."""
    made = Place(tmp_path / "vnstat")
    monkeypatch.setenv("PATH", f"{made.folder}/bin{os.pathsep}{os.environ['PATH']}")
    try:
        yield made
    finally:
        made.stop()


def used(database: Path, step: str = "year", host: str | None = None) -> list[Usage]:
    """What a history knows to have gone through the interfaces of this machine."""

    async def ask() -> list[Usage]:
        history = SqliteHistory.open(database, catalogue(), clock=SystemClock())
        try:
            here = host or machine_host_id(Roots()) or (await history.hosts())[0].id
            found = await history.usage(here, 0, SystemClock().now() + 1000, step)
            return [each for each in found if each.key.startswith("net.") and not each.key.endswith(":lo")]
        finally:
            await history.close()

    return asyncio.run(ask())


def sums(usages: list[Usage]) -> dict[str, tuple[int, int]]:
    """Interface -> received, sent; those without traffic are missing."""
    found: dict[str, list[int]] = {}
    for each in usages:
        way, _, name = each.key.partition(":")
        found.setdefault(name, [0, 0])[way == "net.transmit"] += each.bytes
    return {name: (received, sent) for name, (received, sent) in sorted(found.items())}


def nonzero(counted: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Leaves out interfaces that nothing went through."""
    return {name: each for name, each in sorted(counted.items()) if any(each)}


def test_what_vnstat_counted_before_is_there_to_the_byte_and_nothing_counts_twice(place: Place, tmp_path: Path) -> None:
    # What vnStat sees at its next look may lie in its next five minutes, which docs/vnstat.md owns up to.
    left = 300 - time.time() % 300
    if left < 40:
        time.sleep(left)
    place.start()
    place.send(1, 2000)
    place.send(2, 300)
    before = place.write_down()
    assert before == {
        "up1": (0, 2000 * FRAME),
        "down1": (2000 * FRAME, 0),
        "up2": (0, 300 * FRAME),
        "down2": (300 * FRAME, 0),
    }
    agent = Program(
        tmp_path / "agent",
        *("--agent", "--listen", "127.0.0.1", "--port", "0"),
        config="[collectors.vnstat]\ninterval = 2\n",
        inside=place.inside,
    )
    agent.start()
    try:
        wait_for(lambda: agent.database.exists() and sums(used(agent.database)) == nonzero(before), 20)
        # In the same five minutes both see what goes through now, and it is brought once more how vnStat sees them.
        place.send(1, 700)
        both = place.write_down()
        written = time.time() * 1000
        assert both["up1"] == (0, 2700 * FRAME)
        wait_for(lambda: asked(agent) > written + 1000 * (SLACK + LOOK), 20)
        wait_for(lambda: sums(used(agent.database)) == nonzero(both), 20)
        for step in STEPS:
            assert sums(used(agent.database, step)) == nonzero(both), step
    finally:
        assert agent.stop() == 0
    assert sums(used(agent.database)) == nonzero(both)


def asked(agent: Program) -> int:
    """When vnStat was asked last, as far as it is recorded."""
    return max((frame.time for frame in agent.kept().values() if "vnstat" in frame.reads), default=0)


def test_a_daemon_that_never_ran_and_one_that_counted_nothing_yet_are_told_in_words(
    place: Place, tmp_path: Path
) -> None:
    def doctor() -> dict[str, Any]:
        made = Program(tmp_path / "doctor")
        said = subprocess.run(
            [*place.inside, sys.executable, "-m", "sysmon", "doctor", "--json"],
            env=made.environment,
            capture_output=True,
            check=False,
        )
        found: dict[str, Any] = next(each for each in json.loads(said.stdout)["collectors"] if each["name"] == "vnstat")
        return found

    (fault,) = doctor()["faults"]
    assert fault["kind"] == "no_data" and "its daemon never ran" in fault["message"] and fault["hint"]
    place.start()
    (fault,) = doctor()["faults"]
    assert fault["message"] == "vnStat counted nothing yet" and "five minutes" in fault["hint"]
    place.send(1, 10)
    place.write_down()
    said = doctor()
    assert said["faults"] == [] and said["series"] == 6 and said["read"]


@pytest.mark.needs("sshd", "ssh", "ssh-keygen")
def test_of_a_box_without_a_sysmon_it_is_taken_in_over_ssh(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.start()
    place.send(1, 50)
    counted = place.write_down()
    box = SshBox(tmp_path / "box", monkeypatch.setenv)
    box.start(f"SetEnv PATH={os.environ['PATH']}")
    hub = Program(
        tmp_path / "hub",
        *("--record", "--listen", "127.0.0.1", "--port", "0"),
        config=f'[collectors.vnstat]\nenabled = false\n[hosts.box]\ntarget = "{box.target}"\n',
    )
    hub.start()
    try:
        wait_for(lambda: hub.database.exists() and sums(used(hub.database)).items() >= nonzero(counted).items(), 20)
        ages = [found for frame in hub.kept().values() if (found := frame.readings.get("vnstat.age")) is not None]
        assert ages and 0 <= ages[0] < 60
    finally:
        hub.stop()
        box.stop()
