"""A real interface that is deleted and created again: its counters must not seem to go on."""

import os
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.system,
    pytest.mark.needs("unshare", "ip"),
    pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="a network namespace needs root"),
]

PROGRAM = """
import socket, subprocess, time
from collectors.base import Roots
from collectors.network import NetworkCollector
from sysmon.catalogue import Catalogue
from sysmon.derive import State
from sysmon.frame import Frame

collector = NetworkCollector(Roots())
state = State(Catalogue(collector.metrics))
second = 0

def ip(words):
    subprocess.run(["ip", *words.split()], check=True)

def create():
    ip("link add va type veth peer name vb")
    for name in ("va", "vb"):
        ip(f"link set {name} up")
    ip("addr add 10.99.0.1/24 dev va")
    ip("neigh add 10.99.0.2 lladdr 02:00:00:00:00:02 dev va")

def send(packets):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(packets):
            sender.sendto(bytes(1000), ("10.99.0.2", 9))

def tick():
    global second
    second += 1
    reading = collector.read()
    at = second * 10**9
    state.apply(Frame(host="h", boot="b", run="r", seq=second, time=0, monotonic=at, readings=reading.values,
                      reads={"network": at}))
    return reading, state.derived()

ip("link set lo up")
create()
send(10)
tick()
send(10)
reading, rates = tick()
assert rates["net.transmit_rate:va"] >= 10 * 1000, rates
row = next(row for row in reading.tables.interfaces if row.name == "va")
assert (row.kind, row.up, row.speed, row.address) == ("veth", True, None, "10.99.0.1"), row

ip("link del va")
create()
send(100)  # More than before: the counter does not fall.
reading, rates = tick()
assert "net.transmit_rate:va" not in rates, rates
assert "net.receive_rate:vb" not in rates, rates
reading, rates = tick()
assert "net.transmit_rate:va" not in rates, rates
send(5)
reading, rates = tick()
assert 5 * 1000 <= rates["net.transmit_rate:va"] < 100 * 1000, rates
print("done")
"""


STACK = """
import subprocess
from collectors.base import Roots
from collectors.network import NetworkCollector
from sysmon.interfaces import counted

for words in ("add va type veth peer name vb", "add br0 type bridge", "set va master br0", "set va up", "set br0 up"):
    subprocess.run(["ip", "link", *words.split()], check=True)
reading = NetworkCollector(Roots()).read()
rows = {row.name: row for row in reading.tables.interfaces}
assert rows["br0"].lower == ["va"] and rows["va"].master == "br0", rows
assert rows["vb"].state == "down" and not rows["vb"].physical, rows
assert counted(rows.values()) == ["vb"], counted(rows.values())
assert reading.values["net.carrier_changes:va"] >= 1, reading.values
print("done")
"""


def run_in_namespace(program: str) -> None:
    # /sys is that of the machine: what the kernel says of the namespace's interfaces has to be mounted anew.
    script = 'mount -t sysfs none /sys && exec "$@"'
    done = subprocess.run(
        ["unshare", "-n", "-m", "--propagation", "private", "sh", "-c", script, "sh", sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("namespaces are not permitted here")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "done"


def test_a_bridge_tells_what_lies_beneath_it() -> None:
    run_in_namespace(STACK)


def test_no_rate_spans_two_interfaces_of_one_name() -> None:
    run_in_namespace(PROGRAM)
