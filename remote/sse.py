"""Server-sent events as bytes: writing one event, and reading a stream that may be split, malformed or hostile.

The form is WHATWG HTML section 9.2. The reader is incremental and holds at most one line and one event, both capped.
"""

from __future__ import annotations

from typing import NamedTuple

from sysmon.errors import MalformedInput

MAX_LINE = 16 << 20
"""Bytes of one line at most."""
MAX_EVENT = 16 << 20
"""Bytes of one event's data at most."""
MAX_DATA_LINES = 4096
"""`data:` lines of one event at most."""
MAX_NAME = 256
"""Bytes of an event's name or id at most."""

_BOM = b"\xef\xbb\xbf"


class ServerEvent(NamedTuple):
    """One event as it arrived. `id` is the last one given by the stream so far, '' before the first."""

    event: str
    data: bytes
    id: str


class Comment(NamedTuple):
    """A comment: a sign of life without content. Of several in a row the first is given."""

    text: bytes


def encode(event: str, data: bytes, id: str = "") -> bytes:
    """Writes one event. `data` is one line, as JSON is."""
    head = f"event: {event}\nid: {id}\ndata: " if id else f"event: {event}\ndata: "
    return head.encode() + data + b"\n\n"


def encode_retry(milliseconds: int) -> bytes:
    """Writes how long a reader should wait before it connects again."""
    return b"retry: %d\n\n" % milliseconds


class Parser:
    """Turns chunks of bytes, split anywhere, into events.

    Attributes:
        last_id: the last id the stream gave, for `Last-Event-ID`.
        retry: milliseconds the server asked to wait, or None.
    """

    def __init__(self, max_line: int = MAX_LINE, max_event: int = MAX_EVENT) -> None:
        self.last_id = ""
        self.retry: int | None = None
        self._max_line = max_line
        self._max_event = max_event
        self._start: bytes | None = b""
        self._after_cr = False
        self._tail: list[bytes] = []
        self._tail_size = 0
        self._event = ""
        self._data: list[bytes] = []
        self._data_size = 0

    @property
    def held(self) -> int:
        """Bytes kept for the line and the event under way."""
        return self._tail_size + self._data_size

    def feed(self, chunk: bytes) -> list[ServerEvent | Comment]:
        """Takes the next bytes and returns what they complete, in order.

        Raises:
            MalformedInput: a line, an event or a name is longer than allowed; the parser must then be thrown away.
        """
        if self._start is not None:
            chunk = self._start + chunk
            if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
                self._start = chunk
                return []
            self._start = None
            chunk = chunk.removeprefix(_BOM)
        if not chunk:
            return []
        if self._after_cr and chunk[:1] == b"\n":
            chunk = chunk[1:]
            self._after_cr = False
            if not chunk:
                return []
        self._after_cr = chunk[-1:] == b"\r"
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = chunk.split(b"\n")
        rest = lines.pop()
        found: list[ServerEvent | Comment] = []
        for line in lines:
            if self._tail:
                self._tail.append(line)
                line = b"".join(self._tail)
                self._tail.clear()
                self._tail_size = 0
            if len(line) > self._max_line:
                raise _too_long("a line", len(line), self._max_line)
            self._take(line, found)
        if rest:
            self._tail.append(rest)
            self._tail_size += len(rest)
            if self._tail_size > self._max_line:
                raise _too_long("a line", self._tail_size, self._max_line)
            if len(self._tail) > 64:
                self._tail = [b"".join(self._tail)]
        return found

    def _take(self, line: bytes, found: list[ServerEvent | Comment]) -> None:
        if not line:
            if self._data:
                found.append(ServerEvent(self._event or "message", b"\n".join(self._data), self.last_id))
            self._event = ""
            self._data = []
            self._data_size = 0
            return
        if line[:1] == b":":
            if not found or type(found[-1]) is not Comment:
                found.append(Comment(line[1:]))
            return
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data_size += len(value) + 1
            if self._data_size > self._max_event or len(self._data) >= MAX_DATA_LINES:
                raise _too_long("an event", self._data_size, self._max_event)
            self._data.append(value)
        elif name == b"event":
            self._event = _name(value)
        elif name == b"id":
            if b"\0" not in value:
                self.last_id = _name(value)
        elif name == b"retry" and value.isdigit() and len(value) <= 9:
            self.retry = int(value)


def _name(value: bytes) -> str:
    if len(value) > MAX_NAME:
        raise _too_long("a name", len(value), MAX_NAME)
    return value.decode("utf-8", "replace")


def _too_long(what: str, size: int, limit: int) -> MalformedInput:
    return MalformedInput(f"event stream: {what} of {size} bytes is longer than {limit}")
