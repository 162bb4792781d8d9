"""The fleet as a list: how each host is, which comes first, and the line that counts them.

No Textual here. Entries are made for all hosts at every tick and are cheap; what their rows show is worked out for
those in view alone.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from sysmon.units import format_duration
from tui.chrome import STATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sysmon.config import HostSettings
    from sysmon.records import AlertState, Liveness, Status
    from tui.glyphs import Severity
    from tui.model import HostModel, Model
    from tui.pulse import Beat, Pulse

State = Literal[
    "connecting", "live", "late", "stale", "offline", "paused", "off", "blind", "reading", "nothing", "unknown"
]
"""A host's liveness; `off`: it may be away; `blind`: away with most others, so that it is this side that is. In the
past: `reading`; `nothing` recorded then; `unknown`, because it cannot be read."""

WORDS: Final[Mapping[State, tuple[str, Severity]]] = {
    **{name: STATES[name] for name in ("connecting", "live", "late", "stale", "offline", "paused")},
    "off": ("OFF", "unknown"),
    "blind": ("UNSEEN", "unknown"),
    "reading": ("READING", "unknown"),
    "nothing": ("NO DATA", "unknown"),
    "unknown": ("UNKNOWN", "unknown"),
}
"""How each state is written, and how bad it is."""

_RANKS: Final[Mapping[State, int]] = {
    "offline": 1, "unknown": 5, "stale": 3, "late": 4, "blind": 4, "connecting": 5, "live": 6, "nothing": 7, "off": 7,
    "reading": 8, "paused": 9,
}  # fmt: skip
"""Worst first; firing critical is 0, firing warning 2."""

FRESH: Final = 2
"""Seconds up to which the age of a live host is not told exactly: it would change with every frame."""

SKEW_MS: Final = 2_000
"""A clock that is off by more is told of."""

HEARD: Final = frozenset({"live", "late"})
"""States whose values are the present ones."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One host in the list. Two that are equal look equal: what they are drawn from has not changed.

    Attributes:
        key: the host's id, or `@NAME` of a configured one never reached.
        label: its name; `hostname` and `tags`: what it is found by, too.
        state, age: how fresh it is, and seconds since its last frame; None: there was none.
        worst: the worst firing alert, (severity, words); `more`: how many others fire. Where none does, what is wrong
            with its values: then `firing` is False.
        beats, last: which values and which points it is drawn with.
        skew: milliseconds by which its clock is off, None below `SKEW_MS`.
        message: the source's own words.
        time: the moment, Unix milliseconds, of its last frame.
    """

    key: str
    label: str
    state: State = "connecting"
    age: int | None = None
    worst: tuple[Severity, str] | None = None
    more: int = 0
    firing: bool = True
    beats: int = 0
    last: int = 0
    skew: int | None = None
    message: str = ""
    hostname: str = ""
    tags: tuple[str, ...] = ()
    target: str = ""
    time: int | None = field(default=None, compare=False)
    pulse: Pulse | None = field(default=None, compare=False)
    host: HostModel | None = field(default=None, compare=False)

    @property
    def rank(self) -> int:
        """Worst first; what no rule has found to last does not move a host up and down."""
        own = _RANKS[self.state]
        if self.worst is None or not self.firing:
            return own
        return {"critical": 0, "warning": min(own, 2)}.get(self.worst[0], own)

    @property
    def now(self) -> Beat | None:
        """Its values."""
        return self.pulse.now if self.pulse is not None else None

    @property
    def word(self) -> tuple[str, Severity]:
        """How its state is written, and how bad it is."""
        return WORDS[self.state]

    @property
    def mark(self) -> Severity:
        """How bad all about it is."""
        if self.worst is not None and (self.worst[0] == "critical" or self.word[1] != "critical"):
            return self.worst[0]
        return self.word[1]

    @property
    def age_text(self) -> str:
        """The age of its last frame."""
        if self.age is None:
            return ""
        if self.age < FRESH and self.state == "live":
            return f"<{FRESH}s"
        return format_duration(self.age, short=True) if self.age else "0s"

    @property
    def heard(self) -> bool:
        """Whether its values are the present ones."""
        return self.state in HEARD


def entry_of(host: HostModel, now: int, second: int, *, blind: bool = False) -> Entry:
    """Judges a host.

    Args:
        host: as its updates tell it.
        now: this side's boot clock, nanoseconds. `second`: the present, Unix seconds.
        blind: whether this side lost the network.
    """
    liveness, age = host.liveness(now)
    info, status = host.info, host.status
    frame = host.state.frame
    state = state_of(liveness, expected_off=info.expected_off, blind=blind)
    # What fired when it was last heard says nothing of a host that may be away.
    firing = host.firing() if state not in ("paused", "off") else []
    worst = worst_of(firing) or (judged(host.pulse.now, host.alerts.values()) if state in HEARD else None)
    return Entry(
        key=info.id,
        label=info.label,
        state=state,
        age=None if age is None else int(age),
        worst=worst,
        more=max(0, len(firing) - 1),
        firing=bool(firing),
        beats=host.pulse.beats,
        last=host.pulse.number(second) - 1,
        skew=status.skew if status.skew is not None and abs(status.skew) > SKEW_MS else None,
        message=status.message if liveness != "live" else "",
        hostname=info.hostname,
        tags=tuple(info.tags),
        target=info.target,
        time=None if frame is None else frame.time,
        pulse=host.pulse,
        host=host,
    )


def unreached_entry(status: Status, tags: Sequence[str] = (), *, expected_off: bool = False) -> Entry:
    """A configured host that was never reached."""
    return Entry(
        key=f"@{status.name}",
        label=status.name,
        state=state_of(status.state, expected_off=expected_off),
        message=status.message,
        tags=tuple(tags),
        target=status.target,
    )


def state_of(liveness: Liveness, *, expected_off: bool = False, blind: bool = False) -> State:
    """What a host's liveness means here."""
    if liveness == "replay":
        return "live"
    if liveness in ("offline", "stale"):
        return "off" if expected_off else "blind" if blind else liveness
    return liveness


