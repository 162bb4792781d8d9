"""What is kept and sent beside frames: hosts, events, alert states, gaps, and answers of the history.

Times are integer milliseconds UTC unless a field says otherwise. JSON for people (commands, `/v1/history`) turns them
into RFC 3339.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from sysmon.catalogue import Metric
from sysmon.frame import DeviceRow, Frame, Number, ProcessRow, TalkerRow

Severity = Literal["info", "warning", "critical"]
AlertStatus = Literal["pending", "firing", "acknowledged", "resolved"]
Liveness = Literal["connecting", "live", "late", "stale", "offline", "paused", "replay"]


class HostInfo(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Who a host is: what does not change from tick to tick.

    `id` is the stable id of its frames; `hostname` and `name` (the configured one) are labels. `target`: where its
    frames come from ('local', 'http://…'). `origin`: of a host behind a hub, where that hub has it from, or ''.
    `container`: kind of container sysmon itself runs in, or empty. `timezone`: IANA name or UTC offset. `tags`: words
    to group hosts by. `expected_off`: that it is away is nothing wrong. `via`: ids of the hubs its frames came through,
    the nearest to the reader last. `hub`: of the host that a hub runs on, the id of that hub.
    """

    id: str
    hostname: str = ""
    name: str = ""
    target: str = "local"
    origin: str = ""
    os: str = ""
    kernel: str = ""
    arch: str = ""
    cpu_model: str = ""
    cpus: int = 0
    memory: int = 0
    virtualization: str = ""
    container: str = ""
    timezone: str = ""
    version: str = ""
    tags: list[str] = []
    expected_off: bool = False
    via: list[str] = []
    hub: str = ""

    @property
    def label(self) -> str:
        """The name to show: configured, else the hostname, else the id."""
        return self.name or self.hostname or self.id


