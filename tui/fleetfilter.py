"""The filter of the fleet: plain words, `name:`, `tag:` and `state:`; all must hold, `a,b` is either, `!` is not."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sysmon.errors import UsageError, nearest
from tui.fleet import WORDS, Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FIELDS: Final = ("name", "tag", "state")
STATE_NAMES: Final = (
    "live",
    "late",
    "stale",
    "offline",
    "connecting",
    "paused",
    "off",
    "unseen",
    "firing",
    "critical",
    "warning",
)
"""What `state:` may be given; the last three are about what is wrong."""


@dataclass(frozen=True, slots=True)
class Term:
    """One condition: any of `values` in `field` ('' for name, hostname and tags), or none where `negated`."""

    field: str
    values: tuple[str, ...]
    negated: bool = False

    def holds(self, entry: Entry) -> bool:
        """Whether a host meets it."""
        return any(self._one(entry, value) for value in self.values) != self.negated

    def _one(self, entry: Entry, value: str) -> bool:
        names = (entry.label.lower(), entry.hostname.lower())
        tags = [tag.lower() for tag in entry.tags]
        if self.field == "name":
            return any(value in name for name in names)
        if self.field == "tag":
            return value in tags
        if self.field == "state":
            return value in _states(entry)
        return any(value in each for each in (*names, *tags))


def _states(entry: Entry) -> set[str]:
    found = {entry.state, WORDS[entry.state][0].lower()}
    if entry.worst is not None and entry.worst[0] != "info":
        found |= {"firing", entry.worst[0]} if entry.firing else {entry.worst[0]}
    return found


def parse_filter(text: str) -> tuple[Term, ...]:
    """Parses a filter; an empty one holds for every host.

    Raises:
        UsageError: an unknown field or state, or a field without a value.
    """
    terms = []
    for given in text.lower().split():
        negated = len(given) > 1 and given[0] in "!-"
        word = given[1:] if negated else given
        field, colon, value = word.partition(":")
        if not colon or not field.isalpha():
            terms.append(Term("", tuple(filter(None, word.split(","))) or (word,), negated))
            continue
        if field not in FIELDS:
            raise UsageError(f"'{field}:' is not known", nearest(field, FIELDS) or f"write {_listed(FIELDS)}")
        values = tuple(filter(None, value.split(",")))
        if not values:
            raise UsageError(f"'{field}:' wants a word", f"write {field}:{_EXAMPLES[field]}")
        if field == "state":
            values = tuple(_whole_state(each) for each in values)
        terms.append(Term(field, values, negated))
    return tuple(terms)


_LAST: Final = re.compile(r"\S\s+[!-]?([a-z]+)$")


def begun(text: str) -> bool:
    """Whether a text ends, after a term, in what may become a field: as a word it would empty the list for a moment."""
    found = _LAST.search(text.lower())
    return found is not None and any(field.startswith(found[1]) for field in FIELDS)


_EXAMPLES: Final = {"name": "db", "tag": "prod", "state": "offline"}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"{name}:" for name in names[:-1]) + f" or {names[-1]}:"


def _whole_state(begun: str) -> str:
    """The state that begins so: what is being typed counts as soon as it can mean but one."""
    if begun in STATE_NAMES:
        return begun
    found = [name for name in STATE_NAMES if name.startswith(begun)]
    if not found:
        raise UsageError(f"'{begun}' is no state", f"states are {', '.join(STATE_NAMES)}")
    return found[0]


def kept(found: Iterable[Entry], terms: Sequence[Term]) -> list[Entry]:
    """The hosts for which all terms hold."""
    return [entry for entry in found if all(term.holds(entry) for term in terms)] if terms else list(found)


def tag_counts(found: Iterable[Entry]) -> list[tuple[str, int]]:
    """How many hosts each tag has, the most first."""
    tags = Counter(tag for entry in found for tag in dict.fromkeys(entry.tags))
    return sorted(tags.items(), key=lambda pair: (-pair[1], pair[0]))
