"""How a stream begins: hello, how fresh the hosts are, a full state of each, what was missed.

Many readers may come at once, as after a hub's restart: a host's state is encoded once a frame, however many ask.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from remote import sse, wire
from remote.server.reduced import only
from sysmon.frame import split_key
from sysmon.records import Hello

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remote.server.fanout import ViewKey
    from remote.server.feed import Feed
    from remote.server.ring import Ring
    from sysmon.catalogue import Metric
    from sysmon.derive import State
    from sysmon.frame import Frame
    from sysmon.records import RunSpan

CURSOR = re.compile(r"([0-9a-f]{16})-([0-9]{1,18})")
"""An SSE id: the server's run, and the order of arrival there."""
FORMS = 4
"""Forms of one host's state that are kept encoded."""


class _Names:
    """The raw metrics that a host has had, and how many keys of them."""

    __slots__ = ("keys", "metrics")

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.metrics: set[str] = set()


class Openings:
    """Makes the first bytes of streams.

    Args:
        feed: whose streams they are. `states`: the present states of its hosts. `ring`: what came in lately.
    """

    def __init__(self, feed: Feed, states: dict[str, State], ring: Ring) -> None:
        self._feed = feed
        self._states = states
        self._ring = ring
        self._names: dict[str, _Names] = {}
        self._encoded: dict[str, dict[tuple[frozenset[str], frozenset[str] | None], tuple[Frame, bytes]]] = {}

    def note(self, frame: Frame) -> None:
        """Notes which metrics a host has."""
        names = self._names.get(frame.host)
        if names is None:
            names = self._names[frame.host] = _Names()
        if not frame.readings.keys() <= names.keys:
            if len(names.keys) > 10 * len(frame.readings) + 1000:
                # Instances come and go: names alone are kept of those that went.
                names.keys.clear()
            fresh = frame.readings.keys() - names.keys
            names.keys |= fresh
            names.metrics.update(split_key(key)[0] for key in fresh)

    def forget(self, host: str) -> None:
        """Drops a host."""
        self._names.pop(host, None)
        self._encoded.pop(host, None)

    def used_metrics(self, hosts: frozenset[str] | None) -> list[Metric]:
        """Returns the catalogue entries that the hosts' readings use, raw and derived."""
        raw: set[str] = set()
        for host, names in self._names.items():
            if hosts is None or host in hosts:
                raw |= names.metrics
        return [
            metric
            for metric in self._feed.catalogue
            if metric.name in raw or (metric.formula is not None and not raw.isdisjoint(metric.formula.over))
        ]

    def hello(self, hosts: frozenset[str] | None, spans: Sequence[RunSpan], now: int) -> Hello:
        """Builds the first event."""
        feed = self._feed
        return Hello(
            schema=wire.SCHEMA,
            version=feed.version,
            server=feed.server,
            hub=feed.hub,
            time=now,
            hosts=[info for info in feed.hosts.values() if hosts is None or info.id in hosts],
            metrics=self.used_metrics(hosts),
            spans=[span for span in spans if hosts is None or span.host in hosts],
            alerts=[state for state in feed.alerts.values() if hosts is None or state.host in hosts],
            unreached=feed.unreached if hosts is None else [],
        )

    def make(self, key: ViewKey, last_id: str, spans: Sequence[RunSpan], now: int) -> bytes:
        """Returns all events before the live ones, for a reader that left at `last_id`."""
        feed = self._feed
        missed = self._missed(key, last_id, spans)
        # With the id, a reader that is cut off before the first frame still knows where it was; but the cursor must not
        # run ahead of what is sent again.
        id = "" if missed else f"{feed.server}-{feed.arrival}"
        hello = sse.encode("hello", wire.encode_json(self.hello(key.hosts, spans, now)), id)
        parts = [sse.encode_retry(wire.RETRY_MILLISECONDS), hello]
        # Those of hosts that were never reached stand in hello.
        told = [status for host, status in feed.statuses.items() if status.host and key.wants(host)]
        parts += [wire.encode_event(status) for status in told]
        parts += [self._state(host, state, key) for host, state in self._states.items() if key.wants(host)]
        return b"".join([*parts, *missed])

    def _state(self, host: str, state: State, key: ViewKey) -> bytes:
        if state.frame is None:
            return b""
        forms = self._encoded.setdefault(host, {})
        form = (key.tables, key.collectors)
        known = forms.get(form)
        if known is not None and known[0] is state.frame:
            return known[1]
        full = state.full()
        if full is None:
            return b""
        shown = full if key.collectors is None else only(full, key.collectors, self._feed.collector)
        data = wire.encode_event(msgspec.structs.replace(shown, seq=0), tables=key.tables)
        if len(forms) >= FORMS:
            forms.clear()
        forms[form] = (state.frame, data)
        return data

    def trim(self) -> None:
        """Lets go of what is encoded, as nobody reads."""
        self._encoded.clear()

    def _missed(self, key: ViewKey, last_id: str, spans: Sequence[RunSpan]) -> list[bytes]:
        feed = self._feed
        cursor = CURSOR.fullmatch(last_id)
        if cursor is None or cursor[1] != feed.server or int(cursor[2]) >= feed.arrival:
            return []
        arrival = int(cursor[2])
        items = self._ring.since(arrival, key.wants, feed.limits.queue // 2)
        if key.interval:
            # The state is all that such a reader wants of the frames.
            return [item.data for item in items or () if not item.frame]
        if items is not None and (key.collectors is None or not any(item.frame for item in items)):
            return [item.data for item in items]
        gaps = [wire.encode_event(gap) for gap in self._ring.gaps(arrival, key.wants, spans)]
        if gaps:
            last = b"event: gap\nid: %s-%d\n" % (feed.server.encode(), feed.arrival)
            gaps[-1] = gaps[-1].replace(b"event: gap\n", last, 1)
        return gaps
