"""Alerts in being and what happened before, as rows of one list: worst first, then newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from sysmon.frame import split_key
from sysmon.units import MISSING, format_duration, format_time, format_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sysmon.catalogue import Catalogue
    from sysmon.records import AlertState, Event, Severity

Group = Literal["active", "acknowledged", "past"]
Kind = Literal["all", "alerts", "events"]

KINDS: Final[tuple[Kind, ...]] = ("all", "alerts", "events")
_ORDER: Final[Mapping[str, int]] = {"critical": 0, "warning": 1, "info": 2}
_WORDS: Final[Mapping[str, str]] = {
    "host.up": "host up",
    "host.down": "host down",
    "host.off": "host off",
    "network.lost": "network lost",
    "network.back": "network back",
    "hub.lost": "hub lost",
    "hub.back": "hub back",
    "clone": "cloned",
    "oom": "out of memory",
    "boot": "booted",
    "run": "started",
    "clock": "clock jumped",
    "gap": "gap",
    "recording": "recording",
}
"""Kinds of host events in words; others are shown as they are."""


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert in being, one that is over (from firing to resolved), or something that happened to a host.

    Attributes:
        id: stable, for the cursor.
        state: firing, pending, acknowledged, resolved, fired (its end is not known), or the word for an event.
        since: when it began, Unix milliseconds. `moment`: when it fired or happened: where to go.
        until: when it was resolved, None while it lasts or where that is not known.
        lasted: seconds so far or in all; None where it is not known.
        rule, key, value, threshold: of an alert, '' and None of others.
        unit: of the value.
        evidence: who it was, as far as the event tells. `by`: who acknowledged it.
    """

    id: str
    group: Group
    host: str
    host_label: str
    severity: Severity
    state: str
    since: int
    moment: int
    until: int | None = None
    lasted: float | None = None
    rule: str = ""
    key: str = ""
    value: float | None = None
    threshold: float | None = None
    unit: str = ""
    message: str = ""
    evidence: tuple[str, ...] = ()
    by: str = ""

    @property
    def subject(self) -> str:
        """The series in words, or the message of what has none."""
        if not self.key:
            return self.message
        metric, instance = split_key(self.key)
        return f"{metric} {instance}" if instance else metric

    @property
    def value_text(self) -> str:
        """The value with its unit."""
        return MISSING if self.value is None else format_value(self.value, self.unit)

    @property
    def threshold_text(self) -> str:
        """The threshold with its unit, and on which side of it the value was."""
        if self.threshold is None:
            return ""
        text = format_value(self.threshold, self.unit).replace(".0 ", " ")
        if self.value is None or (self.until is not None and self.lasted is None):
            return text
        return f"{'>' if self.value > self.threshold else '<'} {text}"

    def lasted_text(self) -> str:
        """How long it lasted, in its larger unit."""
        return "" if self.lasted is None else format_duration(self.lasted, short=True)

    def matches(self, words: Sequence[str]) -> bool:
        """Whether every word is found in some text of the row, without regard to case."""
        text = " ".join(
            (self.state, self.severity, self.host_label, self.rule, self.key, self.message, *self.evidence)
        ).casefold()
        return all(word in text for word in words)


def when(time: int, now: int) -> str:
    """A moment as short as it can be told: the time alone today, the date with it before."""
    full, today = format_time(time), format_time(now)
    if full[:10] == today[:10]:
        return full[11:]
    return full[5:16] if full[:4] == today[:4] else full[:10]


