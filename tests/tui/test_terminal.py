"""What is found out about terminals: by the environment, and by asking one that answers, dawdles or says nothing."""

from __future__ import annotations

import json
import os
import pty
import sys
import termios
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tui.pty_app import PtyApp
from tui.terminal import ReplyFilter, TerminalCapabilities, attach_input, detect, is_utf8

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ASK = """
import dataclasses, json, os, sys, termios, time
from tui.terminal import detect
before = termios.tcgetattr(0)
start = time.monotonic()
found = detect(sys.stdin, sys.stdout, os.environ)
took = time.monotonic() - start
print(json.dumps(dataclasses.asdict(found) | {"took": took, "same": before == termios.tcgetattr(0)}), flush=True)
"""
QUESTION = b"\x1b]11;?\x1b\\\x1b[c"


def asked(*answers: tuple[float, bytes], **environment: str) -> dict[str, object]:
    """What a process finds out whose terminal answers after some seconds each."""
    with PtyApp("-c", ASK, environment={"LANG": "C.UTF-8", "SSH_TTY": ""} | environment) as app:
        place = 0
        if answers:
            place = app.wait_for(QUESTION)
        for seconds, answer in answers:
            time.sleep(seconds)
            app.write(answer)
        app.wait_for(b"}", place)
        assert app.wait() == 0
        text = app.output[app.output.index(b"{") : app.output.rindex(b"}") + 1]
    found: dict[str, object] = json.loads(text)
    assert found["same"]
    return found


@pytest.mark.parametrize(
    ("answer", "background"),
    [
        (b"\x1b]11;rgb:1e1e/1e1e/2e2e\x1b\\\x1b[?62;22c", "dark"),
        (b"\x1b]11;rgb:ffff/fafa/f0f0\x07\x1b[?1;2c", "light"),
        (b"\x1b]11;rgba:f/f/e/f\x1b\\\x1b[?6c", "light"),
        (b"\x1b]11;#fdf6e3\x1b\\\x1b[?6c", "light"),
        (b"\x1b]11;nonsense\x1b\\\x1b[?6c", None),
        (b"\x1b[?62c", None),
    ],
)
def test_the_terminal_says_whether_it_is_light(answer: bytes, background: str | None) -> None:
    found = asked((0, answer))
    assert found["background"] == background
    assert found["reply_pending"] is False
    assert found["typed_ahead"] == ""


def test_keys_typed_meanwhile_are_kept() -> None:
    found = asked((0, b"jj"), (0.01, b"\x1b]11;rgb:0/0/0\x1b\\q\xc3\xa9\x1b[?62c"))
    assert found["typed_ahead"] == "jjqé"
    assert found["background"] == "dark"


def test_a_terminal_that_says_nothing_is_not_waited_for() -> None:
    found = asked()
    assert found["reply_pending"] is True
    assert found["background"] is None
    took = found["took"]
    assert isinstance(took, float)
    assert 0.09 < took


@pytest.mark.parametrize("term", ["dumb", "", "linux"])
def test_some_terminals_are_not_asked(term: str) -> None:
    with PtyApp("-c", ASK, environment={"TERM": term}) as app:
        app.wait_for(b"}")
        assert QUESTION not in app.output


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM": "xterm-256color", "LANG": "en_US.UTF-8"}, {"utf8": True, "color_depth": "256", "braille": True}),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, {"color_depth": "truecolor", "utf8": False}),
        ({"TERM": "xterm-kitty", "LANG": "C.utf8"}, {"color_depth": "truecolor", "utf8": True}),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/x,1,0"}, {"multiplexer": "tmux", "color_depth": "256"}),
        ({"TERM": "screen", "STY": "1.x"}, {"multiplexer": "screen"}),
        ({"TERM": "linux", "COLORTERM": "truecolor", "LANG": "C.UTF-8"},
         {"linux_console": True, "color_depth": "16", "braille": False, "utf8": True, "color_system": "standard"}),
        ({"TERM": "vt100"}, {"color_depth": "none", "color_system": None}),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, {"dumb": True, "color_depth": "none", "interactive": False}),
        ({}, {"dumb": True, "interactive": False}),
        ({"TERM": "no-such-terminal"}, {"color_depth": "16", "erases_with_background": False}),
        ({"TERM": "xterm", "NO_COLOR": "1"}, {"no_color": True}),
        ({"TERM": "xterm", "NO_COLOR": ""}, {"no_color": False}),
        ({"TERM": "xterm", "COLORFGBG": "0;15"}, {"background": "light"}),
        ({"TERM": "xterm", "COLORFGBG": "15;default;0"}, {"background": "dark"}),
        ({"TERM": "xterm", "COLORFGBG": "default"}, {"background": None}),
        ({"TERM": "xterm", "LC_ALL": "C", "LANG": "de_DE.UTF-8"}, {"utf8": False}),
        ({"TERM": "xterm", "LC_CTYPE": "UTF-8"}, {"utf8": True}),
        ({"TERM": "xterm", "LANG": "de_DE.ISO-8859-1"}, {"utf8": False}),
    ],
)  # fmt: skip
def test_the_environment_says_the_rest(environment: dict[str, str], expected: dict[str, object]) -> None:
    found = detect(None, None, environment)
    assert {name: getattr(found, name) for name in expected} == expected
    assert not found.interactive


