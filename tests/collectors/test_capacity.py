from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors._cgroups import parse_cgroups, parse_cpu_list, parse_cpu_max, parse_flat, parse_limit, parse_mounts
from collectors.base import Roots
from collectors.capacity import FIRST_PID_NAMESPACE, Cgroup, container_cgroup, container_kind
from sysmon.errors import MalformedInput
from tests.collectors.hostile import mangled
from tests.collectors.trees import CGROUP2, FIXTURES, contain, copied, put

CPU_STAT = (FIXTURES / "vm-load-t0/sys/fs/cgroup/system.slice/hog.service/cpu.stat").read_text()
MOUNTS = (FIXTURES / "host-hybrid/proc/self/mountinfo").read_text()


@pytest.mark.parametrize(
    ("file", "text", "kind"),
    [
        (".dockerenv", "", "docker"),
        ("run/.containerenv", "", "podman"),
        ("run/systemd/container", "lxc\n", "lxc"),
        ("run/systemd/container", "systemd-nspawn", "systemd-nspawn"),
        ("run/secrets/kubernetes.io/serviceaccount/token", "x", "kubernetes"),
        ("proc/1/environ", "PATH=/bin\0container=oci\0", "oci"),
        ("proc/1/cgroup", "4:memory:/docker/9f1c\n", "docker"),
        ("proc/1/cgroup", "0::/kubepods.slice/pod1\n", "kubernetes"),
        ("proc/1/cgroup", "0::/init.scope\n", ""),
        ("proc/1/cgroup", "0::/system.slice/sysmon.service\n", ""),
        ("etc/hostname", "plain", ""),
    ],
)
def test_kinds_of_containers(tmp_path: Path, file: str, text: str, kind: str) -> None:
    put(tmp_path, file, text)
    assert container_kind(Roots(base=tmp_path, live=False)) == kind


def test_process_with_the_hosts_pids_looks_at_the_host(tmp_path: Path) -> None:
    put(tmp_path, ".dockerenv", "")
    put(tmp_path, "proc/self/ns/net", "")
    (tmp_path / "proc/self/ns/pid").symlink_to("pid:[4026532201]")
    assert container_kind(Roots(base=tmp_path, live=False)) == "docker"
    (tmp_path / "proc/self/ns/pid").unlink()
    (tmp_path / "proc/self/ns/pid").symlink_to(FIRST_PID_NAMESPACE)
    assert container_kind(Roots(base=tmp_path, live=False)) == ""
    assert container_cgroup(Roots(base=tmp_path, live=False)) is None


def test_version_1_seen_from_outside_its_namespace(tmp_path: Path) -> None:
    roots = copied("host-hybrid", tmp_path)
    put(tmp_path, "proc/1/cgroup", "4:memory:/capdemo\n2:cpuacct:/capdemo\n1:cpu:/capdemo\n0::/\n")
    put(tmp_path, "sys/fs/cgroup/cpuacct/capdemo/cpuacct.usage", "7000000000\n")
    put(tmp_path, "sys/fs/cgroup/cpuacct/capdemo/cpuacct.stat", "user 500\nsystem 190\n")
    group = Cgroup(roots)
    assert group.cpu_limit() == pytest.approx(0.2)
    usage = group.cpu_usage()
    assert usage is not None
    assert (usage.total, usage.user, usage.system) == (7.0, 5.0, 1.9)
    assert (usage.periods, usage.throttled_periods, usage.throttled) == (395, 390, 27.19819098)
    assert group.memory_limit() == 64 << 20
    memory = group.memory_usage()
    assert memory is not None
    assert 0 < memory.used <= memory.current <= 64 << 20
    assert memory.oom_kills == 0
    assert group.pressure("cpu") is None


def test_version_1_mount_that_begins_at_the_container(tmp_path: Path) -> None:
    put(tmp_path, "proc/1/cgroup", "4:memory:/docker/9f1c\n")
    put(tmp_path, "proc/self/mountinfo", "35 31 0:32 /docker/9f1c /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n")
    put(tmp_path, "sys/fs/cgroup/memory/memory.limit_in_bytes", "1048576\n")
    put(tmp_path, "sys/fs/cgroup/memory/memory.usage_in_bytes", "4096\n")
    group = Cgroup(Roots(base=tmp_path, live=False))
    assert group.memory_limit() == 1048576
    assert group.cpu_limit() is None and group.cpu_usage() is None


def test_the_least_limit_of_all_ancestors_holds(tmp_path: Path) -> None:
    put(tmp_path, "proc/1/cgroup", "0::/pod/box/init.scope\n")
    put(tmp_path, "proc/self/mountinfo", CGROUP2)
    put(tmp_path, "sys/fs/cgroup/pod/memory.max", "1000\n")
    put(tmp_path, "sys/fs/cgroup/pod/cpu.max", "50000 100000\n")
    put(tmp_path, "sys/fs/cgroup/pod/box/memory.max", "max\n")
    put(tmp_path, "sys/fs/cgroup/pod/box/cpu.max", "200000 100000\n")
    group = Cgroup(Roots(base=tmp_path, live=False))
    assert group.memory_limit() == 1000
    assert group.cpu_limit() == 0.5


def test_cpuset_is_a_limit(tmp_path: Path) -> None:
    roots = contain(tmp_path, "vm-load-t0", "hog.service")
    put(tmp_path, "sys/fs/cgroup/cpu.max", "max 100000\n")
    put(tmp_path, "sys/fs/cgroup/cpuset.cpus.effective", "1,4-5\n")
    assert Cgroup(roots).cpu_limit() == 3.0


def test_path_out_of_the_mount_is_not_followed(tmp_path: Path) -> None:
    put(tmp_path, "proc/1/cgroup", "0::/../../../outside\n")
    put(tmp_path, "proc/self/mountinfo", CGROUP2)
    put(tmp_path, "outside/memory.max", "1\n")
    put(tmp_path, "sys/fs/cgroup/memory.max", "77\n")
    assert Cgroup(Roots(base=tmp_path, live=False)).memory_limit() == 77


def test_small_parsers() -> None:
    assert parse_cpu_max("max 100000\n", "") is None
    assert parse_limit("9223372036854771712\n", "") is None
    assert parse_cpu_list("0-3,8,10-11\n", "") == 7
    assert parse_cgroups("3:cpu,cpuacct:/a:b\n0::/\n") == {"cpu": "/a:b", "cpuacct": "/a:b", "": "/"}
    assert {mount.folder for mount in parse_mounts(MOUNTS)} >= {"/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"}


@given(mangled(CPU_STAT))
def test_any_flat_file_gives_numbers_or_malformed_input(text: str) -> None:
    try:
        assert all(0 <= value < 1 << 63 for value in parse_flat(text, "cpu.stat").values())
    except MalformedInput:
        pass


@given(st.one_of(st.text(), mangled("20000 100000\n"), mangled("0-3,8\n")))
def test_any_limit_gives_a_number_or_malformed_input(text: str) -> None:
    for parse in (parse_cpu_max, parse_limit, parse_cpu_list):
        try:
            found = parse(text, "cpu.max")
        except MalformedInput:
            continue
        assert found is None or found >= 0


@given(mangled(MOUNTS))
def test_any_mountinfo_gives_mounts(text: str) -> None:
    assert all(mount.folder for mount in parse_mounts(text))


@given(mangled("3:cpu,cpuacct:/a\n0::/\n"))
def test_any_cgroup_file_gives_groups_or_malformed_input(text: str) -> None:
    try:
        assert all(group.startswith("/") for group in parse_cgroups(text).values())
    except MalformedInput:
        pass