class Rows:
    """Builds rows; `catalogue` gives units, `labels` the names of hosts."""

    def __init__(self, catalogue: Catalogue, labels: Mapping[str, str]) -> None:
        self.catalogue = catalogue
        self.labels = labels

    def _unit(self, key: str) -> str:
        metric = self.catalogue.of_key(key)
        return metric.unit if metric is not None else ""

    def _label(self, host: str) -> str:
        return self.labels.get(host, host)

    def active(self, alerts: Iterable[AlertState], events: Iterable[Event], now: int) -> list[AlertRow]:
        """Rows of alerts in being: firing before pending, worst and oldest first, acknowledged ones at the end."""
        known = {event.id: event for event in events if event.kind == "alert.firing"}
        rows = []
        for alert in alerts:
            event = known.get(alert.event)
            started = alert.started or alert.since
            fired = event.time if event is not None else alert.since if alert.status == "firing" else started
            rows.append(
                AlertRow(
                    id=f"{alert.host}\0{alert.rule}\0{alert.key}",
                    group="acknowledged" if alert.status == "acknowledged" else "active",
                    host=alert.host,
                    host_label=self._label(alert.host),
                    severity=alert.severity,
                    state=alert.status,
                    since=started,
                    moment=fired,
                    lasted=_coarse(max(0, now - started) / 1000),
                    rule=alert.rule,
                    key=alert.key,
                    value=alert.value,
                    threshold=alert.threshold,
                    unit=self._unit(alert.key),
                    message=alert.message,
                    evidence=tuple(event.evidence) if event is not None else (),
                    by=alert.acknowledged_by,
                )
            )
        stages = {"firing": 0, "pending": 1, "acknowledged": 2}
        return sorted(rows, key=lambda row: (stages.get(row.state, 3), _ORDER[row.severity], row.since, row.id))

    def past(self, events: Iterable[Event], active: Iterable[AlertRow] = ()) -> list[AlertRow]:
        """Rows of what is over, newest first: one for each alert from firing to resolved, one for each other event."""
        lasting = {(row.host, row.rule, row.key) for row in active}
        ends: dict[tuple[str, str, str], Event] = {}
        rows = []
        for event in sorted({event.id: event for event in events}.values(), key=lambda event: (-event.time, event.id)):
            where = (event.host, event.rule, event.key)
            if event.kind == "alert.resolved":
                if where in ends:
                    rows.append(self._row(ends[where], "resolved", None, ends[where]))
                ends[where] = event
            elif event.kind == "alert.firing":
                end = ends.pop(where, None)
                if end is not None:
                    rows.append(self._row(event, "resolved", event.time, end))
                elif where in lasting:
                    lasting.discard(where)
                else:
                    rows.append(self._row(event, "fired", event.time, None))
            elif event.kind not in ("alert.acknowledged", "alert.pending"):
                kind = event.kind
                word = kind.removeprefix("alert.").replace("_", " ") if kind.startswith("alert.") else _WORDS.get(kind)
                rows.append(self._row(event, word or kind, None, None))
        rows += [self._row(end, "resolved", None, end) for end in ends.values()]
        return sorted(rows, key=lambda row: (-row.moment, row.id))

    def _row(self, event: Event, state: str, fired: int | None, end: Event | None) -> AlertRow:
        return AlertRow(
            id=event.id,
            group="past",
            host=event.host,
            host_label=self._label(event.host),
            severity=event.severity,
            state=state,
            since=event.time,
            moment=event.time,
            until=end.time if end is not None else None,
            lasted=(end.time - fired) / 1000 if end is not None and fired is not None else None,
            rule=event.rule,
            key=event.key,
            value=event.value,
            threshold=event.threshold,
            unit=self._unit(event.key),
            message=event.message,
            evidence=tuple(event.evidence),
        )


def _coarse(seconds: float) -> float:
    """A duration that changes no more often than its short form does."""
    for size in (86400, 3600, 60, 1):
        if seconds >= size:
            return seconds // size * size
    return 0.0


def is_alert(row: AlertRow) -> bool:
    """Whether a row is of a rule, rather than of the host itself."""
    return bool(row.rule) or row.group != "past"


def chosen(rows: Iterable[AlertRow], kind: Kind, text: str) -> list[AlertRow]:
    """The rows of a kind that hold every word of a text."""
    words = text.casefold().split()
    return [
        row
        for row in rows
        if (kind == "all" or (kind == "alerts") == is_alert(row)) and (not words or row.matches(words))
    ]


def alerts_at(events: Iterable[Event], time: int) -> list[AlertState]:
    """The alerts that fired at a moment of the past, as far as the events before it tell."""
    from sysmon.records import AlertState

    found: dict[tuple[str, str, str], AlertState] = {}
    for event in sorted(events, key=lambda event: event.time):
        if event.time > time:
            break
        where = (event.host, event.rule, event.key)
        if event.kind == "alert.firing":
            found[where] = AlertState(
                host=event.host, rule=event.rule, key=event.key, status="firing", severity=event.severity,
                since=event.time, started=event.time, value=event.value, threshold=event.threshold,
                message=event.message, event=event.id,
            )  # fmt: skip
        elif event.kind == "alert.resolved":
            found.pop(where, None)
        elif event.kind == "alert.acknowledged" and where in found:
            old = found[where]
            found[where] = AlertState(
                host=old.host, rule=old.rule, key=old.key, status="acknowledged", severity=old.severity,
                since=event.time, started=old.started, value=old.value, threshold=old.threshold,
                message=old.message, event=old.event,
            )  # fmt: skip
    return list(found.values())


def quiet_since(events: Iterable[Event]) -> int | None:
    """When the last alert fired or was resolved; None where none is known."""
    return max((event.time for event in events if event.kind in ("alert.firing", "alert.resolved")), default=None)
