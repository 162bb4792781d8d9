"""What every client of ours makes of an answer, whatever carries it: bounds, and the words for what is none."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from remote.client import trouble
from sysmon.errors import MalformedInput, ProtocolMismatch, RemoteError, StoreError, Unauthorized
from sysmon.frame import clean_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from remote.target import Target

MAX_BODY = 64 << 20
"""Bytes of one answer at most, decompressed."""
MAX_ERROR = 16 << 10
"""Bytes read of an answer that is an error."""
PIECE = 256 << 10
"""Bytes decompressed at once at most."""
BOMB_FROM = 8 << 20
BOMB_RATIO = 200
"""An answer of `BOMB_FROM` bytes may not be more than `BOMB_RATIO` times its compressed size; frames reach 15 to 80."""


class Inflater:
    """Decompresses gzip in bounded pieces.

    Raises:
        MalformedInput: not gzip, or it swells beyond what frames can.
    """

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._in = 0
        self._out = 0

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Yields what a chunk holds, at most `PIECE` bytes each."""
        self._in += len(chunk)
        while chunk:
            try:
                piece = self._stream.decompress(chunk, PIECE)
            except zlib.error as error:
                raise MalformedInput(f"compressed answer: {error}") from None
            self._out += len(piece)
            if self._out > BOMB_FROM and self._out > BOMB_RATIO * self._in:
                raise MalformedInput(f"compressed answer: {self._in} bytes swell to more than {self._out}")
            if piece:
                yield piece
            chunk = self._stream.unconsumed_tail
            if self._stream.eof:
                if self._stream.unused_data:
                    raise MalformedInput("compressed answer: there is something behind its end")
                break


def inflater(target: Target, coding: str) -> Inflater | None:
    """Returns what decompresses an answer, or None where it is plain.

    Raises:
        ProtocolMismatch: it comes in a way that was not asked for.
    """
    given = coding.strip().lower()
    if given not in ("identity", "gzip", ""):
        raise ProtocolMismatch(f"{target} sends content-encoding {clean_text(given, 40)}, which was not asked for")
    return Inflater() if given == "gzip" else None


async def whole(target: Target, path: str, pieces: AsyncIterator[bytes]) -> bytes:
    """Puts an answer together.

    Raises:
        MalformedInput: it is longer than `MAX_BODY`.
    """
    size = 0
    body = []
    async for piece in pieces:
        size += len(piece)
        if size > MAX_BODY:
            raise MalformedInput(f"{target}{path}: the answer is longer than {MAX_BODY} bytes")
        body.append(piece)
    return b"".join(body)


def check_kind(target: Target, kind: str, accept: str) -> None:
    """Checks the media type of an answer.

    Raises:
        ProtocolMismatch: it is another than was asked for, such as the page of a proxy.
    """
    given = kind.partition(";")[0].strip().lower()
    if given != accept:
        shown = clean_text(given, 60) or "nothing"
        raise ProtocolMismatch(f"{target} answers {shown} where {accept} is due", trouble.is_that(target))


def seconds(text: str) -> float | None:
    """Takes a Retry-After in seconds; a date is as good as none."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 8 else None


def redirected(target: Target, location: str) -> ProtocolMismatch:
    """Says that an answer leads elsewhere."""
    try:
        where = urlsplit(location)
        shown = clean_text(where.netloc or where.path, 80)
    except ValueError:
        shown = clean_text(location, 80)
    return ProtocolMismatch(f"{target} redirects to '{shown}', which is not followed", "name that address itself")


def refusal(target: Target, status: int, body: bytes) -> RemoteError | StoreError:
    """Says what an answer means whose status is neither 200 nor a redirect; `body`: its begin."""
    said, hint = _said(body)
    if status in (401, 403):
        return _forbidden(target, status, said, hint)
    if not said:
        if status == 400 and not target.secure and b"https" in body.lower():
            # What sysmon, nginx, Go and others say on a port of theirs that speaks TLS.
            return trouble.speaks_tls(target)
        return ProtocolMismatch(f"{target} answers HTTP {status}", trouble.is_that(target))
    if status in (503, 504):
        return StoreError(f"{target}: {said}", hint)
    return RemoteError(f"{target}: {said}", hint)


def _forbidden(target: Target, status: int, said: str, hint: str) -> Unauthorized:
    shown = target.credentials.token_file
    if status == 401 and not shown:
        return Unauthorized(
            f"{target}: {said or 'a token is wanted'}",
            "`sysmon token new NAME` there makes one; put it into a 0600 file and name that with --token-file",
        )
    if status == 401:
        why = f": {said}" if said else ""
        return Unauthorized(
            f"{target} refuses the token of {shown}{why}", "it is wrong, revoked or expired; `sysmon token list` there"
        )
    return Unauthorized(f"{target}: {said or 'access is refused'}", hint)


def _said(body: bytes) -> tuple[str, str]:
    try:
        told = msgspec.json.decode(body, type=dict[str, str])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return "", ""
    return clean_text(told.get("error", ""), 300), clean_text(told.get("hint", ""), 300)
