"""A mount whose server is gone: real FUSE, real child processes, in a mount namespace of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.system,
    pytest.mark.needs("unshare"),
    pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting needs root"),
    pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="this kernel has no FUSE"),
]

READER = """
import json, os, signal, sys, threading, time
from collectors.base import Roots
from collectors.filesystems import FilesystemsCollector

mount = sys.argv[1]
collector = FilesystemsCollector(Roots())
collector.prober.timeout, collector.prober.pauses = 0.2, (0.0, 0.0)
print("started", flush=True)
for command in sys.stdin:
    began = time.monotonic()
    reading = collector.read()
    print(json.dumps({
        "seconds": time.monotonic() - began,
        "root": "fs.size:/" in reading.values,
        "size": reading.values.get("fs.size:" + mount),
        "faults": [[fault.kind, fault.message] for fault in reading.faults],
        "children": [child.pid for child in collector.prober._children] + list(collector.prober._gone),
    }), flush=True)
"""


class Peer:
    """A process that is talked to by lines."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def read(self) -> dict[str, object]:
        assert self.process.stdin is not None
        self.process.stdin.write("read\n")
        self.process.stdin.flush()
        found = json.loads(self.line())
        assert isinstance(found, dict)
        return found

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def close(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            return self.process.wait(10)
        finally:
            self.process.stdout.close()


@contextlib.contextmanager
def hanging(folder: Path) -> Iterator[tuple[Peer, Peer]]:
    """A hanging mount and a reader in one mount namespace; `exec` keeps their process ids."""
    folder.mkdir()
    server = Path(__file__).with_name("hangfs.py")
    daemon = Peer("unshare", "-m", "--propagation", "private", sys.executable, str(server), str(folder))
    reader = None
    try:
        line = daemon.line()
        if line != "ready":
            pytest.skip("FUSE cannot be mounted here")
        enter = ("nsenter", f"--mount=/proc/{daemon.process.pid}/ns/mnt", f"--wd={Path.cwd()}")
        reader = Peer(*enter, sys.executable, "-c", READER, str(folder))
        assert reader.line() == "started"
        yield daemon, reader
    finally:
        # The mount goes first: who hangs in it can end only then.
        with contextlib.suppress(ProcessLookupError):
            daemon.signal(signal.SIGKILL)
        daemon.close()
        if reader is not None:
            with contextlib.suppress(ProcessLookupError):
                reader.signal(signal.SIGKILL)
            reader.close()


def test_a_dead_mount_holds_up_neither_reads_nor_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "dead"
    with hanging(folder) as (daemon, reader):
        first = reader.read()
        assert daemon.line() == "asked"
        assert isinstance(first["seconds"], float)
        assert first["seconds"] < 2
        assert first["root"], "local filesystems are read all the same"
        assert first["size"] is None
        assert [kind for kind, _ in first["faults"]] == ["timeout"]  # type: ignore[attr-defined]
        assert str(folder) in str(first["faults"])
        # The child is given up; it lives on in the kernel, so the mount is not asked a second time.
        second, third = reader.read(), reader.read()
        for each in (second, third):
            assert isinstance(each["seconds"], float)
            assert each["seconds"] < 0.4
            assert each["root"]
            assert [kind for kind, _ in each["faults"]] == ["timeout"]  # type: ignore[attr-defined]
        # The reader ends at once, though its child hangs.
        assert reader.close() == 0
        assert daemon.process.poll() is None


def test_a_mount_that_comes_back_is_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "back"
    with hanging(folder) as (daemon, reader):
        assert reader.read()["size"] is None
        assert daemon.line() == "asked"
        reader.read()
        daemon.signal(signal.SIGUSR1)
        for _ in range(100):
            found = reader.read()
            if found["size"] is not None:
                break
        assert found["size"] == 1000 * 4096
        assert found["faults"] == []


def test_the_end_of_the_server_is_a_fault_with_its_reason(tmp_path: Path) -> None:
    folder = tmp_path / "ended"
    with hanging(folder) as (daemon, reader):
        assert reader.read()["size"] is None
        daemon.signal(signal.SIGKILL)
        daemon.process.wait(10)
        for _ in range(100):
            faults = reader.read()["faults"]
            if faults and faults[0][0] == "failed":  # type: ignore[index]
                break
        # Who waits is told that the connection was aborted, who asks later that there is none.
        assert "abort" in str(faults) or "not connected" in str(faults)
