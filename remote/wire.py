"""The wire's codec: events of a stream and bodies of answers, JSON both ways, pure.

Stream events are `hello`, `host`, `state`, `frame`, `gap`, `event`, `alert`, `status`, `heartbeat`. What comes in is
decoded with its types checked, cleaned and bounded; every failure is a MalformedInput that names the path.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from remote import clean, sse
from sysmon.errors import MalformedInput, ProtocolMismatch
from sysmon.frame import Frame, Tables, clean_text
from sysmon.records import AlertState, Event, Gap, Hello, HostInfo, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sysmon.catalogue import Metric
    from sysmon.records import Update

T = TypeVar("T")

SCHEMA = 1
"""Version of the wire format; a reader refuses a greater one."""
OLDEST = 1
"""The oldest version that is still read."""
TABLES: Final = frozenset(Tables.__struct_fields__)
"""Names of the tables that a reader may ask for."""
HEARTBEAT_SECONDS = 5.0
"""Seconds between heartbeats of a stream."""
RETRY_MILLISECONDS = 3000
"""What a stream tells its readers to wait before they connect again."""
MAX_HOSTS = 10_000
"""Hosts of one server at most."""
MAX_METRICS = 10_000
"""Catalogue entries of one server at most."""
MAX_RANGE = 600
"""Frames of one answer of `/v1/range` at most."""
MAX_VIA = 64
"""Servers that one event can have come through."""

MAX_EVENT_TEXT = 2_000
"""Characters of an event's message at most."""
MAX_EVENT_LINES = 20
"""Lines of evidence of an event at most."""

_encoder: Final = msgspec.json.Encoder()
_frame_decoder: Final = msgspec.json.Decoder(Frame)
_EMPTY: Final = Tables()


class LeftOut(MalformedInput):
    """A frame that says nothing usable of its host, while the stream that brought it is sound."""

    def __init__(self, host: str, message: str) -> None:
        super().__init__(message)
        self.host = host


class _Version(msgspec.Struct):
    schema: int


class Heartbeat(msgspec.Struct, frozen=True):
    """A sign of life. `time`: the server's clock, Unix milliseconds."""

    time: int


_version_decoder: Final = msgspec.json.Decoder(_Version)

Incoming = Frame | HostInfo | Status | Event | AlertState | Gap | Hello | Heartbeat
"""What one stream event decodes to."""

_DECODERS: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    "hello": msgspec.json.Decoder(Hello),
    "host": msgspec.json.Decoder(HostInfo),
    "gap": msgspec.json.Decoder(Gap),
    "event": msgspec.json.Decoder(Event),
    "alert": msgspec.json.Decoder(AlertState),
    "status": msgspec.json.Decoder(Status),
    "heartbeat": msgspec.json.Decoder(Heartbeat),
}
_NAMES: Final[dict[type, str]] = {
    Hello: "hello",
    HostInfo: "host",
    Frame: "frame",
    Gap: "gap",
    Event: "event",
    AlertState: "alert",
    Status: "status",
    Heartbeat: "heartbeat",
}


def event_name(update: Update | Heartbeat) -> str:
    """Returns the stream's name for an update; a frame with seq 0 is a `state`."""
    return "state" if isinstance(update, Frame) and update.seq == 0 else _NAMES[type(update)]


