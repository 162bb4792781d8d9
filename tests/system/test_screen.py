"""The screen as a user runs it: in a terminal of any size and kind, through signals, to the end of the process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.system.terminal import Screen, folders
from tests.tui.pty_app import PtyApp

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.system, pytest.mark.timeout(60)]

SIZES = [(80, 24), (120, 40), (200, 50), (300, 80)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_screen_opens_and_q_leaves_the_terminal_whole(tmp_path: Path, width: int, height: int) -> None:
    with Screen(tmp_path, width=width, height=height) as screen:
        screen.wait_shown("LIVE", "load", "CPU")
        screen.write(b"3")
        screen.wait_shown("INTERFACE", "lo")
        screen.write(b"4")
        screen.wait_shown("PID", "COMMAND", "python")
        screen.write(b"9")
        screen.wait_shown("1h", "24h", "7d")
        screen.write(b"0")
        screen.wait_shown("alerts")
        screen.write(b"?")
        screen.wait_shown("type to search", "overview")
        screen.write(b"\x1b")
        screen.wait_gone("type to search")
        screen.write(b"1")
        screen.wait_shown("memory", "load")
        assert screen.quit() == 0
        screen.assert_whole()


def test_a_tiny_terminal_says_something_and_grows(tmp_path: Path) -> None:
    with Screen(tmp_path, width=20, height=5) as screen:
        screen.wait_until(lambda: any(word in screen.text for word in ("LIVE", "cpu", "CPU", "small")), "anything")
        screen.resize(120, 40)
        screen.wait_shown("LIVE", "load")
        assert screen.quit() == 0
        screen.assert_whole()


@pytest.mark.slow
def test_a_storm_of_resizes_does_no_harm(tmp_path: Path) -> None:
    with Screen(tmp_path) as screen:
        screen.wait_shown("LIVE")
        for step in range(60):
            screen.resize(20 + step * 4 % 180, 5 + step * 7 % 60)
            screen.read(0.02)
            if step % 10 == 0:
                screen.write(b"13490"[step // 10 % 5 :][:1])
        screen.write(b"1")
        screen.resize(100, 30)
        screen.wait_shown("LIVE", "load")
        assert screen.quit() == 0
        screen.assert_whole()


@pytest.mark.parametrize("locale", [{"LC_ALL": "C", "LANG": "C"}, {"LC_ALL": "POSIX"}])
def test_a_plain_locale_gets_nothing_but_ascii(tmp_path: Path, locale: dict[str, str]) -> None:
    plain = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"} if "LANG" in locale else {}
    with Screen(tmp_path, environment={**locale, **plain}) as screen:
        screen.wait_shown("LIVE", "load")
        for key in b"34901":
            screen.write(bytes([key]))
            screen.read(0.5)
        assert screen.quit() == 0
        assert screen.output.isascii()
        screen.assert_whole()


def test_ascii_may_be_asked_for(tmp_path: Path) -> None:
    with Screen(tmp_path, "--ascii") as screen:
        screen.wait_shown("LIVE", "load")
        assert screen.quit() == 0
        assert screen.output.isascii()


def test_the_linux_console_gets_sixteen_colours(tmp_path: Path) -> None:
    with Screen(tmp_path, environment={"TERM": "linux", "COLORTERM": ""}) as screen:
        screen.wait_shown("LIVE", "load")
        assert screen.quit() == 0
        assert b"38;2;" not in screen.output
        assert b"38;5;" not in screen.output
        assert b"\x1b[" in screen.output


def test_no_color_is_honoured(tmp_path: Path) -> None:
    with Screen(tmp_path, environment={"NO_COLOR": "1"}) as screen:
        screen.wait_shown("LIVE", "load")
        assert screen.quit() == 0
        attributes = {word for found in re.findall(rb"\x1b\[([\d;]*)m", screen.output) for word in found.split(b";")}
        assert attributes <= {b"", b"0", b"1", b"2", b"3", b"4", b"7", b"22", b"23", b"24", b"27"}


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_be_drawn_on_gets_one_frame(tmp_path: Path, term: str) -> None:
    with Screen(tmp_path, environment={"TERM": term}) as screen:
        assert screen.wait() == 0
        assert b"\x1b" not in screen.output
        assert b"memory" in screen.output


def test_without_stdin_it_prints_one_frame(tmp_path: Path) -> None:
    shell = f"exec {sys.executable} -m sysmon <&-"
    done = subprocess.run(["sh", "-c", shell], env=folders(tmp_path), capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert b"memory" in done.stdout
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGQUIT, 131)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_signal_ends_it_soon_and_the_terminal_is_whole(tmp_path: Path, number: int, status: int) -> None:
    with Screen(tmp_path) as screen:
        screen.wait_shown("LIVE", "load")
        os.kill(screen.pid, number)
        assert screen.wait(10) == status
        screen.assert_whole()


def test_control_c_ends_it(tmp_path: Path) -> None:
    with Screen(tmp_path) as screen:
        screen.wait_shown("LIVE", "load")
        screen.write(b"\x03")
        assert screen.wait() in (0, 130)
        screen.assert_whole()


def test_a_terminal_that_vanishes_ends_it_even_where_hangups_are_ignored(tmp_path: Path) -> None:
    with Screen(tmp_path, ignore_hangup=True) as screen:
        screen.wait_shown("LIVE", "load")
        before = screen.cpu_seconds()
        screen.hang_up()
        assert screen.wait(5, reading=False) == 129
        assert screen.usage - before < 1.0


@pytest.mark.needs("bash")
def test_it_is_suspended_by_its_shell_and_goes_on(tmp_path: Path) -> None:
    line = f"set -m; {sys.executable} -m sysmon; echo away $?; fg >/dev/null; exit $?"
    words = ("-c", f"import os; os.execvp('bash', ['bash', '-c', {line!r}])")
    with PtyApp(*words, width=120, height=40, environment=folders(tmp_path) | {"LC_ALL": "C.UTF-8"}) as app:
        app.read_until(lambda: "LIVE" in "\n".join(app.screen.display), "LIVE")
        os.kill(_child(app.pid), signal.SIGTSTP)
        place = app.wait_for(b"\x1b[?1049l")
        place = app.wait_for(b"away 148", place)
        place = app.wait_for(b"\x1b[?1049h", place)
        app.wait_for(b"LIVE", place)
        app.write(b"q")
        assert app.wait() == 0
        app.wait_for(b"\x1b[?1049l", place)


def _child(pid: int) -> int:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return int(file.read().split()[0])


def test_stderr_stays_clean_while_the_screen_runs(tmp_path: Path) -> None:
    log = tmp_path / "stderr"
    shell = f"exec {sys.executable} -m sysmon 2>{log}"
    words = ("-c", f"import os; os.execvp('sh', ['sh', '-c', {shell!r}])")
    with PtyApp(*words, width=100, height=30, environment=folders(tmp_path) | {"LC_ALL": "C.UTF-8"}) as app:
        app.read_until(lambda: "LIVE" in "\n".join(app.screen.display), "LIVE")
        app.write(b"3")
        app.read(1.5)
        app.write(b"q")
        assert app.wait() == 0
    assert log.read_bytes() == b""
