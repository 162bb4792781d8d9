"""Whether a regular expression may be tried on every process each second: pure."""

from __future__ import annotations

import re
import warnings

LONGEST = 200
"""Characters of a pattern at most."""

_LONGEST_TEXT = 4096
_STEPS = 1 << 25
_MOST_REPEATS = 3
_COUNTED = re.compile(r"\{(\d*)(,?)(\d*)\}")
_REFUSED = re.compile(r"\(\?(?:[=!(#]|<[=!]|P=|[a-zA-Z-]*x)")
_MANY = 10
_CHOICES = 256


class Unsafe(ValueError):
    """The pattern can take exponential time; `position` is the place in it."""

    def __init__(self, message: str, hint: str, position: int) -> None:
        super().__init__(message)
        self.hint = hint
        self.position = position


def compile_bounded(pattern: str) -> tuple[re.Pattern[str], int]:
    """Compiles a pattern for a search without regard to case.

    A backtracking matcher takes a time that grows as the text's length to the power of one more than the number of
    unbounded repeats that follow one another, and exponentially where they are nested. So nesting is refused, and the
    more repeats, the less of a text is looked at.

    Returns:
        The pattern and how many characters of a text it may be tried on.

    Raises:
        Unsafe: too long, not a regular expression, or of a form that can take exponential time.
    """
    if len(pattern) > LONGEST:
        raise Unsafe(f"a regular expression may have {LONGEST} characters", "shorten it", LONGEST)
    repeats, choices = _shape(pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of forms that a later Python may read otherwise
            compiled = re.compile(pattern, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        message = getattr(error, "msg", None) or str(error)
        hint = "put a backslash before a character that is meant as itself"
        raise Unsafe(f"not a regular expression: {message}", hint, getattr(error, "pos", None) or 0) from None
    if repeats > _MOST_REPEATS:
        raise Unsafe(f"more than {_MOST_REPEATS} repeats (* or +)", "join several terms with and", 0)
    return compiled, min(_LONGEST_TEXT, int((_STEPS / choices) ** (1 / (repeats + 1))))


def _shape(pattern: str) -> tuple[int, int]:
    """Counts unbounded repeats and the ways through all bounded choices; refuses what makes matching exponential."""
    groups = [[False, False]]
    count = index = 0
    choices = 1
    group_ended = repeated = False
    while index < len(pattern):
        character = pattern[index]
        counted = _COUNTED.match(pattern, index) if character == "{" else None
        if character in "*+?" or (counted and (counted[1] or counted[3])):
            length = counted.end() - index if counted else 1
            if repeated and character in "?+":
                repeated = False
                index += 1
                continue
            many = character in "*+" or bool(
                counted and (int((counted[3] or counted[1])[:9]) >= _MANY or _open(counted))
            )
            inner = group_ended and groups.pop()
            if inner and any(inner) and character != "?":
                what = "a repeat inside a repeat" if inner[0] else "alternatives inside a repeat"
                raise Unsafe(f"{what} can take for ever", "leave out the outer repeat", index)
            count += many
            choices *= 1 if many else 2 if character == "?" else 1 + _breadth(counted)
            groups[-1][0] = True
            groups[-1][1] |= bool(inner and inner[1])
            group_ended, repeated = False, True
            index += length
            if choices > _CHOICES:
                raise Unsafe("too many optional parts and alternatives", "join several terms with and, or", index)
            continue
        if group_ended:
            inner = groups.pop()
            groups[-1] = [groups[-1][0] or inner[0], groups[-1][1] or inner[1]]
        group_ended = repeated = False
        if character == "\\":
            following = pattern[index + 1 : index + 2]
            if following.isdigit() and following != "0":
                raise Unsafe("a back reference can take for ever", "leave it out", index)
            index += 2
            continue
        if character == "[":
            index = _class_end(pattern, index)
            continue
        if character == "(":
            if _REFUSED.match(pattern, index):
                raise Unsafe("look-around, conditions, comments and back references are not allowed", "use !~", index)
            groups.append([False, False])
            if pattern.startswith("(?", index):
                index += 1
        elif character == ")" and len(groups) > 1:
            group_ended = True
        elif character == "|":
            groups[-1][1] = True
            choices *= 2 if len(groups) > 1 else 1
        index += 1
        if choices > _CHOICES:
            raise Unsafe("too many optional parts and alternatives", "join several terms with and, or", index)
    return count, choices


def _open(counted: re.Match[str]) -> bool:
    return bool(counted[2]) and not counted[3]


def _breadth(counted: re.Match[str] | None) -> int:
    if counted is None or not counted[2]:
        return 0
    return max(0, int(counted[3] or 0) - int(counted[1] or 0))


def _class_end(pattern: str, start: int) -> int:
    """Returns the index after the character class that begins at `start`."""
    index = start + 1
    if pattern[index : index + 1] == "^":
        index += 1
    if pattern[index : index + 1] == "]":
        index += 1
    while index < len(pattern) and pattern[index] != "]":
        index += 2 if pattern[index] == "\\" else 1
    return index + 1