def encode_json(value: object) -> bytes:
    """Encodes anything of ours as JSON; texts that UTF-8 cannot hold are cleaned rather than refused."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return _encoder.encode(_encodable(msgspec.to_builtins(value)))


def encode_frame(frame: Frame, tables: Iterable[str] = ()) -> bytes:
    """Encodes a frame as one line of JSON with only the named tables; readings that are not finite are left out."""
    wanted = {name: table for name in tables if (table := getattr(frame.tables, name)) is not None}
    if wanted or frame.tables != _EMPTY:
        frame = msgspec.structs.replace(frame, tables=Tables(**wanted) if wanted else _EMPTY)
    encoded = encode_json(frame)
    if b":null" in encoded and not all(map(math.isfinite, frame.readings.values())):
        readings = {key: value for key, value in frame.readings.items() if math.isfinite(value)}
        encoded = encode_json(msgspec.structs.replace(frame, readings=readings))
    return encoded


def encode_event(update: Update | Heartbeat, id: str = "", tables: Iterable[str] = ()) -> bytes:
    """Encodes an update as one stream event."""
    data = encode_frame(update, tables) if isinstance(update, Frame) else encode_json(update)
    return sse.encode(event_name(update), data, id)


def decode(data: bytes | str, kind: type[T], what: str = "answer") -> T:
    """Decodes JSON into a type of ours, without cleaning it.

    Raises:
        MalformedInput: not that type; says where.
    """
    return _decoded(msgspec.json.Decoder(kind), data, what)


def decode_frame(
    data: bytes | str,
    *,
    cleaner: clean.Cleaner | None = None,
    hosts: Iterable[str] | None = None,
    now: int | None = None,
) -> Frame:
    """Decodes and cleans one frame.

    Args:
        data: JSON of the frame.
        cleaner: the peer's, so that keys known to be harmless are not looked at again.
        hosts: ids the frame may be of; None for any.
        now: this side's Unix milliseconds, to bound the future.

    Raises:
        LeftOut: its time lies too far in the future.
        MalformedInput: not a frame, of another host, or out of bounds; says where.
    """
    frame = _decoded(_frame_decoder, data, "frame")
    try:
        if hosts is not None and clean.identifier(frame.host, "$.host") not in hosts:
            raise MalformedInput(f"$.host: {frame.host} is not a host that this server announced")
        return (cleaner or clean.Cleaner()).frame(frame, now=now)
    except clean.Implausible as error:
        raise LeftOut(frame.host, f"its frames are left out: {error.message}") from None
    except MalformedInput as error:
        raise MalformedInput(f"frame: {error.message}", error.hint) from None


def decode_event(
    event: sse.ServerEvent,
    *,
    cleaner: clean.Cleaner | None = None,
    hosts: Iterable[str] | None = None,
    now: int | None = None,
) -> Incoming | None:
    """Decodes and cleans one stream event; an event of a name unknown here is None.

    Raises:
        LeftOut: a frame of which only this host is concerned.
        ProtocolMismatch: a hello of a wire format that is too new or too old.
        MalformedInput: its data is not what its name says, or out of bounds.
    """
    if event.event in ("frame", "state"):
        frame = decode_frame(event.data, cleaner=cleaner, hosts=hosts, now=now)
        if (frame.seq == 0) != (event.event == "state"):
            raise MalformedInput(f"{event.event}: $.seq: {frame.seq} is not a sequence number; they count from 1")
        return frame
    decoder = _DECODERS.get(event.event)
    if decoder is None:
        return None
    if event.event == "hello":
        check_schema(event.data)
    value = _decoded(decoder, event.data, event.event)
    try:
        value = clean.record(value)
        _check(value, now)
        if isinstance(value, Event):
            value = short_event(value)
    except MalformedInput as error:
        raise MalformedInput(f"{event.event}: {error.message}", error.hint) from None
    return value  # type: ignore[no-any-return]


def _check(value: Any, now: int | None) -> None:
    if isinstance(value, Hello):
        check_hello(value)
    elif isinstance(value, HostInfo):
        clean.identifier(value.id, "$.id")
    elif isinstance(value, Heartbeat):
        clean.moment(value.time, "$.time")
    elif value.host or isinstance(value, Gap):
        # An event can be about no host: the server itself.
        clean.identifier(value.host, "$.host")
    if isinstance(value, Gap):
        clean.identifier(value.run, "$.run")
        if not 0 < value.first <= value.last < 2**53:
            raise MalformedInput(f"$.first: {value.first}..{value.last} is not a range of sequence numbers")
    elif isinstance(value, Event):
        clean.moment(value.time, "$.time", now)
        if len(value.via) > MAX_VIA:
            raise MalformedInput(f"$.via: {len(value.via)} hubs are more than an event can have come through")


def short_event(given: Event) -> Event:
    """Returns an event whose texts are short; it is kept for years."""
    lines = given.evidence[:MAX_EVENT_LINES]
    if len(given.message) <= MAX_EVENT_TEXT and len(lines) == len(given.evidence) and len(given.via) <= 64:
        return given
    return msgspec.structs.replace(given, message=given.message[:MAX_EVENT_TEXT], evidence=lines, via=given.via[:64])


def check_schema(data: bytes) -> None:
    """Reads the version of a hello before anything else: another format may have other members.

    Raises:
        ProtocolMismatch: it is not read here; says which side to update.
        MalformedInput: it has none.
    """
    schema = _decoded(_version_decoder, data, "hello").schema
    if schema > SCHEMA:
        raise ProtocolMismatch(
            f"it speaks wire format {schema}, this sysmon knows {SCHEMA}", "it is newer: update sysmon on this machine"
        )
    if schema < OLDEST:
        raise ProtocolMismatch(
            f"it speaks wire format {schema}, this sysmon reads {OLDEST} and later",
            "it is older: update sysmon on that machine",
        )


def check_hello(hello: Hello) -> None:
    """Holds a cleaned hello to its bounds.

    Raises:
        MalformedInput: ids, counts or times are out of bounds.
    """
    if max(len(hello.hosts), len(hello.unreached)) > MAX_HOSTS or len(hello.metrics) > MAX_METRICS:
        raise MalformedInput(f"{len(hello.hosts)} hosts and {len(hello.metrics)} metrics are more than a server has")
    clean.identifier(hello.server, "$.server")
    clean.moment(hello.time, "$.time")
    for info in hello.hosts:
        clean.identifier(info.id, "$.hosts[].id")
    for metric in hello.metrics:
        check_metric(metric)
    for span in hello.spans:
        check_span(span)


def check_metric(metric: Metric) -> None:
    """Holds a cleaned catalogue entry to its bounds.

    Raises:
        MalformedInput: its name is none, or a number is out of bounds.
    """
    clean.series_key(metric.name)
    if ":" in metric.name:
        raise MalformedInput("$.metrics[].name holds a colon")
    if not 0 <= metric.precision <= 15:
        raise MalformedInput(f"$.metrics[].precision: {metric.precision} is not 0 to 15")
    formula = metric.formula
    if formula is not None and len(formula.over) + len(formula.per) > 64:
        raise MalformedInput("$.metrics[].formula has more than 64 parts")


def check_span(span: Any) -> None:
    """Holds one run's span to its bounds.

    Raises:
        MalformedInput: it is empty or out of bounds.
    """
    clean.identifier(span.host, "$.spans[].host")
    clean.identifier(span.run, "$.spans[].run")
    if not 0 < span.first <= span.last < 2**53:
        raise MalformedInput(f"$.spans[]: {span.first}..{span.last} is not a range of sequence numbers")
    if not 1 <= span.every < 2**31:
        raise MalformedInput(f"$.spans[].every: {span.every} is not a number of frames")
    clean.moment(span.start, "$.spans[].start")
    clean.moment(span.end, "$.spans[].end")


def _decoded(decoder: msgspec.json.Decoder[T], data: bytes | str, what: str) -> T:
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as error:
        raise MalformedInput(f"{what}: {clean_text(str(error), 300)}") from error


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isprintable() else clean_text(value, max(len(value), 1))
    if isinstance(value, dict):
        return {_encodable(key): _encodable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(each) for each in value]
    return value
