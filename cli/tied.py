"""`sysmon --agent --tied`: an agent that lives as long as whoever started it holds on to its standard input.

So `sysmon ssh://box` starts one on a box where none runs. It gives way to an agent or recorder that was started there
to stay: it has a socket of another name, and ends as soon as that one answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import sys
from typing import TYPE_CHECKING

from cli.neighbours import SERVICE_SOCKET
from cli.ownhost import say
from sysmon.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from cli.ownhost import OwnHost
    from cli.recording import Archive
    from cli.serving import Beside
    from cli.station import Station
    from remote.server.feed import Feed
    from sysmon.config import Places

SOCKET = "tied.sock"
"""Name of its socket, beside that of an agent that stays."""
SILENT_SECONDS = 90.0
"""Seconds without a byte after which whoever started it is held to be gone, though nobody said so."""
LOOK_SECONDS = 1.0
"""Seconds between looks for an agent that stays."""


def tied(places: Places) -> tuple[Path, list[Beside]]:
    """Returns the socket, and what watches over its end beside the agent.

    Raises:
        UsageError: there is no folder for a socket, or an agent that stays answers already.
    """
    if places.socket is None:
        raise UsageError("--tied: there is no folder for a socket", "set XDG_RUNTIME_DIR")
    stays = list(dict.fromkeys((places.socket, SERVICE_SOCKET)))
    if asyncio.run(_answering(stays)):
        raise UsageError("--tied: an agent or recorder runs here already", "it is enough to speak to that one")

    async def beside(station: Station, archive: Archive, own: OwnHost, feed: Feed) -> None:
        waits = [asyncio.create_task(_input_ends()), asyncio.create_task(_another_comes(stays))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        # As if told to: an end in good order.
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    return places.socket.with_name(SOCKET), [beside]


async def _input_ends() -> None:
    """Returns when standard input ends, or nothing came on it for long."""
    try:
        kind = os.fstat(0).st_mode
    except OSError:
        kind = 0
    if sys.stdin is None or not (stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind) or os.isatty(0)):
        say("sysmon agent: --tied: standard input is held by nobody")
        return
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    with contextlib.suppress(TimeoutError, OSError):
        while True:
            async with asyncio.timeout(SILENT_SECONDS):
                if not await reader.read(4096):
                    return


async def _another_comes(sockets: list[Path]) -> None:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if await _answering(sockets):
            break
    say("sysmon agent: another agent or recorder runs here now; this one ends")


async def _answering(sockets: list[Path]) -> bool:
    """Whether somebody takes connections on one of the sockets."""
    for path in sockets:
        with contextlib.suppress(OSError, TimeoutError):
            if not path.is_socket():
                continue
            async with asyncio.timeout(1.0):
                _, writer = await asyncio.open_unix_connection(str(path))
            writer.transport.abort()
            return True
    return False
