"""The language that processes are filtered by: `cpu>20 and user=www and not name~cron`.

    query   = [ any ]                        nothing matches every process
    any     = all { ("or" | "||") all }
    all     = one { ["and" | "&&"] one }
    one     = ("not" | "!") one | "(" any ")" | field operator value | word
    operator is one of = == != ~ !~ > >= < <=

A bare word is looked for, without regard to case, in name, command, user and pid. `~` searches for a regular
expression. What is not known of a process (the bytes of one that may not be looked at) fulfils no comparison. Pure: no
clock, no kernel; what a query needs of the host comes in a `Context`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

from sysmon._queryfields import ALIASES, FIELDS, KEYWORDS, Context, Field, number_test, text_test
from sysmon._regex import Unsafe
from sysmon.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sysmon.frame import ProcessRow

    Test = Callable[[ProcessRow], bool]
    Maker = Callable[[Context], Test]

__all__ = ["Context", "Query", "QueryError", "attempt", "complete", "parse"]

LONGEST = 2000
"""Characters of a query at most."""

DEEPEST = 50
"""Parentheses and `not` inside one another at most."""

_OPERATOR = re.compile(r"==|!=|!~|>=|<=|=|~|>|<")
_CONNECTIVE = re.compile(r"&&|\|\|")
_WORD = re.compile(r"(?:[^\s()=<>~!\"'&|]|!(?![=~])|&(?!&)|\|(?!\|))+")
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
_UNIT = re.compile(r"\s+(%|°[cC]|(?!and\b|or\b|not\b)[a-zA-Z]{1,4}(?:/s)?)(?=[\s)]|$)")


class QueryError(UsageError):
    """A text that is no query.

    Attributes:
        position: index in the text of what is wrong.
        incomplete: the text only ends too early, as it does while it is being typed.
    """

    def __init__(self, message: str, hint: str = "", position: int = 0, incomplete: bool = False) -> None:
        super().__init__(message, hint)
        self.position = position
        self.incomplete = incomplete


class Query:
    """A parsed query. `text` is what it was parsed from; equal texts are equal queries."""

    def __init__(self, text: str, make: Maker | None) -> None:
        self.text = text
        self._make = make
        self._context: Context | None = None
        self._test: Test = _everything

    def __bool__(self) -> bool:
        """Whether it leaves anything out at all: false for the empty query."""
        return self._make is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Query) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Query({self.text!r})"

    def test(self, context: Context | None = None) -> Test:
        """Returns the query as a function of a row, for one moment of one host."""
        context = context or Context()
        if self._make is not None and context != self._context:
            self._context, self._test = context, self._make(context)
        return self._test

    def matches(self, row: ProcessRow, context: Context | None = None) -> bool:
        """Whether a process fulfils it."""
        return self.test(context)(row)

    def filter(self, rows: Iterable[ProcessRow], context: Context | None = None) -> list[ProcessRow]:
        """Returns the rows that fulfil it, in their order."""
        test = self.test(context)
        return [row for row in rows if test(row)]


def parse(text: str) -> Query:
    """Parses a query.

    Raises:
        QueryError: a UsageError with the position of the mistake and whether more text could mend it.
    """
    if len(text) > LONGEST:
        raise QueryError(f"a query may have {LONGEST} characters, not {len(text)}", "shorten it", LONGEST)
    if not text.strip():
        return Query(text, None)
    parser = _Parser(text)
    make = parser.any()
    parser.end()
    return Query(text, make)


def attempt(text: str) -> Query | QueryError:
    """Parses a text that may still be being typed: the query, or the error to show beside the last good one."""
    try:
        return parse(text)
    except QueryError as error:
        return error


def complete(text: str, cursor: int | None = None, values: Mapping[str, Iterable[str]] | None = None) -> list[str]:
    """Returns what the word before the cursor may become, best first: fields, operators, values, keywords.

    Args:
        text: the query so far.
        cursor: index in it; its end by default.
        values: field -> values it has now, such as the users of the present rows.
    """
    before = text[: len(text) if cursor is None else max(0, cursor)]
    found = re.search(r"([a-zA-Z]+)\s*(==|!=|!~|>=|<=|=|~|>|<)\s*([^\s()]*)$", before)
    if found:
        field = FIELDS.get(ALIASES.get(found[1].lower(), found[1].lower()))
        given = found[3].strip("\"'").lower()
        if field is None:
            return []
        known = [*field.examples, *sorted(set((values or {}).get(field.name, ())))]
        return [_quoted(each) for each in known if each.lower().startswith(given) and each.lower() != given]
    word = re.search(r"[a-zA-Z]*$", before)
    given = word[0].lower() if word else ""
    lead = before[: len(before) - len(given)].rstrip()
    if given and (given in FIELDS or given in ALIASES):
        field = FIELDS[ALIASES.get(given, given)]
        longer = [name for name in FIELDS if name.startswith(given) and name != given]
        return [*(given + operator for operator in field.operators), *longer]
    starts = [name for name in FIELDS if name.startswith(given)]
    if lead and not lead.endswith(("(", "!", "&&", "||")) and lead.split()[-1].lower() not in KEYWORDS:
        return [each for each in KEYWORDS if each.startswith(given)] + (starts if given else [])
    return starts + (["not"] if "not".startswith(given) else [])


class _Parser:
    """Recursive descent over one text; each method leaves `at` behind what it took."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def any(self) -> Maker:
        parts = [self.all()]
        while self._keyword("or", "||"):
            parts.append(self.all())
        return parts[0] if len(parts) == 1 else _any(parts)

    def all(self) -> Maker:
        parts = [self.one()]
        while True:
            if not self._keyword("and", "&&") and (self._ends() or self._peek_or()):
                return parts[0] if len(parts) == 1 else _all(parts)
            parts.append(self.one())

    def one(self) -> Maker:
        self._skip()
        start = self.at
        if self.at >= len(self.text):
            self._fail("the query ends where a term is wanted", "write a field such as cpu>20, or a word", start, True)
        self.depth += 1
        if self.depth > DEEPEST:
            self._fail(f"more than {DEEPEST} terms inside one another", "leave out parentheses", start)
        try:
            if self._keyword("not", "!"):
                return _not(self.one())
            if self.text[self.at] == "(":
                self.at += 1
                inner = self.any()
                self._skip()
                if self.at >= len(self.text):
                    self._fail("a parenthesis is not closed", "write )", start, True)
                if self.text[self.at] != ")":
                    self._fail(f"'{self.text[self.at]}' is not wanted here", "write )", self.at)
                self.at += 1
                return inner
            return self._term()
        finally:
            self.depth -= 1

    def end(self) -> None:
        self._skip()
        if self.at < len(self.text):
            self._fail(f"'{self.text[self.at]}' is not wanted here", "is a parenthesis missing?", self.at)

    def _term(self) -> Maker:
        start = self.at
        quoted = self.text[start] in "\"'"
        word = self._string() if quoted else self._word()
        after = self.at
        self._skip()
        operator = None if quoted else _OPERATOR.match(self.text, self.at)
        if operator is None:
            self.at = after
            if not word:
                self._fail("nothing is looked for", "write a word between the quotes", start)
            if not quoted and word.lower() in KEYWORDS:
                self._fail(f"'{word}' joins two terms", f'write it in quotes to look for it: "{word}"', start)
            return _word_test(word.lower())
        field = FIELDS.get(ALIASES.get(word.lower(), word.lower()))
        if field is None:
            names = ", ".join(FIELDS)
            hint = nearest(word.lower(), [*FIELDS, *ALIASES]) or f'fields are {names}; "…" in quotes looks for a text'
            self._fail(f"'{word}' is not a field", hint, start)
        self.at = operator.end()
        return self._comparison(field, operator[0], operator.start())

    def _comparison(self, field: Field, operator: str, position: int) -> Maker:
        symbol = "=" if operator == "==" else operator
        if symbol not in field.operators:
            allowed = " ".join(field.operators)
            self._fail(f"{field.name} cannot be compared by {operator}", f"write one of {allowed}", position)
        self._skip()
        start = self.at
        if start >= len(self.text):
            self._fail(
                f"{field.name}{operator} wants a value", f"write {field.name}{operator}{field.sample}", start, True
            )
        quoted = self.text[start] in "\"'"
        value = self._string() if quoted else self._value()
        if not quoted and field.numeric and _NUMBER.fullmatch(value):
            unit = _UNIT.match(self.text, self.at)
            if unit and field.accepts(f"{value} {unit[1]}"):
                value, self.at = f"{value} {unit[1]}", unit.end()
        try:
            return number_test(field, symbol, value) if field.numeric else text_test(field, symbol, value)
        except Unsafe as error:
            self._fail(str(error), error.hint, start + (error.position if not quoted else 0))
        except (ValueError, OverflowError) as error:
            self._fail(str(error), f"write {field.name}{operator}{field.sample}", start)

    def _string(self) -> str:
        quote = self.text[self.at]
        start = self.at
        out = []
        index = start + 1
        while index < len(self.text) and self.text[index] != quote:
            pair = self.text[index : index + 2]
            # Two backslashes stay two: they mean one in a regular expression.
            taken = quote if pair == "\\" + quote else pair if pair == "\\\\" else pair[0]
            out.append(taken)
            index += 1 if taken == pair[0] else 2
        if index >= len(self.text):
            self._fail("a quote is not closed", f"write {quote}", start, True)
        self.at = index + 1
        return "".join(out)

    def _word(self) -> str:
        found = _WORD.match(self.text, self.at)
        if found is None:
            hint = "write a field before it, such as cpu>20"
            self._fail(f"'{self.text[self.at]}' is not wanted here", hint, self.at)
        self.at = found.end()
        return found[0]

    def _value(self) -> str:
        """Takes a value up to white space or a parenthesis that it did not open; so `name~(a|b)` needs no quotes."""
        start, opened = self.at, 0
        while self.at < len(self.text):
            character = self.text[self.at]
            if character.isspace() or (character == ")" and not opened):
                break
            opened += (character == "(") - (character == ")")
            self.at += 2 if character == "\\" and self.at + 1 < len(self.text) else 1
        if self.at == start:
            self._fail("a value is wanted here", 'write "" for an empty one', start)
        return self.text[start : self.at]

    def _keyword(self, word: str, sign: str) -> bool:
        self._skip()
        if self.text.startswith(sign, self.at) and not (sign == "!" and self.text.startswith(("!=", "!~"), self.at)):
            self.at += len(sign)
            return True
        found = _WORD.match(self.text, self.at)
        if found is None or found[0].lower() != word:
            return False
        self.at = found.end()
        return True

    def _peek_or(self) -> bool:
        at = self.at
        found = self._keyword("or", "||")
        self.at = at
        return found

    def _ends(self) -> bool:
        self._skip()
        return self.at >= len(self.text) or self.text[self.at] == ")"

    def _skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def _fail(self, message: str, hint: str, position: int, incomplete: bool = False) -> NoReturn:
        raise QueryError(f"filter:{position + 1}: {message}", hint, position, incomplete)


def _everything(_: ProcessRow) -> bool:
    return True


def _quoted(value: str) -> str:
    return value if value and _WORD.fullmatch(value) else '"' + value.replace('"', '\\"') + '"'


def _word_test(word: str) -> Maker:
    def test(row: ProcessRow) -> bool:
        return (
            word in row.name.lower() or word in row.command.lower() or word in row.user.lower() or word in str(row.pid)
        )

    return lambda _: test


def _not(make: Maker) -> Maker:
    def made(context: Context) -> Test:
        inner = make(context)
        return lambda row: not inner(row)

    return made


def _any(makers: list[Maker]) -> Maker:
    def made(context: Context) -> Test:
        tests = [make(context) for make in makers]
        return lambda row: any(test(row) for test in tests)

    return made


def _all(makers: list[Maker]) -> Maker:
    def made(context: Context) -> Test:
        tests = [make(context) for make in makers]
        return lambda row: all(test(row) for test in tests)

    return made
