"""The query of a request: every value checked, and errors that name the parameter, the value and what is allowed."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from sysmon import answers
from sysmon.bandwidth import RANGES
from sysmon.errors import UsageError, nearest
from sysmon.ledger import Ask
from sysmon.units import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

TIMES = "write RFC 3339 (2026-11-21T03:12:00Z), Unix seconds of this century, or a time back from now such as 3h"
"""What a time may be."""


class Query:
    """The query of a request.

    Raises:
        UsageError: a name is unknown or given twice (where it may not be), or a value is not what it should be.
    """

    def __init__(self, request: Request, *known: str, many: Iterable[str] = ()) -> None:
        self._values = request.query_params
        allowed = {*known, *many}
        for name, value in self._values.items():
            if name not in allowed:
                hint = nearest(name, allowed) or (
                    f"known: {', '.join(sorted(allowed))}" if allowed else "it takes none"
                )
                raise UsageError(f"'{name[:50]}={value[:50]}' is not a parameter of {request.url.path}", hint)
            if name not in many and len(self._values.getlist(name)) > 1:
                raise UsageError(f"'{name}' is given more than once")

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def only_with(self, name: str, other: str) -> None:
        """Refuses a parameter that means nothing without another."""
        if name in self._values and other not in self._values:
            raise UsageError(f"'{name}={self._values[name][:50]}' goes with '{other}' only", f"add {other}=…")

    def text(self, name: str, default: str | None = None) -> str:
        """Returns a text of at most 400 characters."""
        value = self._values.get(name, default)
        if value is None or (value == "" and default is None):
            raise UsageError(f"'{name}' is missing", f"add {name}=…")
        if len(value) > 400:
            raise UsageError(f"'{name}' is longer than 400 characters")
        return value

    def texts(self, name: str) -> list[str]:
        """Returns all values of a name, comma-separated or repeated."""
        return [part for value in self._values.getlist(name) for part in value.split(",") if part]

    def choice(self, name: str, allowed: Iterable[str], default: str | None = None) -> str:
        """Returns one of the allowed words."""
        words = list(allowed)
        value = self.text(name, default)
        if value not in words:
            listed = " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
            raise UsageError(f"{name} '{value[:50]}' is not {listed}")
        return value

    def integer(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """Returns a whole number within bounds."""
        text = self._values.get(name)
        if text is None and default is not None:
            return default
        given = self.text(name)
        digits = given.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 17) or not low <= int(given) <= high:
            raise UsageError(f"{name} '{given[:50]}' is not a whole number from {low} to {high}")
        return int(given)

    def moment(self, name: str, now: int, default: int | None = None) -> int:
        """Returns a time in Unix milliseconds, given as RFC 3339, Unix seconds, or as `3h` (ago); UTC."""
        text = self._values.get(name)
        if text is None and default is not None:
            return default
        given = self.text(name)
        try:
            bare = given.replace(".", "").isdigit()
            value = parse_time(given, now, UTC) if bare else answers.milliseconds(given)
        except ValueError:
            value = _parsed(name, given, now)
        except UsageError:
            raise _no_time(name, given) from None
        if not 0 <= value < 2**53:
            raise UsageError(f"{name} '{given[:50]}' is before 1970 or too far ahead", TIMES)
        return value

    def span(self, now: int, length: int) -> tuple[int, int]:
        """Returns `since` and `until`; the last `length` milliseconds by default."""
        until = self.moment("until", now, now)
        since = self.moment("since", now, max(0, until - length))
        if since >= until:
            given = [self._values.get("since", "")[:50], self._values.get("until", "now")[:50]]
            raise UsageError(f"since is not before until ('{given[0]}' and '{given[1]}')")
        return since, until

    def ask(self, now: int) -> Ask:
        """Returns the range that `range`, or `since` and `until`, ask for; none where none is given."""
        self.only_with("until", "since")
        if "range" in self:
            if "since" in self:
                raise UsageError("'range' and 'since' exclude each other", "leave one of them out")
            return Ask(self.choice("range", RANGES))
        if "since" not in self:
            return Ask()
        since, until = self.span(now, 0)
        return Ask("", since, until if "until" in self else None)


def _parsed(name: str, given: str, now: int) -> int:
    try:
        return parse_time(given, now, UTC)
    except UsageError:
        raise _no_time(name, given) from None


def _no_time(name: str, given: str) -> UsageError:
    return UsageError(f"{name} '{given[:50]}' is not a moment", TIMES)
