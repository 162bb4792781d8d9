"""What surrounds every screen: who is shown, how fresh, since when, what is wrong, and where in time we stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from sysmon.units import format_bytes, format_duration, format_time
from sysmon.wrong import Finding

if TYPE_CHECKING:
    from sysmon.records import Liveness, Span
    from tui.glyphs import Severity
    from tui.model import View

Mode = Literal["live", "frozen", "past"]

STATES: Final[dict[str, tuple[str, Severity]]] = {
    "live": ("LIVE", "ok"),
    "late": ("LATE", "warning"),
    "stale": ("STALE", "warning"),
    "offline": ("OFFLINE", "critical"),
    "paused": ("PAUSED", "unknown"),
    "off": ("OFF", "unknown"),
    "connecting": ("CONNECTING", "unknown"),
    "replay": ("REPLAY", "info"),
    "frozen": ("FROZEN", "warning"),
}
"""How each state is written, and how bad it is."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An event on the time bar."""

    time: int
    severity: Severity


@dataclass(frozen=True, slots=True)
class Track:
    """What is held of a host's past: `start` to `end` in Unix milliseconds, the gaps in it, and events."""

    start: int
    end: int
    gaps: tuple[Span, ...] = ()
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Chrome:
    """What header, time bar and footer show.

    Attributes:
        label: the host's name; `system`: its system, then its kernel.
        uptime: seconds.
        time: the moment shown, Unix milliseconds; None before the first frame.
        now: the present, Unix milliseconds.
        mode: whether the present, a frozen screen or a moment of the past is shown.
        state, age: how fresh the host is, or that it may be away; seconds since its last frame.
        message: the source's own words about a host that is not live.
        cost: sysmon's own cost, shortest pieces last.
        wrong: findings, worst first.
        problem: what is wrong with recording.
        note: what just happened or is under way with time travel.
        hosts: how many hosts there are.
        zone: IANA name of the host's time zone, '' where it is not known. `skew`: its clock minus ours, milliseconds.
        track: the past that can be gone to, None where nobody keeps one.
        all_hosts: whether the moment and the past are those of all hosts.
    """

    label: str = ""
    system: tuple[str, ...] = ()
    uptime: float | None = None
    time: int | None = None
    now: int = 0
    mode: Mode = "live"
    state: Liveness | Literal["off"] = "connecting"
    age: float | None = None
    message: str = ""
    cost: tuple[str, ...] = ()
    wrong: tuple[Finding, ...] = ()
    problem: str = ""
    note: str = ""
    hosts: int = 1
    zone: str = ""
    skew: int | None = None
    track: Track | None = None
    all_hosts: bool = False

    @property
    def state_text(self) -> tuple[str, Severity]:
        """The word for how fresh this is, with an age where that says something."""
        if self.mode == "past":
            return STATES["replay"]
        if self.mode == "frozen":
            word, severity = STATES["frozen"]
            age = (self.now - self.time) / 1000 if self.time is not None else None
        else:
            word, severity = STATES[self.state]
            age = self.age if self.state != "live" else None
        return (f"{word} {format_duration(age, short=True)}" if age is not None and age >= 1 else word), severity


def lost_contact(
    label: str, state: Liveness, age: float | None, time: int | None, *, expected_off: bool = False
) -> Finding | None:
    """Says that a host is not heard, which comes before what was wrong when it last was; None where it is.

    Args:
        label: the host's name.
        state, age: how fresh it is; seconds since its last frame, None before the first.
        time: the moment shown, Unix milliseconds.
        expected_off: whether it may be away.
    """
    if state not in ("stale", "offline"):
        return None
    since = "" if age is None or age < 1 else f" for {_seconds(age)}"
    shown = "" if time is None else f"; this is {format_time(time, date=False)}"
    if expected_off:
        return Finding("info", f"{label} is off{since}, as it may be{shown}")
    if state == "offline":
        return Finding("critical", f"no contact with {label}{since}{shown}")
    return Finding("warning", f"nothing heard from {label}{since}{shown}")


def _seconds(age: float) -> str:
    return f"{age:.0f} s" if age < 60 else format_duration(age)


def own_cost(view: View | None, bytes_per_second: float | None, seconds: int = 1) -> tuple[str, ...]:
    """sysmon's own cost in short words: processor (its mean over some seconds), memory, bytes to the terminal.

    Of a remote host the first two are those of its agent.
    """
    pieces: list[str] = []
    if view is not None:
        points = [point for point in view.window.recorded("sysmon.cpu", seconds) if point is not None]
        cpu = sum(points) / len(points) if points else view.value("sysmon.cpu")
        memory = view.value("sysmon.memory.pss") or view.value("sysmon.memory")
        if cpu is not None:
            pieces.append(f"{cpu * 100:.1f}%")
        if memory is not None:
            pieces.append(format_bytes(memory, short=True))
    if bytes_per_second is not None:
        pieces.append(f"{format_bytes(bytes_per_second, short=True)}/s")
    return tuple(pieces)
