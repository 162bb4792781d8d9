"""One more command on a box, through a connection that is open already."""

from __future__ import annotations

import asyncio
import contextlib
import os

from remote.ssh.faults import no_client

END_SECONDS = 1.0
"""Seconds for which the end of a command is waited for once its input has ended."""


class Session:
    """A command that runs on a box. Its output is read from a pipe of ours, as the shared connection holds on to the
    other end for as long as anything on the box does.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, output: asyncio.StreamReader, transport: asyncio.BaseTransport
    ) -> None:
        self.output = output
        self._process = process
        self._transport = transport

    @classmethod
    async def open(cls, words: list[str]) -> Session:
        """Starts ssh.

        Args:
            words: its command line.

        Raises:
            SshFault: there is none.
        """
        ours, theirs = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *words,
                stdin=asyncio.subprocess.PIPE,
                stdout=theirs,
                stderr=theirs,
                env=environment(),
                start_new_session=True,
            )
        except OSError:
            os.close(ours)
            raise no_client(words[0]) from None
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        output = asyncio.StreamReader()
        pipe = os.fdopen(ours, "rb", 0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(output), pipe
        )
        return cls(process, output, transport)

    @property
    def status(self) -> int | None:
        """Its exit status, or ssh's; None while it runs."""
        return self._process.returncode

    def write(self, data: bytes) -> None:
        """Sends to its standard input."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended; reading says so
            self._process.stdin.write(data)

    def end_input(self) -> None:
        """Ends its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    async def wait(self) -> int:
        """Waits for its end; returns its status."""
        return await self._process.wait()

    async def close(self) -> None:
        """Ends it by ending its input, and does not wait long for that."""
        self.end_input()
        if self._process.returncode is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_SECONDS):
                    await self._process.wait()
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._transport.close()


def environment() -> dict[str, str]:
    """The environment of ssh: messages in English, and no window that asks for a password."""
    found = {**os.environ, "LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"}
    found.pop("SSH_ASKPASS", None)
    return found
