"""The filter of the Network screen's tables: words and `field:word`; all must hold, `a,b` is either, `!` is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from sysmon.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Facts = Mapping[str, str]

Row = TypeVar("Row")

FIELDS: Final[Mapping[str, Mapping[str, str]]] = {
    "interfaces": {"name": "eth", "kind": "wifi", "state": "up", "address": "192.168."},
    "devices": {
        "name": "tv", "address": "192.168.1.", "mac": "02:aa", "vendor": "apple", "category": "phone",
        "state": "online",
    },
    "talkers": {"name": "rsync", "user": "backup", "unit": "nginx", "container": "web", "pid": "812"},
    "connections": {
        "name": "ssh", "user": "root", "unit": "nginx", "container": "web", "local": "10.0.", "remote": "192.0.2.",
        "port": "443", "state": "established", "protocol": "tcp",
    },
}  # fmt: skip
"""Table -> its fields, each with an example."""


@dataclass(frozen=True, slots=True)
class Term:
    """One condition: any of `values` in `field` ('' for any field), or none where `negated`."""

    field: str
    values: tuple[str, ...]
    negated: bool = False

    def holds(self, facts: Facts) -> bool:
        """Whether a row meets it, given its texts by field, in lower case."""
        texts = [facts.get(self.field, "")] if self.field else [*facts.values()]
        if self.field in ("state", "port", "pid"):
            # `up` is not `unknown up`, and 80 is not 8080.
            found = any(word.startswith(value) for text in texts for word in text.split() for value in self.values)
            exact = self.field != "state"
            if exact:
                found = any(word in self.values for text in texts for word in text.split())
            return found != self.negated
        return any(value in text for text in texts for value in self.values) != self.negated


def parse_filter(text: str, fields: Mapping[str, str]) -> tuple[Term, ...]:
    """Parses a filter; an empty one holds for every row.

    A word with a colon whose beginning is no field, such as a MAC or an IPv6 address, is a plain word.

    Raises:
        UsageError: a field that is not known, or one without a value.
    """
    terms = []
    for given in text.lower().split():
        negated = len(given) > 1 and given[0] in "!-"
        word = given[1:] if negated else given
        field, colon, value = word.partition(":")
        if colon and field in fields:
            values = tuple(filter(None, value.split(",")))
            if not values:
                raise UsageError(f"'{field}:' wants a word", f"write {field}:{fields[field]}")
            terms.append(Term(field, values, negated))
        elif colon and field.isalpha() and (hint := nearest(field, fields)):
            raise UsageError(f"'{field}:' is not known", hint)
        else:
            terms.append(Term("", tuple(filter(None, word.split(","))) or (word,), negated))
    return tuple(terms)


def begun(text: str, fields: Iterable[str]) -> bool:
    """Whether a text ends in what may become a field: as a word it would empty the list for a moment."""
    words = text.lower().split()
    last = words[-1].lstrip("!-") if len(words) > 1 and not text[-1:].isspace() else ""
    return bool(last) and any(field.startswith(last) for field in fields)


def kept(rows: Iterable[Row], terms: Sequence[Term], facts_of: Callable[[Row], Facts]) -> list[Row]:
    """The rows for which all terms hold."""
    if not terms:
        return list(rows)
    return [row for row in rows if all(term.holds(facts) for facts in (facts_of(row),) for term in terms)]