def test_pythons_own_coercion_of_the_locale_is_looked_through(tmp_path: Path) -> None:
    code = "import os, sys; from tui.terminal import is_utf8; print(is_utf8(os.environ), os.environ.get('LC_CTYPE'))"
    with PtyApp("-c", code, environment={"LANG": "C", "LC_ALL": "", "LC_CTYPE": ""}) as app:
        app.wait_for(b"\n")
        assert app.output.split()[0] == b"False"
    assert is_utf8({"LANG": "C", "LC_CTYPE": "C.UTF-8"})


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    master, slave = pty.openpty()
    yield master, slave
    os.close(master)
    os.close(slave)


def test_a_terminal_that_is_not_ours_is_left_alone(terminal: tuple[int, int]) -> None:
    _, slave = terminal
    before = termios.tcgetattr(slave)
    with open(slave, "r+b", buffering=0, closefd=False) as stream:
        found = detect(stream, stream, {"TERM": "xterm-256color"})  # type: ignore[arg-type]
    assert found.interactive
    assert not found.reply_pending
    assert termios.tcgetattr(slave) == before


def test_input_that_is_a_terminal_stays(monkeypatch: pytest.MonkeyPatch, terminal: tuple[int, int]) -> None:
    with open(terminal[1], closefd=False) as stream:
        monkeypatch.setattr(sys, "__stdin__", stream)
        assert attach_input()


def test_input_from_a_file_is_replaced_by_the_terminal(tmp_path: Path) -> None:
    code = (
        "import os, sys; from tui.terminal import attach_input; print(os.isatty(0), attach_input(), sys.stdin.isatty())"
    )
    with PtyApp("-c", f"import os; os.dup2(os.open('/dev/null', os.O_RDONLY), 0); {code}") as app:
        app.wait_for(b"\n")
        assert app.output.split() == [b"False", b"True", b"True"]


ANSWERS = "\x1b]11;rgb:1e1e/1e1e/2e2e\x1b\\", "\x1b[?62;22c"


@given(st.text(alphabet="aq1\x1b[", max_size=6), st.text(alphabet="aq1[", max_size=6), st.lists(st.integers(0, 60)))
def test_late_answers_are_filtered_wherever_reads_are_cut(before: str, between: str, cuts: list[int]) -> None:
    text = before + ANSWERS[0] + between + ANSWERS[1] + "z"
    filtered = ReplyFilter()
    parts = [text[start:end] for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(text)], strict=True)]
    assert "".join(map(filtered.feed, parts)) + filtered.flush() == before + between + "z"
    assert filtered.feed("\x1b") == "\x1b", "with both answers here, nothing is held back"


def test_a_held_escape_is_let_go() -> None:
    filtered = ReplyFilter()
    assert filtered.feed("a\x1b") == "a"
    assert filtered.flush(0.01) == ""
    assert filtered.flush(0.05) == "\x1b" and not filtered.holds
    assert filtered.feed("\x1b[A") == "\x1b[A"


def test_half_an_answer_is_waited_for_longer_than_a_key() -> None:
    filtered = ReplyFilter()
    assert filtered.feed("a\x1b]11;rgb:1e1e/1e1e") == "a"
    assert filtered.flush(0.9) == "" and filtered.holds
    assert filtered.feed("/2e2e\x1b\\b") == "b"
    assert filtered.feed("\x1b[?6") == ""
    assert filtered.flush(1.0) == "\x1b[?6"


def test_capabilities_hide_what_was_typed() -> None:
    found = detect(None, None, {})
    assert isinstance(found, TerminalCapabilities)
    assert "typed_ahead" not in repr(found)


LATER = """
import json, os, sys, termios, time
from tui.terminal import ask, detect
before = termios.tcgetattr(0)
question = ask(sys.stdin, sys.stdout, os.environ)
time.sleep(0.3)
start = time.monotonic()
found = detect(sys.stdin, sys.stdout, os.environ, question)
took = time.monotonic() - start
again = question.close()
print(json.dumps([found.background, found.typed_ahead, took, again.typed_ahead, before == termios.tcgetattr(0)]))
"""


@pytest.mark.parametrize("answer", [b"x\x1b]11;rgb:ffff/fafa/f0f0\x07\x1b[?1;2c", b"x"])
def test_an_answer_that_came_meanwhile_is_not_waited_for(answer: bytes) -> None:
    with PtyApp("-c", LATER, environment={"LANG": "C.UTF-8"}) as app:
        app.wait_for(QUESTION)
        app.write(answer)
        place = app.wait_for(b"]\r\n", len(QUESTION))
        assert app.wait() == 0
        text = app.output[:place]
    background, typed, took, later, same = json.loads(text[text.rindex(b"[") :])
    assert (background, typed, later, same) == ("light" if len(answer) > 1 else None, "x", "", True)
    assert took < 0.1
