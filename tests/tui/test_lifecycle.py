"""Ends, stops and odd terminals, each with a real process in a real pseudo-terminal."""

from __future__ import annotations

import os
import re
import signal
import sys
import termios
import time

import pexpect
import pytest

from tests.tui.pty_app import ROOT, PtyApp

TICKER = ("-m", "tests.tui.apps.ticker")
RESTORED = (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1000l", b"\x1b[?1003l", b"\x1b[?1006l", b"\x1b[?2004l", b"\x1b[?7h")
FRAME = b"\xe2\xa3\xbf"  # ⣿


def started(app: PtyApp) -> None:
    """Wait until the application has drawn."""
    app.wait_for(b"\x1b[?1049h")
    app.wait_for(FRAME)


def assert_restored(app: PtyApp) -> None:
    """All modes are off, after the last time they were on, and the tty is as it was."""
    last_on = app.output.rindex(b"\x1b[?1049h")
    tail = app.output[last_on:]
    for sequence in RESTORED:
        assert sequence in tail, sequence
    assert termios.tcgetattr(app.slave) == app.modes_before


def test_a_vanished_terminal_ends_the_program_though_hangups_are_ignored() -> None:
    with PtyApp(*TICKER, ignore_hangup=True) as app:
        started(app)
        before = app.cpu_seconds()
        app.hang_up()
        assert app.wait(3, reading=False) == 129
        assert app.usage - before < 0.9


def test_a_vanished_terminal_ends_a_program_that_hangs_too() -> None:
    with PtyApp(*TICKER, "stubborn", ignore_hangup=True) as app:
        started(app)
        app.hang_up()
        assert app.wait(4, reading=False) == 129


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_signals_restore_the_terminal(number: signal.Signals) -> None:
    with PtyApp(*TICKER) as app:
        started(app)
        os.kill(app.pid, number)
        assert app.wait() == 128 + number
        assert_restored(app)
        assert b"Traceback" not in app.output


def test_a_program_that_does_not_end_is_ended_with_the_terminal_restored() -> None:
    with PtyApp(*TICKER, "stubborn") as app:
        started(app)
        os.kill(app.pid, signal.SIGTERM)
        assert app.wait(5) == 143
        assert_restored(app)


def test_sigpipe_is_nothing_to_a_terminal() -> None:
    with PtyApp(*TICKER) as app:
        started(app)
        os.kill(app.pid, signal.SIGPIPE)
        app.wait_for(FRAME, len(app.output))
        app.write(b"\x11")
        assert app.wait() == 0
        assert_restored(app)


def test_a_crash_leaves_the_screen_before_it_speaks() -> None:
    with PtyApp(*TICKER, "crash") as app:
        started(app)
        assert app.wait() == 1
        assert_restored(app)
        told = app.output[app.output.rindex(b"\x1b[?1049l") :]
        assert b"ZeroDivisionError" in told and b"as asked for" in told
        assert b"ZeroDivisionError" not in app.output[: app.output.rindex(b"\x1b[?1049l")]


def test_it_draws_on_the_terminal_though_stderr_is_a_file() -> None:
    shell = '"$0" -m tests.tui.apps.ticker 2>/dev/null'
    code = f"import os, sys; os.execv('/bin/sh', ['sh', '-c', {shell!r}, sys.executable])"
    with PtyApp("-c", code) as app:
        started(app)
        app.write(b"\x11")
        assert app.wait() == 0
        assert_restored(app)


def test_a_stalled_terminal_does_not_keep_the_program() -> None:
    with PtyApp(*TICKER, "interval=0.01", width=200, height=60) as app:
        started(app)
        time.sleep(0.5)  # nobody reads: the pty fills
        os.kill(app.pid, signal.SIGTERM)
        assert app.wait(6, reading=False) == 143


def test_suspending_gives_the_terminal_back_and_continuing_draws_again() -> None:
    env = os.environ | {"TERM": "xterm-256color", "PS1": "ready> ", "PYTHONPATH": str(ROOT), "COLORTERM": "truecolor"}
    shell = pexpect.spawn("bash", ["--norc", "--noprofile", "-i"], env=env, cwd=str(ROOT), timeout=20)
    shell.setwinsize(24, 80)
    assert shell.pid is not None
    try:
        shell.expect_exact(b"ready> ")
        # `sh -c` stays in front of the program, as make and sudo do: the whole job has to stop.
        shell.sendline(f"sh -c 'true; {sys.executable} -m tests.tui.apps.ticker typed=; true'")
        shell.expect_exact(FRAME)
        for stop in ("key", "signal"):
            if stop == "key":
                shell.send(b"\x1a")
            else:
                os.kill(_find_child(shell.pid), signal.SIGTSTP)
            shell.expect_exact(b"\x1b[?1049l")
            shell.expect_exact(b"Stopped")
            shell.expect_exact(b"ready> ")
            shell.sendline("stty -a | grep -o ' icanon'; echo cooked")
            shell.expect_exact(b" icanon\r\ncooked")
            shell.expect_exact(b"ready> ")
            shell.sendline("fg")
            shell.expect_exact(b"\x1b[?1049h")
            shell.expect_exact(FRAME)
            shell.expect_exact("▊".encode())  # the input's border: never changes, so it comes by a full repaint only
        shell.send(b"\x11")
        shell.expect_exact(b"\x1b[?1049l")
        shell.expect_exact(b"ready> ")
    finally:
        shell.close(force=True)


def _find_child(pid: int) -> int:
    """The Python process below a shell."""
    while True:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            children = file.read().split()
        if not children:
            return pid
        pid = int(children[-1])


def test_sigstop_and_sigcont_set_the_modes_again() -> None:
    with PtyApp(*TICKER) as app:
        started(app)
        os.kill(app.pid, signal.SIGSTOP)
        os.waitpid(app.pid, os.WUNTRACED)
        termios.tcsetattr(app.slave, termios.TCSANOW, app.modes_before)  # as a shell would
        place = len(app.output)
        os.kill(app.pid, signal.SIGCONT)
        place = app.wait_for(b"\x1b[?1049h", place)
        app.wait_for("▊".encode(), place)
        app.write(b"\x11")
        assert app.wait() == 0
        assert_restored(app)


def test_tstp_where_no_shell_watches_does_not_stop_for_ever() -> None:
    with PtyApp(*TICKER) as app:
        started(app)
        place = len(app.output)
        os.kill(app.pid, signal.SIGTSTP)
        place = app.wait_for(b"\x1b[?1049h", place)
        app.wait_for(FRAME, place)
        os.kill(app.pid, signal.SIGTERM)
        assert app.wait() == 143
        assert_restored(app)


def test_resize_storm_and_tiny_terminals() -> None:
    with PtyApp(*TICKER, "interval=0.02") as app:
        started(app)
        for turn in range(50):
            app.resize(20 + turn * 37 % 181, 5 + turn * 13 % 50, tell=False)
            app.read(0.005)
        for width, height in ((20, 5), (1, 1), (20, 5)):
            app.resize(width, height)
            app.wait_for(b"\x1b[m", len(app.output))
        app.write(b"\x11")
        assert app.wait() == 0
        assert_restored(app)


def test_what_was_typed_before_the_start_is_not_lost_and_late_answers_are_not_typed() -> None:
    with PtyApp(*TICKER, "typed=héllo", "late", "ticks=1") as app:
        started(app)
        app.read_until(lambda: any("héllo" in line for line in app.screen.display), "what was typed")
        app.write(b"a\x1b]11;rgb:1e1e/1e1e")
        app.read(0.02)
        app.write(b"/2e2e\x1b\\\x1b[?62;22cb")
        app.read_until(lambda: any("hélloab" in line for line in app.screen.display), "the rest")
        line = next(line for line in app.screen.display if "héllo" in line)
        assert re.sub(r"[^a-zé0-9;:/]", "", line) == "hélloab"
        app.write(b"\x11")
        assert app.wait() == 0
