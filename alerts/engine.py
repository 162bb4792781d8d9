"""Threshold rules over the state of hosts: pending → firing → acknowledged → resolved.

`for` and `keep` run on this process's boot clock, so a step of the wall clock fires nothing. A missing value is not a
value: what it means is the
rule's `no_data`. An instance that its collector no longer has (an unmounted filesystem) resolves its alerts.
"""

from __future__ import annotations

import hashlib
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from sysmon.caps import COLLECTOR
from sysmon.evidence import describe, top
from sysmon.frame import split_key
from sysmon.records import AlertState, Event
from sysmon.units import format_duration, format_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sysmon.catalogue import Catalogue
    from sysmon.clock import Clock
    from sysmon.config import Rule
    from sysmon.derive import State
    from sysmon.records import AlertStatus, HostInfo

Key = tuple[str, str, str]
"""Host id, rule's name, series key."""

RESTORE_GAP = 120.0
"""Seconds without evaluation after which a pending alert starts anew."""

SETTLE = 60.0
"""Seconds after first contact, or contact found again, in which what is not there yet is not missing. Of a collector
that reads seldom it is two and a half of its intervals: a rate wants two reads."""

RETELL = 5.0
"""The least seconds between two tellings of one alert whose status stays and whose message changes."""


class Outcome(NamedTuple):
    """What one evaluation changed."""

    events: list[Event]
    states: list[AlertState]


class _Track:
    """One alert in being, with the boot-clock times (ns) that its state stands for."""

    __slots__ = ("clear_since", "seen", "since", "state", "told", "told_at")

    def __init__(self, state: AlertState, since: int, boot: int, seen: int | None = None) -> None:
        self.state = state
        self.since = since
        self.seen = seen
        self.clear_since: int | None = None
        self.tell(boot)

    def tell(self, boot: int) -> AlertState:
        """Returns the state for the readers, and remembers what they have seen and when."""
        self.told = (self.state.message, self.state.severity)
        self.told_at = boot
        return self.state

    def outdated(self, boot: int) -> bool:
        """Whether the readers' copy shows something else, and was told long enough ago."""
        return self.told != (self.state.message, self.state.severity) and boot - self.told_at >= RETELL * 1e9


class _Tracks(dict[Key, _Track]):
    """All alerts in being, and those of each host."""

    def __init__(self) -> None:
        super().__init__()
        self._hosts: dict[str, dict[Key, None]] = {}

    def __setitem__(self, where: Key, track: _Track) -> None:
        super().__setitem__(where, track)
        self._hosts.setdefault(where[0], {})[where] = None

    def __delitem__(self, where: Key) -> None:
        super().__delitem__(where)
        del self._hosts[where[0]][where]

    def of(self, host: str) -> list[Key]:
        """Returns where the alerts of one host are."""
        return list(self._hosts.get(host, ()))


