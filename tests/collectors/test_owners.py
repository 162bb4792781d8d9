"""Containers and units from cgroup paths, as engines and systemd write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors._owners import parse_cgroup, unescape

ID = "62d3afa283ffe8b3166351648f91030d62d3afa283ffe8b3166351648f91030d"
SHORT = ID[:12]
POD = "kubepods-burstable-pod7ad5e7b1_9c1f_4f5e_8d7c_2b6f3f1d8e11.slice"


@pytest.mark.parametrize(
    ("text", "container", "unit"),
    [
        ("0::/\n", "", ""),
        ("0::/init.scope\n", "", "init.scope"),
        ("0::/system.slice/nginx.service\n", "", "nginx.service"),
        ("0::/system.slice/systemd-udevd.service/udev\n", "", "systemd-udevd.service"),
        ("0::/work.slice/work@b\\x20c.service\n", "", "work@b\\x20c.service"),
        ("0::/system.slice/system-getty.slice/getty@tty1.service\n", "", "getty@tty1.service"),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", "", "session-3.scope"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.service\n", "", "x.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", "", "user@1000.service"),
        ("0::/user.slice\n", "", ""),
        (f"0::/system.slice/docker-{ID}.scope\n", SHORT, ""),
        (f"0::/docker/{ID}\n", SHORT, ""),
        (f"0::/docker/{ID}/system.slice/cron.service\n", SHORT, "cron.service"),
        (f"12:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/\n", SHORT, ""),
        (
            f"5:memory:/docker/{ID}\n1:name=systemd:/\n0::/system.slice/containerd.service\n",
            SHORT,
            "containerd.service",
        ),
        (f"0::/machine.slice/libpod-{ID}.scope/container\n", SHORT, ""),
        (
            f"0::/user.slice/user@1000.service/user.slice/libpod-{ID}.scope\n",
            SHORT,
            "user@1000.service",
        ),
        (f"0::/machine.slice/libpod-conmon-{ID}.scope\n", "", f"libpod-conmon-{ID}.scope"),
        (f"0::/libpod_parent/libpod-{ID}\n", SHORT, ""),
        (f"0::/kubepods.slice/kubepods-burstable.slice/{POD}/cri-containerd-{ID}.scope\n", SHORT, ""),
        (f"0::/kubepods.slice/{POD}/crio-{ID}.scope\n", SHORT, ""),
        (f"11:cpu:/kubepods/besteffort/pod7ad5e7b1-9c1f-4f5e-8d7c-2b6f3f1d8e11/{ID}\n", SHORT, ""),
        (f"0::/system.slice/containerd.service/{POD}:cri-containerd:{ID}\n", SHORT, "containerd.service"),
        (f"9:memory:/ecs/cluster/task/{ID}\n", SHORT, ""),
        ("0::/lxc.payload.web/system.slice/ssh.service\n", "web", "ssh.service"),
        ("4:memory:/lxc/web\n", "web", ""),
        ("0::/lxc.monitor.web\n", "", ""),
        ("0::/machine.slice/machine-deb\\x2dbox.scope/payload/system.slice/ssh.service\n", "deb-box", "ssh.service"),
        ("0::/machine.slice/systemd-nspawn@box.service/payload\n", "box", "systemd-nspawn@box.service"),
        ("0::/machine.slice/machine-qemu\\x2d1\\x2dvm.scope\n", "", "machine-qemu\\x2d1\\x2dvm.scope"),
        ("9:name=systemd:/system.slice/ssh.service\n4:memory:/capdemo\n0::/\n", "", "ssh.service"),
        ("8:pids:/capdemo\n4:memory:/capdemo\n0::/\n", "", ""),
        ("0::/../system.slice/a.service\n", "", "a.service"),
        ("", "", ""),
        ("garbage\n::\n0:", "", ""),
    ],
)
def test_paths(text: str, container: str, unit: str) -> None:
    assert parse_cgroup(text) == (container, unit)


@given(st.text(max_size=200) | st.text("/:0\\x2d.abdocker-scopeservice\n", max_size=200))
def test_any_text_gives_names(text: str) -> None:
    for name in parse_cgroup(text):
        assert not name or name in text or name in unescape(text) or "\\x" in text


def test_escapes() -> None:
    assert unescape("a\\x2db") == "a-b"
    assert unescape("gr\\xc3\\xbcn") == "grün"
    assert unescape("bad\\xff") == "bad\\xff"
    assert unescape("\\xzz") == "\\xzz"
