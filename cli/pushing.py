"""`sysmon --agent --push`: the agent sends its frames to a hub that cannot reach it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from cli.ownhost import say
from cli.watcher import Watcher
from remote.client.bearer import private
from remote.push import batch
from remote.push.outbox import Outbox
from remote.push.pusher import Pusher
from remote.target import host_target
from sysmon.errors import RemoteError, UsageError
from sysmon.frame import Frame, Tables
from sysmon.version import version

if TYPE_CHECKING:
    import argparse

    from cli.context import Context
    from cli.ownhost import OwnHost
    from cli.recording import Archive
    from cli.serving import Beside
    from cli.station import Station
    from remote.push.pusher import PushStatus
    from remote.server.feed import Feed
    from remote.target import Target
    from sysmon.config import PushSettings
    from sysmon.ports import History, Recorder
    from sysmon.records import Update

VARIABLE = "SYSMON_PUSH_TOKEN"
"""Environment variable with the token to show to the hub."""
CREDENTIAL = "push-token"
"""The same, as a credential of systemd's LoadCredential=."""
DEADLINE = 45.0
"""Seconds in which a report must be answered: the hub waits up to 20 s for its turn and 20 s for its history."""


def pushing(context: Context, options: argparse.Namespace) -> list[Beside]:
    """Returns what pushes beside the agent, as the command line or `[push]` want it; errors are those of
    `push_settings`.
    """
    settings = push_settings(context, options)
    if settings is None:
        return []

    async def beside(station: Station, archive: Archive, own: OwnHost, feed: Feed) -> None:
        await push(context, settings, station, archive, own, feed)

    return [beside]


def push_settings(context: Context, options: argparse.Namespace) -> PushSettings | None:
    """Returns where to push to, from the command line or `[push]`, or None.

    Raises:
        UsageError: the target cannot be one, frames would cross a network unencrypted, or nothing says how to know the
            hub; then its key is shown. RemoteError: to show it, the hub would have to answer.
    """
    settings = context.config.push
    if options.push:
        settings = msgspec.structs.replace(settings, target=options.push)
    if options.push_fingerprint:
        from remote.fingerprint import parse_fingerprint

        settings = msgspec.structs.replace(settings, fingerprint=parse_fingerprint(options.push_fingerprint))
    if not settings.target:
        if options.push_fingerprint:
            raise UsageError("--push-fingerprint goes with --push", "add --push https://HUB:8200")
        return None
    if settings.interval > batch.MAX_INTERVAL:
        raise UsageError(f"[push] interval of {settings.interval:g} s is too long", "allowed is 1s to 1h")
    settings = msgspec.structs.replace(settings, token_file=settings.token_file or _token())
    target = host_target(settings)
    if target.kind != "sysmon":
        raise UsageError(f"--push '{target}' is no hub", "write https://HUB:8200")
    if not private(target):
        raise UsageError(
            f"--push {target} is refused: http:// to another machine is not encrypted",
            f"write {str(target).replace('http://', 'https://', 1)}",
        )
    if target.secure and not settings.fingerprint and not settings.ca:
        asyncio.run(_introduce(target))
    return settings


def _token() -> str:
    if os.environ.get(VARIABLE):
        return f"${VARIABLE}"
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    return f"$CREDENTIALS_DIRECTORY/{CREDENTIAL}" if folder and Path(folder, CREDENTIAL).exists() else ""


async def _introduce(target: Target) -> None:
    """Shows the hub's key; nothing is said to it.

    Raises:
        UsageError: with the key.
    """
    from remote.client.look import look

    try:
        seen = await look(target)
    except RemoteError as error:
        raise UsageError(
            f"--push {target}: nothing says yet by which key to know this hub, and it cannot be asked: {error.message}",
            'set [push] fingerprint = "sha256:…" to what the hub says of its key when it starts',
        ) from None
    raise UsageError(
        f"--push {target}: its key is not known here yet.\n  {seen.fingerprint}\n  in words: {seen.words}"
        f"{chr(10) + '  certificate: ' + seen.certificate if seen.certificate else ''}\n"
        "The hub says the same of its key when it starts",
        f"if it does, add --push-fingerprint {seen.fingerprint}, or in config.toml:\n"
        f'[push]\ntarget = "{target}"\nfingerprint = "{seen.fingerprint}"',
    )


class _Tap(Watcher):
    """Gives the frames that a station takes to an outbox; queues nothing."""

    def __init__(self, station: Station, outbox: Outbox) -> None:
        super().__init__(station)
        self._queue.clear()
        self._outbox = outbox

    def put(self, update: Update) -> None:
        """Takes an update."""
        if isinstance(update, Frame):
            self._outbox.take(update)


async def push(
    context: Context, settings: PushSettings, station: Station, archive: Archive, own: OwnHost, feed: Feed
) -> None:
    """Pushes this host's frames until cancelled, and says on stderr how that goes, once per change."""
    # Not httpx: a pushing agent is to stay as small as another.
    from remote.client.lean import Endpoint

    def kept() -> tuple[Recorder | None, History | None]:
        return archive.recorder, archive.history if archive.recorder is not None else None

    def present() -> tuple[Tables, dict[str, int]]:
        state = feed.state(own.id)
        return (Tables(), {}) if state is None else (state.tables, state.reads)

    outbox = Outbox(own.id, kept)
    tap = _Tap(station, outbox)
    station.watchers.add(tap)
    endpoint = Endpoint(host_target(settings))
    teller = _Teller()
    pusher = Pusher(
        str(endpoint.target),
        lambda body: endpoint.post(batch.PATH, body, deadline=DEADLINE, limit=batch.MAX_ANSWER),
        outbox,
        context.clock,
        host=lambda: station.infos.get(own.id) or own.runner.identity.info,
        metrics=lambda: list(station.catalogue),
        run=lambda: own.runner.run,
        boot=own.runner.identity.boot,
        present=present,
        interval=settings.interval,
        version=version(),
        tell=teller.tell,
    )
    feed.push = lambda: pusher.status  # it is another object after every change
    try:
        await pusher.run()
    finally:
        station.watchers.discard(tap)
        await endpoint.close()


class _Teller:
    """Says how pushing goes, once per change; that a few frames are still on their way is none."""

    def __init__(self) -> None:
        self._told = ""

    def tell(self, status: PushStatus) -> None:
        """Takes the present status."""
        well = status.state in ("pushing", "filling") and not status.problem
        key = "" if well else f"{status.state}: {status.problem}"
        first = not self._told
        if not first and key == self._told[1:]:
            return
        self._told = f"={key}"
        say(f"sysmon agent: {status.line()}")
