"""A fleet on loopback: many agents in one process, each on a port of its own, each with a frame a second.

`python -m bench.fleet_load --agents 300 --frames FILE` serves what a real agent of this machine said (FILE, from
`bench.fleet.capture`), grown on tick by tick with other numbers for every host. It speaks the protocol and nothing
more, so that it costs little beside what is measured. The phases of the agents are spread over the second.

Its first line on stdout is JSON with the ports; on SIGTERM it prints which frames each host sent to each reader.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import time
import zlib
from pathlib import Path
from typing import Any

import msgspec

from remote import sse, wire
from sysmon.catalogue import Catalogue
from sysmon.frame import Frame, split_key
from sysmon.records import Hello, HostInfo

LEVEL = 6
KEPT = 120
"""Frames that an agent keeps for `/v1/range`."""


class Told(msgspec.Struct):
    """What a real agent said: its greeting, and two full states some seconds apart."""

    hello: Hello
    first: Frame
    second: Frame


class Agent:
    """One made-up host."""

    def __init__(self, number: int, told: Told, catalogue: Catalogue) -> None:
        self._random = random.Random(number)
        self.host = f"{number + 1:016x}"
        self.run = f"{self._random.getrandbits(64):016x}"
        self.seq = 0
        self.sent: dict[int, list[int]] = {}
        self.bytes = 0
        self.streams: dict[int, tuple[asyncio.StreamWriter, Any]] = {}
        self.kept: dict[int, bytes] = {}
        self._boot = f"{number:08x}-0000-4000-8000-000000000001"
        self._started = time.time_ns() // 1_000_000_000 * 1_000_000_000
        self._booted = (1000 + number) * 10**9
        self._told = told
        self._info = msgspec.structs.replace(
            told.hello.hosts[0], id=self.host, hostname=f"host-{number + 1:03}", target="local", name=""
        )
        self._intervals = told.second.intervals
        self._due: dict[str, list[str]] = {}
        self._values: dict[str, int | float] = {}
        self._growth: dict[str, float] = {}
        elapsed = max(1.0, (told.second.monotonic - told.first.monotonic) / 1e9)
        for key, value in told.second.readings.items():
            metric = catalogue.get(split_key(key)[0])
            if metric is None:
                continue
            self._due.setdefault(metric.collector, []).append(key)
            self._values[key] = value
            grown = value - told.first.readings.get(key, value)
            if metric.kind == "counter":
                self._growth[key] = max(0.0, grown / elapsed)
            elif grown:
                self._growth[key] = abs(grown)
        self._counters = {
            key for key in self._values if (m := catalogue.get(split_key(key)[0])) and m.kind == "counter"
        }

    @property
    def catalogue(self) -> list[Any]:
        """The metrics that it uses."""
        return self._told.hello.metrics

    def hello(self) -> bytes:
        """Its greeting."""
        hello = Hello(
            schema=wire.SCHEMA,
            version=self._told.hello.version,
            server=self.run,
            time=time.time_ns() // 1_000_000,
            hosts=[self._info],
            metrics=self._told.hello.metrics,
        )
        return wire.encode_event(hello, f"{self.run}-{self.seq}")

    def info(self) -> HostInfo:
        """Who it is."""
        return self._info

    def frame(self) -> Frame:
        """Makes the next frame; the first and one a minute are full."""
        self.seq += 1
        full = self.seq % 60 == 1
        at = self._booted + self.seq * 10**9
        values, growth, draw = self._values, self._growth, self._random.random
        readings: dict[str, int | float] = {}
        reads: dict[str, int] = {}
        for name, keys in self._due.items():
            every = max(1, round(self._intervals.get(name, 1.0)))
            if not full and self.seq % every:
                continue
            reads[name] = at
            for key in keys:
                step = growth.get(key)
                if step:
                    value = values[key]
                    if key in self._counters:
                        more = step * every * 2 * draw()
                        value += int(more) if isinstance(value, int) else round(more, 6)
                    elif draw() < 0.5:
                        more = step * (draw() - 0.5)
                        value = max(0, value + (int(more) if isinstance(value, int) else round(more, 2)))
                    values[key] = round(value, 6) if isinstance(value, float) else value
                readings[key] = values[key]
        return Frame(
            host=self.host,
            boot=self._boot,
            run=self.run,
            seq=self.seq,
            time=(self._started + self.seq * 10**9) // 1_000_000,
            monotonic=at,
            readings=readings,
            reads=reads,
            full=full,
            intervals=dict(self._intervals) if full else {},
            cost={name: round(0.0001 + 0.0002 * draw(), 5) for name in reads},
        )

    def tick(self) -> None:
        """Makes a frame and sends it to whoever reads."""
        frame = self.frame()
        line = wire.encode_frame(frame)
        self.kept[frame.seq] = line
        self.kept.pop(frame.seq - KEPT, None)
        event = sse.encode("frame", line, f"{self.run}-{self.seq}")
        for number, (writer, packer) in list(self.streams.items()):
            self.sent[number][1] = frame.seq
            self._send(writer, packer, event)

    def beat(self) -> None:
        """Says that it is alive."""
        event = wire.encode_event(wire.Heartbeat(time.time_ns() // 1_000_000))
        for writer, packer in list(self.streams.values()):
            self._send(writer, packer, event)

    def _send(self, writer: asyncio.StreamWriter, packer: Any, data: bytes) -> None:
        if packer is not None:
            data = packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
        self.bytes += len(data)
        writer.write(b"%x\r\n%s\r\n" % (len(data), data))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one connection."""
        number = 0
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                target = head.split(" ", 2)[1]
                path, _, query = target.partition("?")
                if path == "/v1/stream":
                    number = 1 + len(self.sent)
                    self._open(writer, number, gzip="gzip" in head.lower())
                    await reader.read()
                    return
                body = self._answer(path, dict(each.split("=", 1) for each in query.split("&") if "=" in each))
                kind = b"application/x-ndjson" if path == "/v1/range" else b"application/json"
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n%s" % (kind, len(body), body)
                )
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.streams.pop(number, None)
            writer.transport.abort()

    def _open(self, writer: asyncio.StreamWriter, number: int, *, gzip: bool) -> None:
        packer = zlib.compressobj(LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS, 9) if gzip else None
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
            + (b"content-encoding: gzip\r\n" if gzip else b"")
            + b"transfer-encoding: chunked\r\n\r\n"
        )
        self._send(writer, packer, self.hello())
        self.streams[number] = (writer, packer)
        self.sent[number] = [self.seq + 1, self.seq]

    def _answer(self, path: str, query: dict[str, str]) -> bytes:
        if path == "/v1/spans":
            first = max(1, self.seq - KEPT + 1)
            begin = self._started // 1_000_000
            span = {"host": self.host, "run": self.run, "boot": self._boot, "first": first, "last": self.seq}
            span |= {"start": begin + first * 1000, "end": begin + self.seq * 1000}
            return json.dumps([span] if self.seq else []).encode()
        if path == "/v1/range":
            seqs = range(int(query["first"]), int(query["last"]) + 1)
            return b"".join(self.kept[seq] + b"\n" for seq in seqs if seq in self.kept)
        return b"{}" if path == "/v1/status" else b"[]"


