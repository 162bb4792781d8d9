"""`POST /v1/report`: a hub takes what agents push that it cannot reach, and answers once it is committed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from remote import wire
from remote.push import batch
from remote.push.intake import Refusal
from remote.server.query import Query
from remote.server.replies import json_reply
from sysmon.errors import MalformedInput, ProtocolMismatch

if TYPE_CHECKING:
    from starlette.requests import Request

    from remote.push.batch import Report
    from remote.push.intake import Intake
    from sysmon.clock import Clock

AT_ONCE = 8
"""Reports being taken at once."""
WAITING = 64
"""Reports that wait for their turn at most, each with its body."""
PATIENCE = 20.0
"""Seconds a report may wait for its turn, and for the history."""
INLINE = 128 << 10
"""Bytes of a report that is decoded at once; a greater one in a thread, behind everything else."""


class ReportRoute:
    """The endpoint of one hub.

    Args:
        intake: takes the reports.
        clock: the hub's.
    """

    def __init__(self, intake: Intake, clock: Clock) -> None:
        self._intake = intake
        self._clock = clock
        self._room = asyncio.Semaphore(AT_ONCE)
        self._inside = 0

    def routes(self) -> list[Route]:
        """Returns the route."""
        return [Route(batch.PATH, self.report, methods=["POST"])]

    async def report(self, request: Request) -> Response:
        """Takes frames that an agent pushes."""
        try:
            Query(request)
            return await json_reply(request, await self._admitted(request))
        except Refusal as refusal:
            return _refused(refusal)
        except batch.TooLarge as error:
            return _refused(Refusal(413, error.message, "send fewer frames at once"))
        except (MalformedInput, ProtocolMismatch) as error:
            return _refused(Refusal(400, error.message, error.hint))
        except ClientDisconnect:
            # It was cut off, and sends it again.
            return Response(status_code=400)
        except TimeoutError:
            return _refused(Refusal(503, "this hub is busy", retry=5.0))

    async def _admitted(self, request: Request) -> batch.Acknowledgement:
        if self._inside >= WAITING:
            raise Refusal(503, f"{self._inside} reports are waiting already", retry=5.0)
        self._inside += 1
        try:
            body = await request.body()
            async with asyncio.timeout(PATIENCE):
                await self._room.acquire()
            try:
                report = await self._decoded(request.headers.get("content-encoding", ""), body)
                del body
                token = request.scope.get("state", {})
                async with asyncio.timeout(PATIENCE):
                    return await self._intake.take(report, str(token.get("token", "")), str(token.get("digest", "")))
            finally:
                self._room.release()
        finally:
            self._inside -= 1

    async def _decoded(self, coding: str, body: bytes) -> Report:
        if coding.strip().lower() not in ("gzip", "identity", ""):
            raise Refusal(415, f"content-encoding '{coding[:40]}' is not taken", "gzip is, and nothing")
        if coding.strip().lower() == "gzip":
            # zlib lets go of the interpreter.
            body = await asyncio.to_thread(batch.inflate, body)
        if len(body) <= INLINE:
            return batch.decode_report(body, self._clock.now())
        return await asyncio.to_thread(batch.decode_report, body, self._clock.now())


def _refused(refusal: Refusal) -> Response:
    headers = {} if refusal.retry is None else {"retry-after": str(max(1, round(refusal.retry)))}
    body = wire.encode_json({"error": refusal.error, "hint": refusal.hint}) + b"\n"
    return Response(body, refusal.status, headers, "application/json")