class Engine:
    """Evaluates rules; one for all hosts that this process records."""

    def __init__(self, rules: Iterable[Rule], catalogue: Catalogue, clock: Clock) -> None:
        self.rules = {rule.name: rule for rule in rules if rule.enabled}
        self._metrics = frozenset(rule.metric for rule in self.rules.values())
        self.catalogue = catalogue
        self.clock = clock
        self._tracks = _Tracks()
        self._matching: dict[tuple[str, str], tuple[Rule, ...]] = {}
        self._labels: dict[str, tuple[str, ...]] = {}
        self._contact: dict[str, int] = {}
        self._given: dict[str, dict[str, float]] = {}

    def give(self, host: str, values: Mapping[str, float]) -> None:
        """Takes what was worked out of a host's past, by series key: held against the rules beside what its frames say.

        Args:
            host: id.
            values: all there are now; a series given before and not any more is gone.
        """
        self._given[host] = dict(values)

    def restore(self, states: Iterable[AlertState], last_seen: int | None = None) -> list[Event]:
        """Takes up the states of an earlier process.

        Args:
            states: as they were last recorded.
            last_seen: wall milliseconds of the last evaluation; a pending alert older than `RESTORE_GAP` starts anew.

        Returns:
            Events of alerts whose rule is gone: they are resolved.
        """
        now, boot = self.clock.now(), self.clock.boottime()
        recent = last_seen is not None and abs(now - last_seen) <= RESTORE_GAP * 1000
        events = []
        for state in states:
            if state.rule not in self.rules:
                gone = msgspec.structs.replace(state, status="resolved", since=now)
                events.append(self._event(gone, "alert.resolved", f"{state.message}: the rule was removed"))
            elif state.status in ("firing", "acknowledged") or (state.status == "pending" and recent):
                elapsed = max(0, now - state.started) if recent else 0
                since = boot - elapsed * 1_000_000
                self._tracks[(state.host, state.rule, state.key)] = _Track(state, since, boot)
        return events

    @property
    def states(self) -> list[AlertState]:
        """All alerts in being, worst and oldest first."""
        order = {"critical": 0, "warning": 1, "info": 2}
        states = [track.state for track in self._tracks.values()]
        return sorted(states, key=lambda state: (state.status == "pending", order[state.severity], state.started))

    def brewing(self, host: str) -> bool:
        """Whether a rule's condition holds on a host that has not lasted long enough yet."""
        return any(self._tracks[where].state.status == "pending" for where in self._tracks.of(host))

    def found(self, host: str) -> None:
        """Notes that contact with a host is found again: what it did meanwhile is not known.

        A condition that was pending has not been seen to last, and one that was over has not been seen to stay so.
        """
        boot = self.clock.boottime()
        self._contact[host] = boot
        for where in self._tracks.of(host):
            track = self._tracks[where]
            track.clear_since = None
            if track.state.status == "pending":
                track.since = boot
                track.state = msgspec.structs.replace(track.state, started=self.clock.now())

    def _settled(self, host: str, rule: Rule, state: State, seen: int | None) -> bool:
        """Whether a value that is not there is missing, rather than not there yet.

        Args:
            host: id.
            rule: that looks for it.
            state: of the host.
            seen: boot clock (ns) of when it was last there, or None.
        """
        contact, boot = self._contact[host], self.clock.boottime()
        if seen is not None and seen >= contact:
            return True
        metric = self.catalogue.get(rule.metric)
        interval = state.intervals.get(metric.collector, 0.0) if metric else 0.0
        return boot - contact >= max(SETTLE, 2.5 * interval) * 1e9

    def acknowledge(self, host: str, rule: str, key: str, who: str) -> Outcome:
        """Marks a firing alert as seen; it stays until it resolves."""
        track = self._tracks.get((host, rule, key))
        if track is None or track.state.status != "firing":
            return Outcome([], [])
        track.state = msgspec.structs.replace(
            track.state, status="acknowledged", acknowledged_by=who, since=self.clock.now()
        )
        event = self._event(track.state, "alert.acknowledged", f"{track.state.message}: seen by {who}")
        return Outcome([event], [track.tell(self.clock.boottime())])

    def forget(self, host: str) -> Outcome:
        """Ends all alerts of a host that is not watched any more; nothing would ever resolve them."""
        outcome = Outcome([], [])
        for where in self._tracks.of(host):
            self._resolve(outcome, where, "the host is not watched any more")
        self._contact.pop(host, None)
        self._labels.pop(host, None)
        self._given.pop(host, None)
        self._matching = {key: rules for key, rules in self._matching.items() if key[0] != host}
        return outcome

    def evaluate(self, info: HostInfo, state: State) -> Outcome:
        """Holds one host's present state against the rules.

        Returns:
            The events to record and the alert states that changed (a resolved one carries status `resolved`; one
            whose status stays comes again when its message is another, at most every `RETELL` seconds).
        """
        outcome = Outcome([], [])
        self._labels[info.id] = (info.name, info.hostname, info.id)
        self._contact.setdefault(info.id, self.clock.boottime())
        values = state.some(self._metrics)
        given = self._given.get(info.id)
        if given:
            values = {**values, **given}
        for key, value in values.items():
            for rule in self._rules_for(info.id, key):
                self._step(outcome, info.id, rule, key, state, self._holds(info.id, rule, key, value), value)
        for host, name, key in self._tracks.of(info.id):
            if key not in values:
                self._missing(outcome, host, self.rules[name], key, state)
            elif self.rules[name] not in self._rules_for(host, key):
                self._resolve(outcome, (host, name, key), "the rule was changed")
        for rule in self.rules.values():
            if rule.no_data != "fire" or rule.metric in values or not self._expected(info.id, rule):
                continue
            known = self._tracks.get((info.id, rule.name, rule.metric))
            if self._settled(info.id, rule, state, known.seen if known else None):
                self._step(outcome, info.id, rule, rule.metric, state, True, None)
        return outcome

    def _expected(self, host: str, rule: Rule) -> bool:
        metric = self.catalogue.get(rule.metric)
        return metric is not None and not metric.instance and self._applies(host, rule)

    def _applies(self, host: str, rule: Rule) -> bool:
        return any(fnmatchcase(label, glob) for glob in rule.hosts for label in self._labels[host] if label)

    def _rules_for(self, host: str, key: str) -> tuple[Rule, ...]:
        found = self._matching.get((host, key))
        if found is None:
            metric, instance = split_key(key)
            found = self._matching[(host, key)] = tuple(
                rule
                for rule in self.rules.values()
                if rule.metric == metric and fnmatchcase(instance, rule.instance) and self._applies(host, rule)
            )
        return found

    def _holds(self, host: str, rule: Rule, key: str, value: float) -> bool:
        """Whether the condition holds; one that fires holds until the clear threshold is passed."""
        track = self._tracks.get((host, rule.name, key))
        firing = track is not None and track.state.status != "pending"
        if rule.above is not None:
            return value > (rule.clear if firing and rule.clear is not None else rule.above)
        if rule.below is not None:
            return value < (rule.clear if firing and rule.clear is not None else rule.below)
        return False

    def _missing(self, outcome: Outcome, host: str, rule: Rule, key: str, state: State) -> None:
        metric = self.catalogue.get(rule.metric)
        collector = metric.collector if metric else ""
        faulty = any(fault.collector == collector for fault in state.faults)
        if collector == COLLECTOR:
            if host in self._given:
                self._resolve(outcome, (host, rule.name, key), "it is gone")
            return
        gone = collector in state.reads and not state.stale(collector) and not faulty and ":" in key
        if gone:
            self._resolve(outcome, (host, rule.name, key), "it is gone")
        elif not self._settled(host, rule, state, self._tracks[host, rule.name, key].seen):
            return
        elif rule.no_data == "clear":
            self._step(outcome, host, rule, key, state, False, None)
        elif rule.no_data == "fire" and ":" in key:
            self._step(outcome, host, rule, key, state, True, None)

    def _step(
        self, outcome: Outcome, host: str, rule: Rule, key: str, state: State, holds: bool, value: float | None
    ) -> None:
        where = (host, rule.name, key)
        track = self._tracks.get(where)
        boot, now = self.clock.boottime(), self.clock.now()
        if track is not None and value is not None:
            track.seen = boot
        if not holds:
            if track is None:
                return
            if track.state.status == "pending":
                del self._tracks[where]
                outcome.states.append(msgspec.structs.replace(track.state, status="resolved", since=now))
                return
            if track.clear_since is None:
                track.clear_since = boot
            if boot - track.clear_since >= rule.keep * 1e9:
                self._resolve(outcome, where, f"now {self._value(rule, value)}", value)
            else:
                track.state = msgspec.structs.replace(track.state, value=value, message=self._message(rule, key, value))
                if track.outdated(boot):
                    outcome.states.append(track.tell(boot))
            return
        threshold = rule.above if rule.above is not None else rule.below
        message = self._message(rule, key, value)
        if track is None:
            started = AlertState(
                host=host,
                rule=rule.name,
                key=key,
                status="pending",
                severity=rule.severity,
                since=now,
                started=now,
                value=value,
                threshold=threshold,
                message=message,
            )
            track = self._tracks[where] = _Track(started, boot, boot, None if value is None else boot)
            if rule.hold > 0:
                outcome.states.append(track.tell(boot))
        track.clear_since = None
        track.state = msgspec.structs.replace(
            track.state, value=value, severity=rule.severity, threshold=threshold, message=message
        )
        if track.state.status == "pending" and boot - track.since >= rule.hold * 1e9:
            event = self._event(
                msgspec.structs.replace(track.state, status="firing"),
                "alert.firing",
                track.state.message,
                [describe(row) for row in top(state.processes, 3)],
            )
            track.state = msgspec.structs.replace(track.state, status="firing", since=now, event=event.id)
            outcome.events.append(event)
            outcome.states.append(track.tell(boot))
        elif track.outdated(boot):
            outcome.states.append(track.tell(boot))

    def _resolve(self, outcome: Outcome, where: Key, why: str, value: float | None = None) -> None:
        track = self._tracks[where]
        del self._tracks[where]
        now = self.clock.now()
        ended = msgspec.structs.replace(track.state, status="resolved", since=now, value=value)
        outcome.states.append(ended)
        if track.state.status != "pending":
            lasted = format_duration(max(0, now - track.state.started) / 1000)
            message = f"{self._name(where[2])}: {why}, after {lasted}"
            outcome.events.append(self._event(ended, "alert.resolved", message))

    def _name(self, key: str) -> str:
        metric, instance = split_key(key)
        return f"{metric} of {instance}" if instance else metric

    def _value(self, rule: Rule, value: float | None) -> str:
        metric = self.catalogue.get(rule.metric)
        return "no data" if value is None else format_value(value, metric.unit if metric else "")

    def _message(self, rule: Rule, key: str, value: float | None) -> str:
        if value is None:
            return f"{self._name(key)} has no data"
        word, level = ("above", rule.above) if rule.above is not None else ("below", rule.below)
        beyond = level is not None and (value > level if rule.above is not None else value < level)
        lasting = f" for {format_duration(rule.hold)}" if rule.hold and beyond else ""
        no_longer = "" if beyond else "no longer "
        return f"{self._name(key)} is {self._value(rule, value)}, {no_longer}{word} {self._value(rule, level)}{lasting}"

    def _event(self, state: AlertState, kind: str, message: str, evidence: list[str] | None = None) -> Event:
        status: AlertStatus = state.status
        text = "\0".join((state.host, state.rule, state.key, str(state.started), status, kind))
        return Event(
            id=hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest(),
            time=self.clock.now(),
            host=state.host,
            kind=kind,
            severity=state.severity,
            message=message,
            rule=state.rule,
            key=state.key,
            value=state.value,
            threshold=state.threshold,
            evidence=evidence or [],
        )
