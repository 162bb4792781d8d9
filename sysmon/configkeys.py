"""What `[keys]` may say: names of keys that a terminal can send, and no key for two actions that meet."""

from __future__ import annotations

import re
import string
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAMED = frozenset(
    "enter escape tab space backspace delete insert home end pageup pagedown up down left right".split()
) | {f"f{number}" for number in range(1, 25)}
"""Keys without a sign of their own, as Textual names them."""

_SHORT = {
    "solidus": "slash",
    "reverse_solidus": "backslash",
    "commercial_at": "at",
    "hyphen_minus": "minus",
    "plus_sign": "plus",
    "low_line": "underscore",
}
"""Signs that Textual names other than Unicode does."""

_SAME = {"ctrl+m": "enter", "ctrl+i": "tab", "ctrl+left_square_bracket": "escape"}
"""Combinations that terminals send as another key."""

INTERRUPT = "ctrl+c"


def key_name(given: str) -> str:
    """Returns Textual's name of a key: modifiers, then a letter, a digit or a name; signs become their names.

    Raises:
        ValueError: no key that a terminal sends.
    """
    found = re.fullmatch(r"((?:(?:ctrl|shift|alt)\+)*)(.+)", given, re.DOTALL)
    if found is None:
        raise ValueError(f'\'{given}\' is not a key; write "x" or ["x", "f9"]')
    modifiers = found[1].split("+")[:-1]
    base = _base(found[2])
    if base is None or len(set(modifiers)) < len(modifiers):
        raise ValueError(f'\'{given}\' is not a key; write one as "x", "f9", "ctrl+x" or "question_mark"')
    if modifiers == ["shift"] and len(base) == 1 and base.upper() != base:
        raise ValueError(f"'{given}' is sent as '{base.upper()}'; write \"{base.upper()}\"")
    name = "+".join([*sorted(modifiers), base])
    return _SAME.get(name, name)


def _sign_name(sign: str) -> str:
    name = unicodedata.name(sign, "").lower().replace("-", "_").replace(" ", "_")
    return _SHORT.get(name, name)


_SIGNS = frozenset(_sign_name(sign) for sign in string.punctuation)


def _base(given: str) -> str | None:
    if len(given) == 1:
        if given.isascii() and given.isalnum():
            return given
        return (_sign_name(given) if given.isprintable() else "") or None
    if given in NAMED or given in _SIGNS:
        return given
    try:
        return _base(unicodedata.lookup(given.replace("_", " ")))
    except KeyError:
        return None


def _scope(action: str) -> str:
    return action.rpartition(".")[0]


def _meet(one: str, other: str) -> bool:
    """Whether two actions can be asked for at the same time: one of them everywhere, or both on one screen."""
    return not _scope(one) or not _scope(other) or _scope(one) == _scope(other)


def clashes(given: Mapping[str, tuple[str, ...]], defaults: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    """Finds keys that two actions would share.

    Args:
        given: action -> names of keys, each from `key_name`, in the file's order.
        defaults: action -> the keys of every action that is known.

    Yields:
        (action, what is wrong). Keys that two actions share by default (Escape) may stay shared.
    """
    usual = {action: {key_name(key) for key in keys} for action, keys in defaults.items()}
    present = {**usual, **{action: set(keys) for action, keys in given.items()}}
    earlier: list[str] = []
    for action, keys in given.items():
        for key in keys:
            if key == INTERRUPT and action != "quit":
                yield action, f"{action} = '{key}' is what quits when nothing else does; choose another key"
                continue
            for other in [*earlier, *(name for name in defaults if name not in given)]:
                if key not in present[other] or not _meet(action, other):
                    continue
                if key in usual.get(action, ()) and key in usual.get(other, ()):
                    continue
                mend = "keep one" if other in given else f"choose another, or give {other} another key too"
                yield action, f"{action} = '{key}' is also given to {other}; {mend}"
                break
        earlier.append(action)
