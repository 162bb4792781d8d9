"""What commands on a router print, say and end with: framed so that none of it is taken for anything else."""

from __future__ import annotations

import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.ssh.frames import Answers, Output, Sample
from remote.ssh.script import MOST_OUTPUT, MOST_WORDS, OVERDUE, script
from tests.conftest import needs

B = "=0123456789abcdef0123456789abcdef"
SHELLS = ("dash", "bash", "busybox sh")

hostile = st.one_of(
    st.binary(max_size=300).filter(lambda data: b"=" not in data),
    st.lists(
        st.sampled_from(
            [b"=0 r", b"b 1", b"q 0", b"k nlbw", b"", b"/proc/stat:cpu 1", b"\r", B[:-1].encode() + b" q 0"]
        ),
        max_size=6,
    ).map(b"\n".join),
)


def answered(data: bytes, pieces: int = 1) -> list[Sample]:
    """The answers in what a router printed, fed in so many pieces."""
    answers = Answers(B)
    size = max(1, -(-len(data) // pieces))
    return [sample for at in range(0, len(data), size) for sample in answers.feed(data[at : at + size])]


@given(hostile, hostile, hostile, st.integers(0, 255), st.integers(1, 200))
def test_outputs_come_back_as_they_were(first: bytes, second: bytes, said: bytes, status: int, pieces: int) -> None:
    printed = b"".join(
        [
            f"{B} r\n{B} b 7\n{B} k nlbw\n".encode() + first,
            f"\n{B} m\n".encode() + said + f"\n{B} q {status}\n{B} q 0\n{B} g\n".encode(),
            f"{B} k leases\n".encode() + second + f"\n{B} m\n\n{B} q 0\n{B} g\n/proc/uptime:1.00 2\n{B} . 7\n".encode(),
        ]
    )
    (sample,) = answered(printed, pieces)
    assert sample.outputs == {
        "nlbw": Output(first, said=said[:MOST_WORDS], status=status),
        "leases": Output(second, status=0),
    }
    assert sample.texts == {"/proc/uptime": b"1.00 2\n"}


@given(st.binary(max_size=600))
def test_no_bytes_break_it(inside: bytes) -> None:
    lines = inside.replace(b"\xff", f"\n{B} ".encode())
    for sample in answered(f"{B} r\n{B} b 1\n{B} k nlbw\n".encode() + lines + f"\n{B} . 1\n".encode()):
        assert all(output.status is None or 0 <= output.status <= 999 for output in sample.outputs.values())


def test_names_are_those_of_commands_and_no_paths() -> None:
    text = "".join(f"{B} k {name}\nx\n{B} m\n\n{B} q 0\n{B} g\n" for name in ("../x", "a b", "A", "", "x" * 40, "nlbw"))
    (sample,) = answered(f"{B} r\n{B} b 1\n{text}{B} . 1\n".encode())
    assert sample.outputs.keys() == {"nlbw"}


COMMANDS = {
    "both": "echo out; echo wrong >&2; exit 3",
    "absent": "sysmon-has-no-such-command -x",
    "bare": "printf 'no end of line'; printf 'a\\\\cb' >&2",
    "input": "cat; read -r x; echo $?",
    "hang": "sleep 100 || echo again; sleep 100",
    "below": "sh -c 'sleep 100; echo never'",
    "endless": "while :; do echo 0123456789012345678901234567890123456789012345678901234567890123456789; done",
    "loud": "while :; do echo much >&2; done",
    "empty": "true",
}


@pytest.mark.parametrize("shell", SHELLS)
def test_real_shells_run_commands_within_bounds(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    needs(shell.split()[0])
    monkeypatch.setattr("remote.ssh.script.COMMAND_SECONDS", 1)
    monkeypatch.setattr("remote.ssh.script.MOST_OUTPUT", 100_000)
    monkeypatch.setattr("remote.ssh.frames.MOST_OUTPUT", 100_000)
    found: dict[str, Output] = {}
    took: dict[str, float] = {}
    with subprocess.Popen(
        [*shell.split(), "-s"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as box:
        assert box.stdin is not None and box.stdout is not None
        box.stdin.write(script(B, COMMANDS).encode())
        box.stdin.flush()
        answers = Answers(B)
        while not answers.ready:
            list(answers.feed(box.stdout.readline()))
        for name in COMMANDS:
            began = time.monotonic()
            box.stdin.write(f"1 run.{name}\n".encode())
            box.stdin.flush()
            while not (samples := list(answers.feed(box.stdout.readline()))):
                continue
            took[name] = time.monotonic() - began
            found |= samples[0].outputs
            assert b"/proc/uptime" in map(str.encode, samples[0].texts)
        box.stdin.close()
        assert box.wait(5) == 0
    assert answers.strange == 0
    assert found["both"] == Output(b"out\n", said=b"wrong", status=3)
    assert found["absent"].status == 127 and b"not found" in found["absent"].said
    assert (found["bare"].text, found["bare"].status) == (b"no end of line", 0) and found["bare"].said.startswith(
        b"a\\"
    )
    assert found["input"].text == b"1\n"
    assert found["empty"] == Output(status=0)
    for name in ("hang", "below", "loud"):
        assert found[name].status == OVERDUE and found[name].overdue and 0.9 < took[name] < 4
    assert len(found["loud"].said) <= MOST_WORDS
    assert found["endless"].cut and len(found["endless"].text) == 100_000 < MOST_OUTPUT
