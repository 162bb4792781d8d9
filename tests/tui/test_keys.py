"""The table of keys: names, signs, what is bound twice, and the page about them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tui.keys import KEYS, all_keys, binding_id, bindings, document, keymap, label, present_keys, tabs

if TYPE_CHECKING:
    from pathlib import Path


def test_names_are_unique() -> None:
    names = Counter(binding_id(key) for key in all_keys())
    assert [name for name, count in names.items() if count > 1] == []


def test_no_key_has_two_actions_in_one_place() -> None:
    for scope in {key.scope for key in all_keys()}:
        used = Counter(name for key in all_keys() if key.scope == scope for name in key.keys)
        assert [name for name, count in used.items() if count > 1] == [], scope


def test_every_f_key_has_another() -> None:
    for key in all_keys():
        if any(name.startswith("f") and name[1:].isdigit() for name in key.keys):
            first = key.keys[0]
            assert not (first.startswith("f") and first[1:].isdigit()), f"{binding_id(key)} shows an F-key first"


def test_signs_are_what_is_printed_on_the_keys() -> None:
    assert [label(name) for name in ("question_mark", "ctrl+p", "f1", "Z", "left_square_bracket", "escape")] == [
        "?", "^P", "F1", "Z", "[", "Esc",
    ]  # fmt: skip


def test_settings_take_the_place_of_keys() -> None:
    freeze = next(key for key in KEYS if key.id == "freeze")
    assert present_keys(freeze, {}) == ("Z",)
    assert present_keys(freeze, {"freeze": ("f9", "f")}) == ("f9", "f")
    assert keymap({"freeze": ("f9", "f")}) == {"freeze": "f9,f"}
    assert next(each for each in bindings(KEYS) if each.id == "freeze").key == "Z"


def test_tabs_are_the_numbered_screens() -> None:
    assert [name for name, _ in tabs()][:3] == ["overview", "fleet", "network"]


def test_the_page_is_up_to_date(checkout: Path) -> None:
    assert (checkout / "docs" / "keys.md").read_text(encoding="utf-8") == document(), "run scripts/generate"
