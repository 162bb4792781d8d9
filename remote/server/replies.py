"""Answers: JSON, compressed where the request accepts it."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from remote import wire

if TYPE_CHECKING:
    from starlette.requests import Request

_COMPRESS_FROM = 1024
"""Bytes from which on an answer is compressed."""


async def missing(request: Request, error: str) -> Response:
    """Answers that there is nothing there."""
    response = await json_reply(request, {"error": error, "hint": "/v1/spans lists what is held"})
    response.status_code = 404
    return response


async def json_reply(request: Request, value: Any) -> Response:
    """Answers with JSON."""
    return await reply(request, wire.encode_json(value) + b"\n", "application/json")


async def reply(request: Request, body: bytes, media_type: str) -> Response:
    """Answers with a body."""
    headers = {"vary": "accept-encoding"}
    if len(body) > _COMPRESS_FROM and accepts_gzip(request):
        headers["content-encoding"] = "gzip"
        # zlib lets go of the interpreter, so that a large answer delays nobody.
        body = await asyncio.to_thread(gzip.compress, body, 3, mtime=0)
    return Response(body, media_type=media_type, headers=headers)


def accepts_gzip(request: Request) -> bool:
    """Whether the request takes gzip."""
    for part in request.headers.get("accept-encoding", "").lower().split(","):
        coding, _, parameters = part.partition(";")
        if coding.strip() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