async def run(count: int, told: Told) -> None:
    """Serves until SIGTERM."""
    catalogue = Catalogue(told.hello.metrics)
    agents = [Agent(number, told, catalogue) for number in range(count)]
    servers = [await asyncio.start_server(agent.serve, "127.0.0.1", 0) for agent in agents]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    late = 0.0

    async def live(number: int, agent: Agent) -> None:
        nonlocal late
        due = loop.time() + 1 + number / count
        while True:
            await asyncio.sleep(max(0.0, due - loop.time()))
            late = max(late, loop.time() - due)
            agent.tick()
            if agent.seq % 5 == 0:
                agent.beat()
            due += 1.0

    lives = [asyncio.create_task(live(number, agent)) for number, agent in enumerate(agents)]
    await stop.wait()
    for task in lives:
        task.cancel()
    answer = {
        "late": late,
        "bytes": sum(agent.bytes for agent in agents),
        "hosts": {agent.host: [agent.run, list(agent.sent.values())] for agent in agents},
    }
    print(json.dumps(answer), flush=True)


def main() -> None:
    """Reads its arguments and serves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=10)
    parser.add_argument("--frames", type=Path, required=True, help="what a real agent said")
    options = parser.parse_args()
    asyncio.run(run(options.agents, msgspec.json.decode(options.frames.read_bytes(), type=Told)))


if __name__ == "__main__":
    main()
