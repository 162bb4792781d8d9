"""Peers that lie: whatever they send is a status with its reason and a longer wait, never a crash."""

from __future__ import annotations

import asyncio
import zlib

import pytest

from remote import wire
from remote.client.source import AgentSource
from remote.liveness import Patience
from sysmon.records import Status
from tests.remote.peers import FAST, QUICK, chunked, hello, peer, send, watching
from tests.remote.support import OTHER, frame

pytestmark = pytest.mark.anyio

GOOD = frame(1, intervals=FAST)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<html>",
            "answers text/html where text/event-stream is due",
        ),
        (
            b"HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 4\r\n\r\nnope",
            "answers HTTP 404; is that a sysmon?",
        ),
        (
            b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest\r\ncontent-length: 0\r\n\r\n",
            "redirects to '169.254.169.254', which is not followed",
        ),
        (
            b'HTTP/1.1 401 Unauthorized\r\ncontent-length: 45\r\n\r\n{"error":"a token is \\u001bwanted","hint":""}\n',
            "a token is \ufffdwanted",
        ),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"x-filler: " + b"y" * 300_000, "does not speak HTTP"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-type: text/event-stream\r\n\r\nxx",
            "content-encoding br",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-type: text/event-stream\r\n\r\nnot gzip",
            "compressed answer",
        ),
        (chunked(b"event: frame\ndata: {}\n\n"), "does not begin with hello"),
        (chunked(b"event: hello\ndata: {\n\n"), "hello: "),
        (chunked(b"event: hello\ndata: " + b"[" * 100_000 + b"\n\n"), "hello: "),
        (
            chunked(hello(schema=2)),
            "it speaks wire format 2, this sysmon knows 1; it is newer: update sysmon on this machine",
        ),
        (chunked(hello(), wire.encode_event(frame(1, host=OTHER), "x-1")), "is not a host that this server announced"),
        (chunked(hello(), b'event: frame\ndata: {"host": 5}\n\n'), "Expected `str`, got `int` - at `$.host`"),
        (
            chunked(hello(), wire.encode_event(frame(5)), wire.encode_event(frame(6, monotonic=5, reads={}))),
            "is older than frame 5",
        ),
        (chunked(hello(), b"event: frame\nid: " + b"x" * 5000 + b"\ndata: {}\n\n"), "a name of 5000 bytes is longer"),
        (chunked(hello(), *[wire.encode_event(GOOD)] * 1100), "are repeated that were there before"),
    ],
)
async def test_a_lying_peer_is_a_status_never_a_crash(answer: bytes, words: str) -> None:
    calls = 0

    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        await send(writer, answer)

    async with peer(lie) as url, watching(AgentSource(url, patience=QUICK)) as seen:
        await seen.until(lambda: any(words in status.message for status in seen.of(Status) if status.message))
        status = next(status for status in seen.of(Status) if status.message and words in status.message)
        assert status.state in ("late", "offline", "stale")
        assert status.message.isprintable()
        await seen.until(lambda: calls >= 2)


async def test_misbehaviour_is_met_with_growing_patience_even_when_frames_come() -> None:
    calls: list[float] = []

    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(asyncio.get_running_loop().time())
        await send(writer, chunked(hello(), wire.encode_event(frame(len(calls))), b"event: gap\ndata: x\n\n"))

    patience = Patience(first=0.05, most=10.0, tick=0.05)
    async with peer(lie) as url, watching(AgentSource(url, patience=patience)) as seen:
        await seen.until(lambda: len(seen.frames) >= 3)
        assert seen.source._backoff._offences >= 2
        assert seen.source._backoff._offences == seen.source.faults


@pytest.mark.parametrize(
    ("filling", "words"),
    [(b"0" * 100, "swell to more than"), (b": " + b"0" * 97 + b"\n", "swell to more than")],
)
async def test_a_gzip_bomb_is_given_up_before_it_fills_memory(filling: bytes, words: str) -> None:
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    dense = bomb.compress(hello() + b"event: frame\ndata: ") + bomb.compress(filling * (640 << 10)) + bomb.flush()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n\r\n"

    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await send(writer, head + dense)

    async with peer(lie) as url, watching(AgentSource(url, patience=QUICK)) as seen:
        await seen.until(lambda: any(words in status.message for status in seen.of(Status)))


@pytest.mark.parametrize("trickle", [b"x", b": \n", b""])
async def test_a_peer_that_trickles_without_ever_saying_anything_is_given_up(trickle: bytes) -> None:
    calls = 0

    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        writer.write(chunked(hello()) if trickle != b": \n" else b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(trickle if trickle != b": \n" else b"x-more: y\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)

    patience = Patience(deadline=0.4, head=0.4, first=0.02, most=0.05, tick=0.05, stale=0.3, offline=0.5)
    async with peer(lie) as url, watching(AgentSource(url, patience=patience)) as seen:
        await seen.until(lambda: calls >= 3)
        assert any(
            "silent for 0.4 s" in each.message or "did not answer within" in each.message for each in seen.of(Status)
        )
