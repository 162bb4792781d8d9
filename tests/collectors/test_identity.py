import hashlib
import hmac
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.base import Roots
from collectors.identity import (
    ID_FILE,
    boot_id,
    cpu_model,
    host_id,
    identify,
    machine_host_id,
    parse_os_release,
    stored_host_id,
    timezone,
    virtualization,
)
from tests.collectors.trees import FIXTURES, contain, put, tree

MACHINE_ID = (FIXTURES / "vm-quiet/etc/machine-id").read_text()


def test_id_is_keyed_and_does_not_tell_the_machine_id(tmp_path: Path) -> None:
    identity = identify(tree("vm-quiet"), tmp_path)
    wanted = hmac.new(b"sysmon", MACHINE_ID.strip().encode(), hashlib.sha256).hexdigest()[:16]
    assert identity.host == wanted == host_id(MACHINE_ID.upper())
    assert identity.host not in MACHINE_ID
    assert identity.boot == "a5068588-2f55-48ed-81a2-e4536056d98d"
    assert identity.faults == ()
    assert not (tmp_path / ID_FILE).exists()


@pytest.mark.parametrize("text", ["", "\n", "uninitialized\n", "0" * 32, "abc", "g" * 32, MACHINE_ID.strip() + "ff"])
def test_unusable_machine_ids(text: str) -> None:
    assert host_id(text) is None


def test_dbus_has_one_too(tmp_path: Path) -> None:
    put(tmp_path, "etc/machine-id", "uninitialized\n")
    put(tmp_path, "var/lib/dbus/machine-id", MACHINE_ID)
    assert machine_host_id(Roots(base=tmp_path, live=False)) == host_id(MACHINE_ID)


def test_random_id_is_kept(tmp_path: Path) -> None:
    empty = Roots(base=tmp_path / "root", live=False)
    first, second = identify(empty, tmp_path / "a/b"), identify(empty, tmp_path / "a/b")
    assert first.host == second.host and len(first.host) == 16
    assert first.faults == second.faults == ()
    assert (tmp_path / "a/b" / ID_FILE).stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path / "a/b") == [ID_FILE]
    assert identify(empty, tmp_path / "other").host != first.host


def test_spoilt_id_file_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / ID_FILE).write_text("not an id\n")
    found, fault = stored_host_id(tmp_path)
    assert fault is None
    assert (tmp_path / ID_FILE).read_text() == found + "\n"


def test_id_that_cannot_be_kept_is_a_fault(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    identity = identify(Roots(base=tmp_path / "root", live=False), blocked / "state")
    assert len(identity.host) == 16
    assert "machine-id" in identity.faults[0].message and identity.faults[0].hint


def test_host_is_described() -> None:
    info = identify(tree("vm-quiet"), Path("/nonexistent"), version="1.2").info
    assert info.os == "Debian GNU/Linux 12 (bookworm)"
    assert info.hostname == (FIXTURES / "vm-quiet/proc/sys/kernel/hostname").read_text().strip()
    assert info.kernel.startswith("6.1.")
    assert info.cpu_model == "QEMU TCG CPU version 2.5+"
    assert (info.cpus, info.memory) == (2, 981428 * 1024)
    assert (info.virtualization, info.container, info.version) == ("qemu", "", "1.2")


def test_container_is_described_by_its_limits(tmp_path: Path) -> None:
    info = identify(contain(tmp_path, "vm-load-t0", "hog.service"), tmp_path / "state").info
    assert (info.cpus, info.memory, info.container) == (1, 419430400, "docker")


def test_this_host(tmp_path: Path) -> None:
    info = identify(Roots(), tmp_path).info
    assert info.hostname and info.kernel and info.arch and info.timezone
    assert info.cpus == os.cpu_count() and info.memory > 0


def test_boot_id_without_the_kernels_is_stable(tmp_path: Path) -> None:
    put(tmp_path, "proc/stat", "cpu 1 2 3 4\nbtime 1795250594\n")
    roots = Roots(base=tmp_path, live=False)
    first = boot_id(roots)
    assert first == boot_id(roots) and len(first) == 32
    put(tmp_path, "proc/stat", "cpu 1 2 3 4\nbtime 1795259999\n")
    assert boot_id(roots) != first


def test_time_zone(tmp_path: Path) -> None:
    roots = Roots(base=tmp_path, live=False)
    put(tmp_path, "etc/timezone", "Europe/Berlin\n")
    assert timezone(roots) == "Europe/Berlin"
    (tmp_path / "etc/localtime").symlink_to("../usr/share/zoneinfo/America/Argentina/Buenos_Aires")
    assert timezone(roots) == "America/Argentina/Buenos_Aires"


def test_virtual_machines(tmp_path: Path) -> None:
    roots = Roots(base=tmp_path, live=False)
    assert virtualization(roots) == ""
    put(tmp_path, "proc/cpuinfo", "flags\t: fpu hypervisor lm\n")
    assert virtualization(roots) == "vm"
    put(tmp_path, "sys/class/dmi/id/sys_vendor", "Microsoft Corporation\n")
    put(tmp_path, "sys/class/dmi/id/product_name", "Surface Laptop\n")
    assert virtualization(roots) == "vm"
    put(tmp_path, "sys/class/dmi/id/product_name", "Virtual Machine\n")
    assert virtualization(roots) == "hyper-v"
    put(tmp_path, "proc/sys/kernel/osrelease", "5.15.90.1-microsoft-standard-WSL2\n")
    assert virtualization(roots) == "wsl"


def test_processors_names() -> None:
    assert cpu_model("processor : 0\nmodel : 44\nmodel name : Intel(R)   Xeon(R)\n") == "Intel(R) Xeon(R)"
    assert cpu_model("processor : 0\nBogoMIPS : 1\nModel : Raspberry Pi 4\n") == "Raspberry Pi 4"
    assert cpu_model("processor : 0\ncpu : POWER9\n") == "POWER9"
    assert cpu_model("") == ""


def test_os_release_quoting() -> None:
    assert parse_os_release('# a\nNAME="a \\"b\\" \\$c"\nID=\'x y\'\nPLAIN=z\nBAD\n') == {
        "NAME": 'a "b" $c',
        "ID": "x y",
        "PLAIN": "z",
    }


@given(st.text())
def test_any_text_names_something_or_nothing(text: str) -> None:
    assert all(isinstance(value, str) for value in parse_os_release(text).values())
    assert "\x1b" not in cpu_model(text)
    assert host_id(text) is None or len(text.strip()) == 32
