"""What links were made as: the kernel's own answers, for links that look all alike in /sys."""

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors import _linkkinds
from collectors._linkkinds import parse, read

linux = pytest.mark.skipif(sys.platform != "linux", reason="rtnetlink is Linux's")

LINKS = """
mount -t sysfs sysfs /sys || exit 77
ip link set lo up
unshare --net sleep 60 &
sleeper=$!
# Until it has its own namespace.
while [ "$(readlink /proc/$sleeper/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do :; done
ip link add eth0 index 109 type veth peer name eth0 index 109 netns $sleeper
ip link add pair type veth peer name other
ip link add nothing type dummy 2>/dev/null
ip link add switch type bridge
ip link add link pair name pair.7 type vlan id 7 2>/dev/null
ip link add far type vxlan id 5 dstport 4789 2>/dev/null
ip tuntap add tap9 mode tap 2>/dev/null
"$1" -c "$2"
status=$?
kill $sleeper
exit $status
"""
PROGRAM = """
import json, socket
from collectors._interfaces import Addresses, Details, kind_of
from collectors.base import Roots
indexes = {name: index for index, name in socket.if_nameindex()}
rows = Details(Roots()).rows(indexes, Addresses(Roots()))
print(json.dumps([{row.name: row.kind for row in rows}, kind_of("/sys/class/net/eth0")]))
"""


@linux
@pytest.mark.skipif(os.geteuid() != 0, reason="makes links in a namespace of its own")
@pytest.mark.needs("unshare", "ip")
def test_links_are_what_they_were_made_as_whatever_sysfs_tells() -> None:
    done = subprocess.run(
        ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", LINKS, "sh", sys.executable, PROGRAM],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if done.returncode == 77:
        pytest.skip(f"may not mount here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    kinds, guessed = json.loads(done.stdout)
    assert guessed == "virtual", "its other end has the same index in another namespace"
    expected = {"eth0": "veth", "pair": "veth", "other": "veth", "switch": "bridge"}
    assert {name: kinds[name] for name in expected} == expected
    assert kinds["lo"] == "loopback"
    # Kernels without these make none.
    for name, kind in (("nothing", "virtual"), ("pair.7", "vlan"), ("far", "tunnel"), ("tap9", "virtual")):
        assert kinds.get(name, kind) == kind


@linux
def test_a_link_of_another_name_or_none_at_all_tells_nothing() -> None:
    assert read([("none-of-this-name", 1), ("lo", 2_000_000_000), ("", 0)]) == {}


def test_without_netlink_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_linkkinds, "AF_NETLINK", 9999)
    assert read([("lo", 1)]) == {}


@given(st.binary())
def test_any_answer_is_read(answer: bytes) -> None:
    name, made = parse(answer)
    assert isinstance(name + made, str)
