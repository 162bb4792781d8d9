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
from sysmon.wrong import Finding
from tui.chrome import STATES
from tui.ordering import by_value

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
"""A host's liveness; `off`: it may be away; `blind`: away with most others, or with all behind its hub, so that it is
this side or the hub that is. In the past: `reading`; `nothing` recorded then; `unknown`, because it cannot be read."""

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
        blind: whether it is the network of this side, or its hub, that is not there.
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


def unreached_entry(status: Status, known: HostSettings | None = None) -> Entry:
    """A configured host that was never reached; `known`: what the configuration here says of it."""
    off = status.expected_off or (known is not None and known.expected_off)
    return Entry(
        key=status.key if status.name else f"@{status.target}",
        label=status.name or status.target,
        state=state_of(status.state, expected_off=off),
        message=status.message,
        tags=tuple(dict.fromkeys([*status.tags, *(known.tags if known is not None else ())])),
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
    behind = {host.info.id for _, hosts in silent_hubs(model, now) for host in hosts}
    found = [
        entry_of(host, now, second, blind=model.lost is not None or host.info.id in behind)
        for host in model.hosts.values()
    ]
    found += [
        unreached_entry(status, None if status.via else settings(status.name)) for status in model.unreached.values()
    ]
    return in_order(found)


def silent_hubs(model: Model, now: int) -> list[tuple[str, list[HostModel]]]:
    """Hubs that brought several hosts and bring none of them any more: how each is called, and those hosts."""
    ways: dict[str, dict[tuple[str, ...], list[HostModel]]] = {}
    for host in model.hosts.values():
        info = host.info
        if not info.expected_off and host.status.state != "paused" and info.target not in ("", "local"):
            ways.setdefault(info.target, {}).setdefault(tuple(info.via), []).append(host)
    found = []
    for target, groups in ways.items():
        silent = {via: hosts for via, hosts in groups.items() if all(_is_silent(host, now) for host in hosts)}
        if len(silent) == len(groups):
            every = [host for hosts in silent.values() for host in hosts]
            found += [(target, every)] if len(every) > 1 else []
        else:
            labels = hub_labels(model)
            found += [
                (labels.get(via[-2], via[-2]), hosts)
                for via, hosts in silent.items()
                if len(via) > 1 and len(hosts) > 1
            ]
    return found


def _is_silent(host: HostModel, now: int) -> bool:
    return host.liveness(now)[0] in ("offline", "stale")


def lost_hubs(model: Model, now: int) -> list[Finding]:
    """What is to be said, once for all hosts behind it, of each hub that is not heard."""
    found = []
    event = model.lost_hub.message if model.lost_hub is not None else ""
    for hub, hosts in silent_hubs(model, now):
        why = next((host.status.message for host in hosts if host.status.message), "").removeprefix(f"{hub}: ")
        words = f"lost contact with {hub} and the {len(hosts)} hosts behind it" + (f": {why}" if why else "")
        is_told = any(f" {name} " in event for name in {hub, *(host.info.origin for host in hosts if host.info.origin)})
        found.append(Finding("critical", event if is_told else words))
    return found


def hub_labels(model: Model) -> dict[str, str]:
    """The names of hubs by their ids: those of the hosts they run on."""
    labels = {key: host.info.label for key, host in model.hosts.items()}
    return labels | {host.info.hub: host.info.label for host in model.hosts.values() if host.info.hub}


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
    return by_value(found, lambda entry: sort_value(entry, column), reverse=reverse)


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
