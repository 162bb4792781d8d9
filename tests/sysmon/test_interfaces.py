"""Which interfaces add up: nothing counts twice, and nothing that leaves the host is missed."""

from __future__ import annotations

import pytest

from sysmon.frame import InterfaceRow
from sysmon.interfaces import counted

LO = InterfaceRow(name="lo", kind="loopback", up=True)


def row(name: str, kind: str = "ethernet", **more: object) -> InterfaceRow:
    return InterfaceRow(name=name, kind=kind, up=True, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        pytest.param([LO, row("eth0", physical=True, default_route=True)], ["eth0"], id="plain"),
        pytest.param(
            [
                LO,
                row("eth0", physical=True, master="br0"),
                row("br0", "bridge", lower=["eth0", "veth1"], default_route=True),
                row("veth1", "veth", master="br0"),
                row("docker0", "bridge"),
            ],
            ["eth0"],
            id="bridge",
        ),
        pytest.param(
            [
                row("eth0", physical=True, master="bond0"),
                row("eth1", physical=True, master="bond0"),
                row("bond0", "bond", lower=["eth0", "eth1"]),
                row("bond0.5", "vlan", lower=["bond0"], default_route=True),
            ],
            ["eth0", "eth1"],
            id="vlan on a bond",
        ),
        pytest.param(
            [row("wlan0", "wifi", physical=True), row("wg0", "wireguard", default_route=True), row("tun0", "tunnel")],
            ["wlan0"],
            id="tunnels over Wi-Fi",
        ),
        pytest.param(
            [LO, row("eth0", "veth", default_route=True), row("eth1", "veth")], ["eth0"], id="container of two networks"
        ),
        pytest.param([LO, row("tun0", "tunnel", default_route=True)], ["tun0"], id="nothing but a tunnel"),
        pytest.param([row("eth0"), row("eth0.2", "vlan", lower=["eth0"])], ["eth0"], id="told by an older agent"),
        pytest.param(
            [row("lan1", physical=True, lower=["eth0"]), row("eth0", physical=True)], ["eth0"], id="ports of a switch"
        ),
        pytest.param([LO], [], id="loopback alone"),
        pytest.param([], [], id="nothing"),
    ],
)
def test_counted(rows: list[InterfaceRow], names: list[str]) -> None:
    assert counted(rows) == names
