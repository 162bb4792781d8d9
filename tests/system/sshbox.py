"""Boxes behind a real sshd on 127.0.0.1: this machine, one of busybox alone, ones that refuse."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cli.context import Context
from cli.sources import open_source
from remote.client.transport import Connections
from sysmon.config import HostSettings
from sysmon.frame import Frame
from sysmon.records import HostInfo, Status
from tests.system.programs import free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cli.sources import Opened
    from sysmon.records import Update

FEW = ("cat", "ls", "sleep", "date", "id", "uname", "df")
"""Applets of a very small box: no grep, stat, head, dd, getconf."""


class SshBox:
    """An sshd of its own, and an `ssh` in front of PATH whose configuration knows it.

    Args:
        folder: for keys and configuration.
        monkeypatch: to put that `ssh` in front.
    """

    def __init__(self, folder: Path, prepend: Callable[[str, str], None]) -> None:
        self.folder = folder
        self.port = free_port()
        self.mark = f"SYSMON_TEST_BOX={self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        for name in ("hostkey", "key", "other"):
            self.make_key(name)
        (folder / "bin").mkdir()
        ssh = shutil.which("ssh") or "/usr/bin/ssh"
        client = folder / "bin" / "ssh"
        client.write_text(
            f'#!/bin/sh\ncase "$*" in *"-F none"*) exec {ssh} "$@" ;; esac\nexec {ssh} -F {folder}/client "$@"\n'
        )
        client.chmod(0o755)
        prepend("PATH", f"{folder}/bin:{os.environ['PATH']}")
        self.authorize()
        self.trust("accept-new")

    def make_key(self, name: str) -> None:
        """Makes a key pair, anew where there was one."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)

    def authorize(self, prefix: str = "") -> None:
        """Lets the client in; `prefix`: options of authorized_keys."""
        path = self.folder / "authorized_keys"
        path.write_text(f"{prefix} {(self.folder / 'key.pub').read_text()}".lstrip())
        path.chmod(0o600)

    def trust(self, strict: str, key: str = "key") -> None:
        """Writes the client's configuration."""
        (self.folder / "client").write_text(
            f"Host *\nIdentityFile {self.folder}/{key}\nIdentitiesOnly yes\nIdentityAgent none\n"
            f"UserKnownHostsFile {self.folder}/known\nGlobalKnownHostsFile none\nStrictHostKeyChecking {strict}\n"
        )

    @property
    def target(self) -> str:
        """Where it is."""
        return f"ssh://root@127.0.0.1:{self.port}"

    def start(self, *lines: str) -> None:
        """Starts it with more lines of configuration, and waits until it listens."""
        sshd = shutil.which("sshd") or "/usr/sbin/sshd"
        environment = [line for line in lines if line.startswith("SetEnv ")]
        config = [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.folder}/hostkey",
            f"AuthorizedKeysFile {self.folder}/authorized_keys",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "UsePAM no",
            "StrictModes no",
            "PidFile none",
            " ".join(["SetEnv", self.mark, *(line[7:] for line in environment)]),
            *(line for line in lines if line not in environment),
        ]
        (self.folder / "config").write_text("\n".join(config) + "\n")
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        self.process = subprocess.Popen([sshd, "-D", "-f", self.folder / "config", "-E", self.folder / "log"])
        wait_for(lambda: "Server listening" in self.log())

    def log(self) -> str:
        """What sshd has said."""
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def stop(self) -> None:
        """Stops it and every session."""
        self.cut()
        if self.process is not None:
            self.process.terminate()
            self.process.wait(5)
            self.process = None
        (self.folder / "log").unlink(missing_ok=True)

    def running(self) -> list[int]:
        """The processes that its sessions run, by the mark in their environment."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    if self.mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found

    def cut(self, number: int = signal.SIGKILL) -> None:
        """Kills the sshd of every connection, or stops it still."""
        for entry in Path("/proc").iterdir():
            try:
                name, _, rest = (entry / "stat").read_text().rpartition(")")
                if self.process is not None and name.endswith("(sshd") and int(rest.split()[1]) == self.process.pid:
                    os.kill(int(entry.name), number)
            except (OSError, IndexError):
                continue


def busybox_root(folder: Path, applets: Iterable[str] = ()) -> str:
    """Makes the root of a box that has nothing but busybox.

    Args:
        folder: to be made.
        applets: with these, dash is the shell and they are all there is: busybox's own shell finds every applet.

    Returns:
        The line of configuration by which an sshd puts its sessions in there.
    """
    for name in ("bin", "proc", "sys", "etc", "dev"):
        (folder / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "/usr/bin/busybox", folder / "bin/busybox")
    for applet in applets or ("sh",):
        (folder / "bin" / applet).symlink_to("busybox")
    if applets:
        shell = shutil.which("dash") or "/bin/dash"
        shutil.copy(shell, folder / "bin/sh")
        for word in subprocess.run(["ldd", shell], capture_output=True, text=True, check=True).stdout.split():
            if word.startswith("/"):
                (folder / word[1:]).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(word, folder / word[1:])
    (folder / "etc/os-release").write_text('NAME="OpenWrt"\nPRETTY_NAME="OpenWrt 23.05.5"\n')
    enter = folder.with_name(f"{folder.name}.enter")
    enter.write_text(
        "#!/bin/sh\n"
        f"mount --bind {folder} {folder} && mount --bind /proc {folder}/proc && mount --rbind /sys {folder}/sys\n"
        f"mount --bind /dev {folder}/dev\n"
        f'exec chroot {folder} /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    enter.chmod(0o755)
    return f"ForceCommand PATH=$PATH:/usr/sbin:/sbin exec unshare -m --propagation private {enter}"


class Watching:
    """What a source says, kept as it comes."""

    def __init__(self, opened: Opened, connections: Connections) -> None:
        self.source, self.past = opened
        self.connections = connections
        self.updates: list[Update] = []
        self._came = asyncio.Event()
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for update in self.source.updates():
            self.updates.append(update)
            self._came.set()

    @property
    def frames(self) -> list[Frame]:
        """The frames so far."""
        return [update for update in self.updates if isinstance(update, Frame)]

    @property
    def statuses(self) -> list[Status]:
        """The statuses so far."""
        return [update for update in self.updates if isinstance(update, Status)]

    @property
    def info(self) -> HostInfo:
        """The host."""
        return next(update for update in reversed(self.updates) if isinstance(update, HostInfo))

    async def until(self, reached: Callable[[], object], seconds: float = 20.0) -> None:
        """Waits for updates until something is so."""
        until = time.monotonic() + seconds
        while not reached():
            self._came.clear()
            left = until - time.monotonic()
            assert left > 0, self.statuses[-3:]
            try:
                async with asyncio.timeout(left):
                    await self._came.wait()
            except TimeoutError:
                continue

    async def close(self) -> None:
        """Ends it."""
        await self.source.close()
        await self.connections.close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def watch(target: str, *, name: str = "box", tables: Iterable[str] = ()) -> Watching:
    """Follows a target as a configured host."""
    connections = Connections()
    context = Context.of_environment()
    return Watching(
        open_source(context, HostSettings(name=name, target=target), connections=connections, tables=tables),
        connections,
    )
