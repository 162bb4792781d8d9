"""What an agent pushes and what the hub answers: one report, JSON in gzip, both bounded; pure.

A report holds consecutive frames of one run, newest reports first; the answer lists what the hub holds of that host, so
that the agent works out what is missing and neither side has to remember what the other got.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from remote import clean, wire
from sysmon.catalogue import Metric
from sysmon.errors import MalformedInput, ProtocolMismatch
from sysmon.frame import clean_text
from sysmon.records import Event, Evidence, HostInfo, RunSpan

if TYPE_CHECKING:
    from collections.abc import Sequence

PATH = "/v1/report"
"""Where reports are posted."""
MAX_BODY = 4 << 20
"""Bytes of a report as it is sent, compressed, at most."""
MAX_PLAIN = 8 << 20
"""Bytes of a report decompressed at most."""
MAX_ANSWER = 2 << 20
"""Bytes of an answer at most."""
MAX_FRAMES = 600
"""Frames of one report at most."""
MAX_SPANS = 4096
"""Spans of one report and of its answer at most; runs of 48 hours that start again every 42 seconds."""
MAX_EVENTS = 500
"""Events of one report at most."""
MAX_EVIDENCE = 120
"""Records of who was busiest, of one report, at most."""
MAX_BUSIEST = 40
"""Processes of one such record at most; an agent gives ten of each of three orders."""
MAX_METRICS = 2000
"""Catalogue entries of one report at most; sysmon itself has some 300."""
MAX_INTERVAL = 3600.0
"""Seconds between the reports of an agent at most."""
SEQ_LIMIT = 1 << 40
"""Above every sequence number that a history takes."""
BOOT_LIMIT = 1 << 62
"""Above every boot clock (ns) that a history takes."""


class Report(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What an agent says at once.

    Attributes:
        schema: version of the wire format.
        batch: drawn anew for each attempt; the answer names it.
        time: the agent's clock when it was sent, Unix milliseconds.
        interval: seconds between its reports when all is well.
        run: of the process that sends it, also where the frames are of an earlier one. `boot`: of its machine now.
        host: who it is.
        catalogue: digest of the metrics its frames need; `metrics`: these, where the hub may not know them.
        spans: which frames the agent holds, so that the hub can say what is lost for good.
        frames: consecutive ones of one run, ascending; each is decoded by itself, so that one bad one costs no other.
        events: what happened there. `evidence`: who was busiest.
    """

    schema: int
    batch: str
    time: int
    interval: float
    run: str
    host: HostInfo
    boot: str = ""
    version: str = ""
    catalogue: str = ""
    metrics: list[Metric] = []
    spans: list[RunSpan] = []
    frames: list[msgspec.Raw] = []
    events: list[Event] = []
    evidence: list[Evidence] = []


