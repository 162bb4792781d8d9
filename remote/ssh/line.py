"""One connection to a box by the system's own `ssh`: starts it, asks the script that runs there, forwards sockets.

The user's configuration, keys, agent, jump hosts and known hosts are ssh's own affair. What is added makes it ask
nobody anything, notice a dead line, and share one connection between all that this user's processes want of the box.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from remote.ssh.faults import SshFault, explain, no_client, silent
from remote.ssh.frames import Answers
from remote.ssh.runtime import control_path, remove
from remote.ssh.script import script
from remote.ssh.session import Session, environment
from sysmon.errors import MalformedInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from remote.ssh.frames import Sample
    from remote.ssh.runtime import Runtime
    from remote.target import Target

PROGRAM = "ssh"
"""What is started; found by PATH."""

COMMAND = "exec sh -s"
"""What the login shell of the box is told: the same in sh, csh and fish. The script itself comes on standard input."""

CONNECT_SECONDS = 10
"""Seconds for which ssh tries one address."""

ALIVE_SECONDS = 5
ALIVE_COUNT = 3
"""A line on which nothing came for `ALIVE_COUNT` times `ALIVE_SECONDS` is dead, says ssh."""

PERSIST_SECONDS = 20
"""Seconds for which the connection stays open for others when the last that used it is gone."""

ERRORS_LIMIT = 16 << 10
"""Bytes of standard error that are kept."""


def arguments(target: Target, control: Path, *, strict: str = "") -> list[str]:
    """Returns the command line of ssh.

    Args:
        target: where to; its base begins with no dash.
        control: the socket of the shared connection.
        strict: a value for StrictHostKeyChecking, where the user's own would let a changed key pass.
    """
    options = [
        "BatchMode=yes",
        *([f"StrictHostKeyChecking={strict}"] if strict else []),
        "ControlMaster=auto",
        f"ControlPath={control}",
        f"ControlPersist={PERSIST_SECONDS}",
        f"ServerAliveInterval={ALIVE_SECONDS}",
        f"ServerAliveCountMax={ALIVE_COUNT}",
        f"ConnectTimeout={CONNECT_SECONDS}",
        "Compression=yes",
        "LogLevel=ERROR",
        # What the user has set up for his own sessions with this host is none of this one's.
        "ClearAllForwardings=yes",
        "ForwardAgent=no",
        "ForwardX11=no",
        "PermitLocalCommand=no",
        "RemoteCommand=none",
    ]
    found = [PROGRAM, "-T", "-a", "-x"]
    for option in options:
        found += ["-o", option]
    if target.port:
        found += ["-p", str(target.port)]
    return [*found, "--", _place(target), COMMAND]


class SshLine:
    """One running ssh with the script behind it.

    Args:
        target: where to.
        runtime: where sockets go.
        commands: that the script may be asked for beside files; see `remote.ssh.script.script`.
    """

    def __init__(self, target: Target, runtime: Runtime, commands: Mapping[str, str] | None = None) -> None:
        self.target = target
        self._commands = commands
        self.received = 0
        self._runtime = runtime
        self._process: asyncio.subprocess.Process | None = None
        self._answers = Answers("")
        self._errors = bytearray()
        self._reading: asyncio.Task[None] | None = None
        self._control = Path()
        self._forwards: list[tuple[Path, str]] = []
        self._token = 0
        self._waiting: list[Sample] = []

    async def open(self, seconds: float) -> None:
        """Connects, and returns when the script has begun.

        Raises:
            SshFault: it cannot; says why.
        """
        boundary = f"={secrets.token_hex(16)}"
        self._answers = Answers(boundary)
        try:
            async with asyncio.timeout(seconds):
                await self._start()
                self._write(script(boundary, self._commands).encode())
                while not self._answers.ready:
                    self._waiting += await self._more()
        except TimeoutError:
            fault = silent(self.target, seconds, greeted=False, noise=self._answers.noise)
            await self.close(dead=True)
            raise fault from None
        except BaseException:
            await self.close()
            raise

    async def _start(self) -> None:
        try:
            self._control = control_path(self._runtime.folder(), self.target)
        except OSError as error:
            raise SshFault("config", f"no folder for ssh's sockets: {error}", "set XDG_RUNTIME_DIR") from None
        strict = await self._strictness()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *arguments(self.target, self._control, strict=strict),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment(),
                # No terminal: the Ctrl-C that is meant for the screen is not for ssh, and ssh can ask nobody anything.
                start_new_session=True,
            )
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                raise no_client(PROGRAM) from None
            raise SshFault("no_client", f"`{PROGRAM}` cannot be started: {error.strerror or error}") from None
        self._reading = asyncio.create_task(self._read_errors(self._process), name=f"errors of {self.target}")

    async def _strictness(self) -> str:
        """Returns 'accept-new' where the user's configuration would let a changed host key pass: that never may be."""
        port = ["-p", str(self.target.port)] if self.target.port else []
        status, said = await _run([PROGRAM, "-G", *port, "--", _place(self.target)])
        found = re.search(r"^stricthostkeychecking (\S+)", said, re.M) if status == 0 else None
        return "accept-new" if found and found[1] in ("no", "off", "false") else ""

    async def _read_errors(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while piece := await process.stderr.read(4096):
            self._errors += piece.replace(b"\0", b"")
            del self._errors[:-ERRORS_LIMIT]

    def _write(self, data: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended; reading says why
            self._process.stdin.write(data)

    async def _more(self) -> list[Sample]:
        """Returns the answers that the next piece completes.

        Raises:
            SshFault: ssh has ended. MalformedInput: the box prints too much.
        """
        assert self._process is not None
        assert self._process.stdout is not None
        piece = await self._process.stdout.read(1 << 16)
        if not piece:
            raise await self._ended()
        self.received += len(piece)
        try:
            return list(self._answers.feed(piece))
        except MalformedInput as error:
            raise MalformedInput(f"{self.target}: {error.message}", error.hint) from None

    async def _ended(self) -> SshFault:
        process = self._process
        assert process is not None
        status = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                status = await process.wait()
        if self._reading is not None:
            # A connection kept open for others may hold on to standard error.
            await asyncio.wait({self._reading}, timeout=0.3)
        said = self._errors.decode("utf-8", "replace")
        return explain(self.target, status, said, self._answers.noise, greeted=self._answers.ready)

    async def ask(self, groups: Iterable[str], seconds: float, lines: Iterable[bytes] = ()) -> Sample:
        """Asks the script and returns its answer.

        Args:
            groups: of `remote.ssh.script`.
            seconds: that it may take.
            lines: what the groups want to be told: one of processes for `describe`, mount points and an empty one for
                `sizes`, in this order.

        Raises:
            SshFault: the connection is gone, or the answer did not come in time; the line is closed then.
            MalformedInput: the box prints too much.
        """
        self._token += 1
        token = str(self._token)
        request = " ".join([token, *groups]).encode()
        self._write(b"\n".join([request, *lines, b""]))
        try:
            async with asyncio.timeout(seconds):
                while True:
                    for sample in self._waiting:
                        if sample.token == token:
                            self._waiting = []
                            return sample
                    self._waiting = await self._more()
        except TimeoutError:
            await self.close(dead=True)
            raise silent(self.target, seconds, greeted=True) from None

    async def forward(self, local: Path, remote: str) -> None:
        """Makes a socket here lead to one there, for as long as this line is open.

        Args:
            local: path of the socket to be made.
            remote: path of a socket of the box, or `host:port` as it sees them.

        Raises:
            SshFault: ssh refuses.
        """
        remove(local)
        status, said = await self._control_command("forward", "-L", f"{local}:{remote}")
        if status != 0:
            raise SshFault("forward", f"{self.target}: {remote} cannot be reached: {said.strip()[-200:]}")
        self._forwards.append((local, remote))

    def local_socket(self) -> Path:
        """Returns a path for `forward` that nobody else uses."""
        return self._runtime.forwarded()

    async def _control_command(self, command: str, *more: str) -> tuple[int, str]:
        words = [PROGRAM, "-F", "none", "-o", f"ControlPath={self._control}", "-O", command, *more]
        return await _run([*words, "--", _place(self.target)])

    async def beside(self, command: str) -> Session:
        """Runs another command on the box, through the same connection and never through one of its own.

        Args:
            command: for the login shell.

        Raises:
            SshFault: there is no ssh here.
        """
        words = [PROGRAM, "-F", "none", "-T", "-a", "-x", "-o", f"ControlPath={self._control}"]
        # Where the connection is gone meanwhile, ssh would make one, without what the user has set up for this host.
        words += ["-o", "ControlMaster=no", "-o", "ProxyCommand=false", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"]
        return await Session.open([*words, "--", _place(self.target), command])

    async def cancel_forwards(self) -> None:
        """Takes back what `forward` made."""
        forwards, self._forwards = self._forwards, []
        for local, remote in forwards:
            await self._control_command("cancel", "-L", f"{local}:{remote}")
            remove(local)

    async def close(self, *, dead: bool = False) -> None:
        """Ends ssh and, with its input, what runs on the box.

        Args:
            dead: whether the line does not answer; then the connection is not left to others either.
        """
        process, self._process = self._process, None
        if not dead:
            await self.cancel_forwards()
        elif self._control.name:
            await self._control_command("exit")
        for local, _ in self._forwards:
            remove(local)
        self._forwards = []
        if process is not None:
            if process.stdin is not None:
                process.stdin.close()
            if process.returncode is None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.0 if dead else 1.0):
                        await process.wait()
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = None


def _place(target: Target) -> str:
    if not target.base or target.base.startswith("-"):
        raise SshFault("config", f"'{target}' names no host", "write ssh://USER@HOST")
    return target.base


async def _run(words: list[str], seconds: float = 3.0) -> tuple[int, str]:
    """Runs a short command of ssh that talks to nobody but this machine; returns its status and what it said."""
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment(),
            start_new_session=True,
        )
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise no_client(PROGRAM) from None
        return -1, str(error)
    try:
        async with asyncio.timeout(seconds):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return -1, "no answer"
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    return process.returncode or 0, said.decode("utf-8", "replace")
