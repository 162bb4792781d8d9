"""The past of another sysmon, asked for over HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from remote import clean, wire
from remote.target import Target, parse_target
from sysmon import answers
from sysmon.clock import SystemClock
from sysmon.errors import MalformedInput, ProtocolMismatch, UsageError
from sysmon.records import (
    AlertState,
    Event,
    Evidence,
    HistoryStatus,
    HostInfo,
    KnownDevice,
    Moment,
    RunSpan,
    SeriesAnswer,
    SeriesQuery,
    Span,
    Usage,
)
from sysmon.units import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remote.client.transport import Connections, Endpoint
    from sysmon.clock import Clock
    from sysmon.frame import Frame

T = TypeVar("T")

DEADLINE = 10.0
"""Seconds an answer may take."""
RANGE_DEADLINE = 30.0
"""Seconds a slice of frames may take."""
INLINE = 256 << 10
"""Bytes of an answer that are decoded at once; more of them in a thread, behind everything else."""


class HttpHistory:
    """The history of an agent or a hub; implements `sysmon.ports.History`.

    Methods raise `RemoteError` (no connection, no sysmon, refused) or `StoreError` (its history cannot answer).

    Args:
        target: `http(s)://host:8200` or `unix:///path`, as text or taken apart.
        connections: shared by all of the process; its own otherwise.
        deadline: seconds an answer may take.
        clock: this side's, to bound the future.
    """

    def __init__(
        self,
        target: str | Target,
        *,
        connections: Connections | None = None,
        deadline: float = DEADLINE,
        clock: Clock | None = None,
    ) -> None:
        self.target = parse_target(target) if isinstance(target, str) else target
        self._connections = connections
        self._own = connections is None
        self._deadline = deadline
        self._clock: Clock = clock or SystemClock()
        self._endpoint: Endpoint | None = None

    async def status(self) -> HistoryStatus:
        """Returns how the history there is; its path is given behind the target."""
        return await self._get("/v1/status", [], HistoryStatus)

    async def hosts(self) -> list[HostInfo]:
        """Returns the hosts it knows."""
        answer = await self._get("/v1/hosts", [], dict[str, Any])
        return [clean.record(info) for info in _list(answer.get("hosts"), HostInfo)]

    async def keys(self, host: str) -> list[str]:
        """Returns the series keys known of a host, raw and derived, sorted."""
        return [clean.series_key(key) for key in await self._list("/v1/keys", [("host", host)], str)]

    async def series(self, query: SeriesQuery) -> SeriesAnswer:
        """Returns series in steps."""
        params = [
            ("host", query.host),
            ("metric", query.metric),
            ("instance", query.instance),
            ("since", rfc3339(query.start)),
            ("until", rfc3339(query.end)),
            ("points", str(query.points)),
        ]
        answer = await self._get("/v1/history", params, answers.HistoryAnswer)
        try:
            return answers.series_answer(answer)
        except (ValueError, OverflowError) as error:
            raise ProtocolMismatch(f"{self.target}/v1/history: {error}") from None

    async def moment(self, host: str, time: int, step: int = 0) -> Moment | None:
        """Returns the instant at or last before `time` (0), after (1) or before (-1) it, or None."""
        params = [("host", host), ("time", rfc3339(time)), ("step", str(step))]
        found: Moment | None = await self._get("/v1/moment", params, Moment | None)  # type: ignore[arg-type]
        return found

    async def spans(self, host: str | None = None) -> list[RunSpan]:
        """Returns which frames are held, oldest first."""
        body = await self._body("/v1/spans", _host(host), deadline=self._deadline)
        try:
            # Those of a large hub, or of a liar, take longer than anybody else is to wait.
            return _spans(body) if len(body) <= INLINE else await asyncio.to_thread(_spans, body)
        except MalformedInput as error:
            raise ProtocolMismatch(f"{self.target}/v1/spans: {error}") from None

    async def frames(self, host: str, run: str, first: int, last: int) -> list[Frame]:
        """Returns the frames of a run with seq from `first` to `last`, ascending; at most 600."""
        if last - first >= wire.MAX_RANGE:
            raise UsageError(f"{last - first + 1} frames are more than {wire.MAX_RANGE}")
        params = [("host", host), ("run", run), ("first", str(first)), ("last", str(last))]
        body = await self._body("/v1/range", params, deadline=RANGE_DEADLINE, accept="application/x-ndjson")
        cleaner = clean.Cleaner()
        now = self._clock.now()
        found: dict[int, Frame] = {}
        try:
            for line in body.split(b"\n"):
                if line:
                    try:
                        frame = wire.decode_frame(line, cleaner=cleaner, hosts=(host,), now=now)
                    except wire.LeftOut:
                        # Its clock could not be true then; those around it may be.
                        continue
                    if frame.run != run or not first <= frame.seq <= last:
                        raise MalformedInput(f"frame {frame.run}-{frame.seq} was not asked for")
                    found[frame.seq] = frame
        except MalformedInput as error:
            raise ProtocolMismatch(f"{self.target}/v1/range: {error}") from None
        return [found[seq] for seq in sorted(found)]

    async def events(
        self, host: str | None = None, start: int | None = None, end: int | None = None, limit: int = 1000
    ) -> list[Event]:
        """Returns events, newest first."""
        params = [*_host(host), ("limit", str(limit))]
        if start is not None:
            params.append(("since", rfc3339(start)))
        if end is not None:
            params.append(("until", rfc3339(end)))
        return await self._list("/v1/events", params, Event)

    async def alerts(self, host: str | None = None) -> list[AlertState]:
        """Returns the states of alerts that are not resolved."""
        return await self._list("/v1/alerts", _host(host), AlertState)

    async def evidence(self, host: str, time: int) -> Evidence | None:
        """Returns the last evidence at or before `time`, or None."""
        params = [("host", host), ("time", rfc3339(time))]
        found: Evidence | None = await self._get("/v1/evidence", params, Evidence | None)  # type: ignore[arg-type]
        return found

    async def usage(self, host: str, start: int, end: int, step: str, keys: Sequence[str] = ()) -> list[Usage]:
        """Returns exact byte totals per counter in steps of `sysmon.zones.STEPS`."""
        params = [("host", host), ("since", rfc3339(start)), ("until", rfc3339(end)), ("step", step)]
        return await self._list("/v1/usage", [*params, *(("key", key) for key in keys)], Usage)

    async def devices(self, host: str) -> list[KnownDevice]:
        """Returns the devices ever seen behind a router, with what users call them."""
        found = await self._list("/v1/known-devices", [("host", host)], KnownDevice)
        self._check(time for each in found for time in (each.first, each.last))
        return found

    async def resets(self, host: str) -> list[int]:
        """Returns when users began counting periods of a host's devices anew (Unix ms), ascending."""
        found = sorted(set(await self._list("/v1/resets", [("host", host)], int)))
        self._check(found)
        return found

    async def gaps(self, host: str, start: int, end: int) -> list[Span]:
        """Returns the stretches without data."""
        params = [("host", host), ("since", rfc3339(start)), ("until", rfc3339(end))]
        return await self._list("/v1/gaps", params, Span)

    async def close(self) -> None:
        """Closes its connections, where they are its own."""
        if self._own and self._connections is not None:
            await self._connections.close()
            self._connections = None
            self._endpoint = None

    async def _body(
        self, path: str, params: Sequence[tuple[str, str]], *, deadline: float, accept: str = "application/json"
    ) -> bytes:
        if self._endpoint is None:
            from remote.client.transport import Connections, Endpoint

            if self._connections is None:
                self._connections = Connections()
            self._endpoint = Endpoint(self.target, self._connections)
        try:
            return await self._endpoint.get(path, params, deadline=deadline, accept=accept)
        except MalformedInput as error:
            raise ProtocolMismatch(error.message, error.hint) from error

    async def _get(self, path: str, params: Sequence[tuple[str, str]], kind: type[T]) -> T:
        body = await self._body(path, params, deadline=self._deadline)
        try:
            return _decoded(body, kind) if len(body) <= INLINE else await asyncio.to_thread(_decoded, body, kind)
        except MalformedInput as error:
            raise ProtocolMismatch(f"{self.target}{path}: {error}") from None

    def _check(self, times: Iterable[int]) -> None:
        try:
            for time in times:
                clean.moment(time, "$[]")
        except MalformedInput as error:
            raise ProtocolMismatch(f"{self.target}: {error}") from None

    async def _list(self, path: str, params: Sequence[tuple[str, str]], kind: type[T]) -> list[T]:
        found: list[T] = await self._get(path, params, list[kind])  # type: ignore[valid-type]
        return found


def _decoded(body: bytes, kind: type[T]) -> T:
    return clean.value(wire.decode(body, kind))


def _spans(body: bytes) -> list[RunSpan]:
    """Decodes spans; of more than `clean.MAX_LIST` the newest."""
    found = wire.decode(body, list[RunSpan])
    if len(found) > clean.MAX_LIST:
        found = sorted(found, key=lambda span: span.end)[-clean.MAX_LIST :]
    for at, span in enumerate(found):
        wire.check_span(span)
        if (boot := clean.text(span.boot)) != span.boot:
            found[at] = msgspec.structs.replace(span, boot=boot)
    return found


def _host(host: str | None) -> list[tuple[str, str]]:
    return [] if host is None else [("host", host)]


def _list(value: object, kind: type[T]) -> list[T]:
    try:
        return msgspec.convert(value, list[kind])  # type: ignore[valid-type]
    except msgspec.ValidationError as error:
        raise ProtocolMismatch(f"/v1/hosts: {error}") from None