class Event(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Something that happened on or to a host.

    Attributes:
        id: unique and stable, so that an event received twice is kept once.
        kind:
            alert.pending|alert.firing|alert.resolved|alert.no_data|host.up|host.down|host.off|network.lost|network.back|
            hub.lost|hub.back|clone|boot|run|oom|clock|gap|recording|…
        host: '' where it is about no host: this side's network, a hub, the history.
        rule, key: of an alert: its rule's name and the series key.
        value: of the series at that moment; threshold: what it was held against.
        evidence: short lines: who was it (top processes …).
        late: found in frames that arrived behind the present; never notified.
        via: of one about no host, the ids of the servers that it came through: first whose it is, the nearest last.
    """

    id: str
    time: int
    host: str
    kind: str
    severity: Severity = "info"
    message: str = ""
    rule: str = ""
    key: str = ""
    value: float | None = None
    threshold: float | None = None
    evidence: list[str] = []
    late: bool = False
    via: list[str] = []


class AlertState(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The state of one rule on one series of one host. `since`: when it entered `status`; `started`: when the
    condition began.
    """

    host: str
    rule: str
    key: str
    status: AlertStatus
    severity: Severity = "warning"
    since: int = 0
    started: int = 0
    value: float | None = None
    threshold: float | None = None
    message: str = ""
    acknowledged_by: str = ""
    event: str = ""


class Gap(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Frames of one run that are not here. `first` and `last` are seqs, both missing; `start` and `end` their times
    where known.
    """

    host: str
    run: str
    first: int
    last: int
    start: int | None = None
    end: int | None = None
    status: Literal["pending", "lost"] = "pending"


class RunSpan(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Frames `first`..`last` (seqs, all held, no holes) of one run; where fewer were asked for, each `every`-th."""

    host: str
    run: str
    boot: str
    first: int
    last: int
    start: int
    end: int
    every: int = 1


class Point(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step of a series; `count` reads, statistics over them. `time` is the start of the step."""

    time: int
    count: int
    min: float
    mean: float
    max: float
    last: float
    p95: float | None = None


class Stats(msgspec.Struct, frozen=True, omit_defaults=True):
    """Statistics over a whole range."""

    count: int
    min: float
    mean: float
    max: float
    p95: float
    last: float


class Series(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One series over a range. `step`: milliseconds; `estimated`: some of it is spread over a gap."""

    host: str
    metric: str
    instance: str = ""
    unit: str = ""
    step: int
    points: list[Point]
    stats: Stats | None = None


class Span(msgspec.Struct, frozen=True):
    """A stretch of time without data."""

    start: int
    end: int


class SeriesQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to read: a raw or derived metric of one host, its instances by glob, from `start` to `end` in at most
    `points` steps.
    """

    host: str
    metric: str
    instance: str = "*"
    start: int
    end: int
    points: int = 500


class SeriesAnswer(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The series found, and when there was no data at all."""

    series: list[Series]
    gaps: list[Span] = []


ACCOUNTED = ("net.receive", "net.transmit", "disk.read", "disk.write", "device.receive", "device.transmit")
"""Byte counters whose totals are kept for ever."""


class Usage(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Bytes of one counter in one bucket. `at_least`: a reset lies in it; `estimated`: part is spread over a gap."""

    host: str
    key: str
    start: int
    end: int
    bytes: int
    at_least: bool = False
    estimated: bool = False


class UsagePiece(msgspec.Struct, frozen=True):
    """Bytes of one counter (`net.receive:eth0`) in one stretch of time, as another accountant counted them."""

    key: str
    start: int
    end: int
    bytes: int


class Past(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What somebody else counted of a host, from before it was watched here.

    Pieces of one key never overlap. `source`: vnstat, or agent for what the host's own agent kept. `time`: up to when
    it was counted.
    """

    host: str
    source: str
    time: int
    pieces: list[UsagePiece]


class KnownDevice(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A device of a router's LAN as the history knows it.

    `host`: of the router. `row`: as last seen. `first`, `last`: when it first and last was there or moved bytes.
    `alias`, `category`: given by a user, or ''; they go before the row's own.
    """

    host: str
    key: str
    row: DeviceRow
    first: int
    last: int
    alias: str = ""
    category: str = ""

    @property
    def label(self) -> str:
        """The name to show: given, else the network's, else vendor and end of the MAC, else the key."""
        row = self.row
        if self.alias or row.name:
            return self.alias or row.name
        return f"{row.vendor.split()[0]} {row.mac[-8:]}" if row.vendor and row.mac else self.key


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Who was busiest at a moment: the top processes with their rates, and the top users of the network."""

    host: str
    time: int
    processes: list[ProcessRow]
    talkers: list[TalkerRow] = []


class Moment(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One instant of the past as a screen needs it: the full state, its predecessor (full), and the nearest evidence
    before it.
    """

    frame: Frame
    previous: Frame | None = None
    evidence: Evidence | None = None


class HistoryStatus(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How the history is: where, how large, since when, who records, and what is wrong with it. `push`: of an agent
    that pushes, how that goes.
    """

    path: str
    bytes: int = 0
    since: int | None = None
    recorder: str = ""
    problem: str = ""
    push: str = ""


class Hello(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The first event of a stream: schema, server, its hosts, the catalogue's entries used. `hub`: id of a recorder
    that serves what it takes from others, or ''; hosts that came through it have that id in their `via`. `unreached`:
    its configured hosts that were never reached, all of them.
    """

    schema: int
    version: str
    server: str
    hub: str = ""
    time: int
    hosts: list[HostInfo]
    metrics: list[Metric]
    spans: list[RunSpan] = []
    alerts: list[AlertState] = []
    unreached: list[Status] = []


class Status(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How fresh a host's data is.

    Attributes:
        host: its id, or '' where a configured host was never reached; `name`: the configured name, or ''.
        since: this side's boot clock (ns) of the last frame. `skew`: its clock minus ours, in ms.
        age: seconds since the last frame, where that was asked for; else None.
        gone: that nothing is said of it any more: a host is no longer followed, or one that was never reached has an id
            now or is no longer configured. Whoever shows it lets go of it.
        via: of one never reached, the ids of the hubs that tell of it, as in `HostInfo`; so `tags` and `expected_off`.
    """

    host: str
    name: str = ""
    state: Liveness
    message: str = ""
    since: int = 0
    skew: int | None = None
    target: str = ""
    age: float | None = None
    gone: bool = False
    via: list[str] = []
    tags: list[str] = []
    expected_off: bool = False

    @property
    def key(self) -> str:
        """What it is kept under: the id, or of a host never reached '@', the hubs that tell of it and its name."""
        return self.host or "@" + "/".join([*self.via, self.name])


Update = Frame | HostInfo | Status | Event | AlertState | Gap | Hello
"""What a source yields."""

Value = Number | None