class Acknowledgement(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The hub's answer, given once all of the report is committed.

    Attributes:
        acknowledged: the batch, or '' where nothing was taken because `wanted` says what must come with it.
        server: drawn at the hub's start.
        time: the hub's clock, Unix milliseconds.
        held: which frames of that host the hub holds, of the runs that the report named.
        since: Unix milliseconds of the agent's clock; frames older than that are not wanted.
        refused: frames of this report that were no frames; `problem`: the first one's mistake.
        wanted: "metrics", or ''.
    """

    acknowledged: str
    server: str
    time: int
    held: list[RunSpan] = []
    since: int = 0
    refused: int = 0
    problem: str = ""
    wanted: str = ""


class Answer(NamedTuple):
    """What came back over HTTP. `retry_after`: seconds, or None; `body`: bounded."""

    status: int
    body: bytes
    retry_after: float | None = None


class TooLarge(MalformedInput):
    """More bytes than a report may have."""


_reports = msgspec.json.Decoder(Report)
_answers = msgspec.json.Decoder(Acknowledgement)


def catalogue_digest(metrics: Sequence[Metric]) -> str:
    """Returns 16 hex digits that change whenever one of the entries does; '' for none."""
    if not metrics:
        return ""
    digest = hashlib.blake2b(digest_size=8)
    for metric in sorted(metrics, key=lambda each: each.name):
        digest.update(wire.encode_json(metric) + b"\n")
    return digest.hexdigest()


def encode_report(report: Report) -> bytes:
    """Encodes and compresses; zlib lets go of the interpreter, so this may run in a thread."""
    stream = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    return stream.compress(wire.encode_json(report)) + stream.flush()


def inflate(body: bytes, limit: int = MAX_PLAIN) -> bytes:
    """Decompresses a body of one gzip member.

    Raises:
        TooLarge: it swells beyond `limit` bytes. MalformedInput: it is not gzip, is cut off or has something behind it.
    """
    stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise MalformedInput(f"report: not gzip: {error}") from None
    if len(plain) > limit:
        raise TooLarge(f"report: {len(body)} bytes swell to more than {limit}")
    if not stream.eof or stream.unused_data:
        raise MalformedInput("report: the gzip stream is cut off or something is behind its end")
    return plain


def decode_report(plain: bytes, now: int) -> Report:
    """Decodes a report, cleaned and bounded but for its frames, which are still JSON.

    Args:
        plain: decompressed.
        now: this side's Unix milliseconds, to bound the future.

    Raises:
        ProtocolMismatch: a newer wire format.
        MalformedInput: not a report, or out of bounds; says where.
    """
    try:
        report = _reports.decode(plain)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as error:
        if (schema := _schema(plain)) > wire.SCHEMA:
            raise _newer(schema) from None
        raise MalformedInput(f"report: {clean_text(str(error), 300)}") from None
    if report.schema > wire.SCHEMA:
        raise _newer(report.schema)
    for count, most, what in (
        (len(report.frames), MAX_FRAMES, "frames"),
        (len(report.spans), MAX_SPANS, "spans"),
        (len(report.events), MAX_EVENTS, "events"),
        (len(report.evidence), MAX_EVIDENCE, "records of evidence"),
        (len(report.metrics), MAX_METRICS, "metrics"),
    ):
        if count > most:
            raise MalformedInput(f"report: {count} {what} are more than {most}")
    try:
        host = clean.record(report.host, "$.host")
        clean.identifier(host.id, "$.host.id")
        clean.identifier(report.run, "$.run")
        if report.boot:
            clean.identifier(report.boot, "$.boot")
        clean.identifier(report.batch, "$.batch")
        clean.moment(report.time, "$.time")
        if report.catalogue:
            clean.identifier(report.catalogue, "$.catalogue")
        if not 1.0 <= report.interval <= MAX_INTERVAL:
            raise MalformedInput(f"$.interval: {report.interval} is not 1 to {MAX_INTERVAL:.0f} seconds")
        metrics = clean.records(report.metrics, "$.metrics")
        for metric in metrics:
            wire.check_metric(metric)
        for span in report.spans:
            _check_span(span, host.id)
        events = [wire.short_event(each) for each in clean.records(report.events, "$.events")]
        for event in events:
            clean.moment(event.time, "$.events[].time", now)
            _check_host(event.host, host.id, "$.events[].host")
        evidence = [
            msgspec.structs.replace(each, processes=each.processes[:MAX_BUSIEST], talkers=each.talkers[:MAX_BUSIEST])
            for each in clean.records(report.evidence, "$.evidence")
        ]
        for each in evidence:
            clean.moment(each.time, "$.evidence[].time", now)
            _check_host(each.host, host.id, "$.evidence[].host")
    except MalformedInput as error:
        raise MalformedInput(f"report: {error.message}", error.hint) from None
    return msgspec.structs.replace(
        report, host=host, metrics=metrics, events=events, evidence=evidence, version=clean.text(report.version)
    )


def decode_answer(body: bytes, host: str) -> Acknowledgement:
    """Decodes a hub's answer to a report of `host`, cleaned and bounded.

    Raises:
        MalformedInput: it is none, or speaks of another host.
    """
    try:
        answer = _answers.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as error:
        raise MalformedInput(f"answer to a report: {clean_text(str(error), 300)}") from None
    try:
        clean.identifier(answer.server, "$.server")
        clean.moment(answer.time, "$.time")
        if len(answer.held) > 4 * MAX_SPANS:
            raise MalformedInput(f"$.held: {len(answer.held)} spans are more than {4 * MAX_SPANS}")
        if not 0 <= answer.since <= clean.MAX_TIME or not 0 <= answer.refused <= MAX_FRAMES:
            raise MalformedInput("$.since or $.refused is out of bounds")
        for span in answer.held:
            _check_span(span, host)
    except MalformedInput as error:
        raise MalformedInput(f"answer to a report: {error.message}", error.hint) from None
    return msgspec.structs.replace(
        answer, acknowledged=clean.text(answer.acknowledged), problem=clean.text(answer.problem, 300)
    )


def _newer(schema: int) -> ProtocolMismatch:
    return ProtocolMismatch(
        f"the report has wire format {schema}, this hub knows {wire.SCHEMA}", "update the hub first, then its agents"
    )


class _Versioned(msgspec.Struct):
    schema: int


def _schema(plain: bytes) -> int:
    """The version of what could not be decoded; 0 where even that is missing."""
    try:
        return msgspec.json.decode(plain, type=_Versioned).schema
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError):
        return 0


def _check_span(span: RunSpan, host: str) -> None:
    wire.check_span(span)
    _check_host(span.host, host, "$.spans[].host")
    if span.boot:
        clean.identifier(span.boot, "$.spans[].boot")


def _check_host(given: str, host: str, path: str) -> None:
    if given != host:
        raise MalformedInput(f"{path}: {clean_text(given, 60)!a} is not the host of this report")