def worst_of(firing: Sequence[AlertState]) -> tuple[Severity, str] | None:
    """The first of alerts that are sorted already."""
    return (firing[0].severity, firing[0].message or firing[0].rule) if firing else None


def judged(now: Beat, alerts: Iterable[AlertState] = ()) -> tuple[Severity, str] | None:
    """What is wrong with a host's values, the worst; None where nothing is, or somebody has seen it already.

    Args:
        now: its values.
        alerts: those in being: what one of them is about is told by it.
    """
    seen = {alert.key for alert in alerts if alert.status != "pending"}
    return next(((each.severity, each.text) for each in now.wrong if each.key not in seen), None)


def entries(model: Model, now: int, second: int, settings: Callable[[str], HostSettings | None]) -> list[Entry]:
    """All hosts of a model, worst first.

    Args:
        model: all that sources told.
        now: this side's boot clock, nanoseconds. `second`: the present, Unix seconds.
        settings: what the configuration says of a name: its tags, and whether it may be off.
    """
    blind = model.lost is not None
    found = [entry_of(host, now, second, blind=blind) for host in model.hosts.values()]
    for status in model.unreached.values():
        known = settings(status.name)
        found.append(
            unreached_entry(
                status, known.tags if known else (), expected_off=known.expected_off if known is not None else False
            )
        )
    return in_order(found)


def in_order(found: Iterable[Entry]) -> list[Entry]:
    """Worst first, then by name."""
    return sorted(found, key=lambda entry: (entry.rank, natural(entry.label), entry.key))


@lru_cache(4096)
def natural(label: str) -> tuple[tuple[str, int], ...]:
    """A name by which web-2 comes before web-10."""
    return tuple((text, int(digits or 0)) for text, digits in re.findall(r"(\D*)(\d{0,18})", label.lower()))


SORTS: Final[Mapping[str, bool]] = {
    "host": False,
    "state": True,
    "worst": False,
    "cpu": True,
    "memory": True,
    "network": True,
    "disk": True,
    "load": True,
    "temperature": True,
}
"""Columns that can be sorted by, and whether the largest comes first; of `state` the worst, then the oldest."""

_STATES_WORST_LAST: Final = tuple(sorted(_RANKS, key=lambda state: (-_RANKS[state], state)))


def sort_entries(found: Sequence[Entry], column: str, reverse: bool) -> list[Entry]:
    """Sorts by a column, what is missing last; by no column ('') they are worst first."""
    if not column:
        return list(reversed(found)) if reverse else list(found)
    if column in ("host", "worst"):
        return sorted(
            found,
            key=lambda entry: (entry.rank if column == "worst" else 0, natural(entry.label)),
            reverse=reverse,
        )
    values = [(sort_value(entry, column), entry) for entry in found]
    present = [(value, entry) for value, entry in values if value is not None]
    missing = [entry for value, entry in values if value is None]
    return [entry for _, entry in sorted(present, key=lambda pair: pair[0], reverse=reverse)] + missing


def sort_value(entry: Entry, column: str) -> float | None:
    """The number that a column sorts a host by."""
    if column == "state":
        # Never heard of is older than any age; below a billion seconds no age outweighs a state.
        return _STATES_WORST_LAST.index(entry.state) * 1e9 + min(1e9 - 1 if entry.age is None else entry.age, 1e9 - 1)
    value: float | None = getattr(entry.now, column, None) if entry.now is not None else None
    return value


def counts(found: Sequence[Entry]) -> list[tuple[int, str, Severity]]:
    """How many are in each state, and how many fire: (number, word, severity), the good ones first."""
    states = Counter(entry.state for entry in found)
    words: list[tuple[State, str, Severity]] = [
        ("live", "live", "ok"), ("late", "late", "warning"), ("stale", "stale", "warning"),
        ("offline", "offline", "critical"), ("blind", "unseen", "unknown"), ("connecting", "connecting", "unknown"),
        ("off", "off", "unknown"), ("paused", "paused", "unknown"), ("nothing", "without data", "unknown"),
        ("unknown", "unknown", "unknown"), ("reading", "being read", "unknown"),
    ]  # fmt: skip
    result = [(states[state], word, severity) for state, word, severity in words if states[state]]
    firing = [entry.worst[0] for entry in found if entry.firing and entry.worst and entry.worst[0] != "info"]
    if firing:
        result.append((len(firing), "firing", "critical" if "critical" in firing else "warning"))
    return result


def head_line(found: Sequence[Entry]) -> str:
    """`12 hosts: 9 live, 1 late, 2 offline, 1 firing`."""
    hosts = "1 host" if len(found) == 1 else f"{len(found)} hosts"
    told = ", ".join(f"{number} {word}" for number, word, _ in counts(found))
    return f"{hosts}: {told}" if told else hosts


def skew_text(skew: int) -> str:
    """How far a clock is off."""
    return f"its clock is {format_duration(abs(skew) / 1000, short=True)} {'ahead' if skew > 0 else 'behind'}"
