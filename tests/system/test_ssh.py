"""Boxes watched over plain ssh, through a real sshd: values, faults, recovery, and an agent behind it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors.base import Roots
from collectors.filesystems import FilesystemsCollector
from collectors.identity import boot_id, machine_host_id
from collectors.memory import MemoryCollector
from collectors.network import NetworkCollector
from collectors.registry import catalogue
from remote.ssh.faults import SshFault
from remote.ssh.line import SshLine
from remote.ssh.runtime import Runtime
from remote.target import parse_target
from sysmon.derive import State
from tests.system.programs import Program, wait_for
from tests.system.sshbox import FEW, SshBox, busybox_root, watch

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.system,
    pytest.mark.needs("sshd", "ssh", "ssh-keygen"),
    pytest.mark.skipif(os.geteuid() != 0, reason="an sshd for root needs root"),
]


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshBox]:
    """An sshd that is not started yet."""
    made = SshBox(tmp_path / "box", monkeypatch.setenv)
    yield made
    made.stop()


async def first_fault(box: SshBox, *, seconds: float = 20.0) -> str:
    """The words of the first status that says what is wrong."""
    watching = watch(box.target)
    try:
        await watching.until(lambda: any(status.message for status in watching.statuses), seconds)
        status = next(status for status in watching.statuses if status.message)
        assert status.state == "offline" and not watching.frames and status.name == "box"
        return status.message
    finally:
        await watching.close()


def end(box: SshBox) -> None:
    """Nothing that was run on the box is left."""
    wait_for(lambda: not any(map(_command, box.running())), 5)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


async def test_this_machine_without_an_agent_tells_what_its_own_collectors_tell(box: SshBox) -> None:
    box.start()
    before = NetworkCollector(Roots()).read().values
    watching = watch(box.target, tables=["processes"])
    try:
        await watching.until(lambda: len(watching.frames) >= 2)
    finally:
        after = NetworkCollector(Roots()).read().values
        await watching.close()
    first, second = watching.frames[:2]
    assert (first.seq, second.seq) == (1, 2) and first.full
    assert first.run == second.run and first.time % 1000 == 0 and second.time - first.time in (1000, 2000)
    assert 0.4 < (second.monotonic - first.monotonic) / 1e9 < 2
    assert first.host == watching.info.id == machine_host_id(Roots())
    assert first.boot == boot_id(Roots())
    local = MemoryCollector(Roots()).read().values
    assert first.readings["memory.total"] == local["memory.total"] == watching.info.memory
    sizes = FilesystemsCollector(Roots()).read().values
    assert first.readings["fs.size:/"] == sizes["fs.size:/"]
    for frame in (first, second):
        for key in ("net.receive:lo", "net.transmit:lo"):
            assert before[key] <= frame.readings[key] <= after[key]
    assert {"cpu.time.user", "load.1", "uptime", "disk.read:vda"} & first.readings.keys() >= {"cpu.time.user", "uptime"}
    own = next(row for row in first.tables.processes or [] if row.pid == os.getpid())
    assert own.user == "root" and own.memory > 1 << 20
    assert own.command.encode().startswith(_command(os.getpid()).partition(b"\0")[0])
    state = State(catalogue())
    for frame in (first, second):
        state.apply(frame)
    assert 0 <= (state.get("cpu.utilization") or 0) <= 1 and state.get("net.receive_rate:lo") is not None
    assert watching.statuses[0].state == "connecting" and watching.statuses[-1].state == "live"
    assert abs(watching.source.skew or 0) < 1000 and watching.past() is None
    assert not any("sysmon-box" in fault.message + fault.hint for fault in first.faults)
    end(box)


@pytest.mark.needs("busybox", "unshare")
@pytest.mark.parametrize("applets", [(), FEW], ids=["busybox", "few applets"])
async def test_a_box_of_busybox_gives_the_usual_readings(box: SshBox, tmp_path: Path, applets: tuple[str, ...]) -> None:
    # What a login shell says first, as if it were the script, is passed over.
    noise = 'printf "Welcome!\\n=0 r\\n/proc/stat:cpu 1 2 3 4\\n"; '
    box.start(busybox_root(tmp_path / "root", applets).replace("ForceCommand ", f"ForceCommand {noise}"))
    watching = watch(box.target)
    try:
        await watching.until(lambda: watching.frames)
    finally:
        await watching.close()
    readings = watching.frames[0].readings
    local = MemoryCollector(Roots()).read().values
    for key in ("cpu.time.user", "memory.available", "net.receive:lo", "load.1", "uptime", "processes.count"):
        assert key in readings, key
    assert any(key.startswith("disk.read:") for key in readings)
    assert any(key.startswith("fs.size:") for key in readings)
    assert readings["memory.total"] == local["memory.total"]
    assert watching.info.os == "OpenWrt 23.05.5" and watching.info.id != machine_host_id(Roots())
    assert len(watching.info.id) == 16
    assert not [fault for fault in watching.frames[0].faults if fault.kind == "failed"]


async def test_a_host_key_that_changed_is_never_connected_to(box: SshBox) -> None:
    box.start()
    watching = watch(box.target)
    await watching.until(lambda: watching.frames)
    await watching.close()
    box.stop()
    box.make_key("hostkey")
    box.start()
    # Whatever the user's own configuration would let pass.
    for strict in ("yes", "no"):
        box.trust(strict)
        words = await first_fault(box)
        # The path of its list of known hosts may be long, and is cut then.
        assert "THE HOST KEY HAS CHANGED" in words and f"-R '[127.0.0.1]:{box.port}'" in words
    # What a command that was cut off left behind ends with its deadline.
    wait_for(lambda: not box.running(), 20)


async def test_an_unknown_host_key_and_a_wrong_key(box: SshBox) -> None:
    box.start()
    box.trust("yes")
    assert "its host key is not known here" in await first_fault(box)
    box.trust("accept-new", key="other")
    words = await first_fault(box)
    assert "permission denied (publickey)" in words and "ssh-copy-id" in words


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("echo 'This account is currently not available.'; exit 1", "This account is currently not available."),
        ('exec bash -r -c "$SSH_ORIGINAL_COMMAND"', "restricted"),
        ('PATH=/nowhere; eval "$SSH_ORIGINAL_COMMAND"', "there is no shell `sh`"),
    ],
    ids=["nologin", "rbash", "no shell"],
)
async def test_a_shell_that_does_not_do_it(box: SshBox, command: str, words: str) -> None:
    box.start(f"ForceCommand {command}")
    assert words in await first_fault(box)


async def test_nobody_listens_and_no_such_name(box: SshBox, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "the connection was refused" in await first_fault(box)
    watching = watch("ssh://no-such-box.invalid")
    await watching.until(lambda: any(status.message for status in watching.statuses))
    await watching.close()
    assert "the name is not known" in watching.statuses[-1].message
    monkeypatch.setenv("PATH", str(box.folder))
    assert "there is no `ssh` here; install" in await first_fault(box)


async def test_a_cut_is_told_and_mended_without_a_hole_in_the_count(box: SshBox) -> None:
    box.start()
    watching = watch(box.target)
    try:
        await watching.until(lambda: watching.frames)
        seen = len(watching.frames)
        box.cut()
        await watching.until(lambda: len(watching.frames) >= seen + 2)
        assert box.log().count("Accepted publickey") == 2
    finally:
        await watching.close()
    assert [frame.seq for frame in watching.frames] == list(range(1, len(watching.frames) + 1))
    assert len({frame.run for frame in watching.frames}) == 1
    times = [frame.monotonic for frame in watching.frames]
    assert times == sorted(set(times))
    assert watching.statuses[-1].state == "live"
    end(box)


async def test_what_runs_on_the_box_ends_with_the_ssh_here(box: SshBox, tmp_path: Path) -> None:
    box.start()
    runtime = Runtime(Path(os.environ["XDG_RUNTIME_DIR"]))
    line = SshLine(parse_target(box.target), runtime)
    await line.open(10)
    assert (await line.ask(("cpu",), 5)).texts["/proc/stat"].startswith(b"cpu ")
    assert any(b"sh\0-s" in _command(pid) for pid in box.running())
    assert line._process is not None
    line._process.kill()
    end(box)
    with pytest.raises(SshFault):
        await line.ask(("cpu",), 5)
    await line.close()


async def test_a_box_that_stands_still_is_noticed(box: SshBox) -> None:
    box.start()
    line = SshLine(parse_target(box.target), Runtime(Path(os.environ["XDG_RUNTIME_DIR"])))
    await line.open(10)
    box.cut(signal.SIGSTOP)
    with pytest.raises(SshFault) as raised:
        await line.ask(("cpu",), 0.5)
    assert raised.value.kind == "silent" and "has been silent for 0.5 s" in str(raised.value)
    # The connection that stands still is not used again.
    await line.open(10)
    assert (await line.ask(("cpu",), 5)).texts
    await line.close()


async def test_an_agent_there_is_spoken_to_and_its_history_is_at_hand(box: SshBox, tmp_path: Path) -> None:
    agent = Program(tmp_path / "agent", "--agent", "--port", "0")
    agent.start()
    box.start(f"SetEnv XDG_RUNTIME_DIR={agent.folder}/run")
    watching = watch(box.target)
    try:
        await watching.until(lambda: len([frame for frame in watching.frames if frame.seq]) >= 2)
        assert watching.info.version and watching.info.target == box.target and watching.info.name == "box"
        frame = next(frame for frame in watching.frames if frame.seq)
        past = watching.past()
        assert past is not None
        wait_for_span = time.monotonic() + 8
        while not (spans := await past.spans()) or spans[0].last < 2:
            assert time.monotonic() < wait_for_span
            await asyncio.sleep(0.3)
        assert spans[0].run == frame.run and spans[0].host == frame.host
        earlier = await past.frames(frame.host, frame.run, 1, 2)
        assert [each.seq for each in earlier] == [1, 2]
        # It is stopped: the files are read instead, and the host does not go away.
        agent.stop()
        await watching.until(lambda: watching.frames[-1].run != frame.run, 15)
        assert watching.frames[-1].host == frame.host
        await watching.until(lambda: watching.statuses[-1].state == "live", 5)
    finally:
        await watching.close()
        if agent.process is not None:
            agent.stop()
    assert not list((Path(os.environ["XDG_RUNTIME_DIR"]) / "sysmon" / "ssh").glob("f-*"))


@pytest.mark.slow
def test_a_recorder_gets_what_it_missed_from_the_agent_behind_ssh(box: SshBox, tmp_path: Path) -> None:
    agent = Program(tmp_path / "agent", "--agent", "--port", "0")
    recorder = Program(
        tmp_path / "recorder", "--record", "--port", "0", config=f'[hosts.box]\ntarget = "{box.target}"\n'
    )
    agent.start()
    environment = f"SetEnv XDG_RUNTIME_DIR={agent.folder}/run"
    box.start(environment)
    try:
        recorder.start()
        run = wait_for(lambda: [run for _, run, _ in agent.kept()])[0]

        def held() -> list[int]:
            return sorted(seq for _, each, seq in recorder.kept() if each == run)

        wait_for(lambda: len(held()) >= 2)
        box.stop()
        last = held()[-1]
        wait_for(lambda: max(seq for _, _, seq in agent.kept()) >= last + 3)
        box.start(environment)
        wait_for(lambda: held()[-1] > last + 5 and held() == list(range(held()[0], held()[-1] + 1)))
        frames = agent.kept()
        for identity, frame in recorder.kept().items():
            if identity[1] == run and identity in frames:
                assert (frame.readings, frame.faults) == (frames[identity].readings, frames[identity].faults)
    finally:
        for program in (recorder, agent):
            if program.process is not None:
                program.stop()


def installed(tmp_path: Path, **more: str) -> str:
    """The environment of a box where sysmon is installed, with folders of its own."""
    program = Program(tmp_path / "there")
    names = ("SYSMON_DB", "SYSMON_CONFIG", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "HOME")
    given = {name: program.environment[name] for name in names}
    given["PATH"] = f"{Path(sys.executable).parent}:/usr/bin:/bin:/usr/sbin:/sbin"
    return "SetEnv " + " ".join(f"{name}={value}" for name, value in (given | more).items())


def agents(box: SshBox) -> list[int]:
    """The agents that run on the box."""
    return [pid for pid in box.running() if b"--tied" in _command(pid)]


async def test_an_agent_is_started_there_for_as_long_as_it_is_watched(box: SshBox, tmp_path: Path) -> None:
    box.start(installed(tmp_path))
    socket = tmp_path / "there/run/sysmon/tied.sock"
    watching, other = watch(box.target), None
    try:
        await watching.until(lambda: [frame for frame in watching.frames if frame.seq])
        assert watching.info.version and watching.info.id == machine_host_id(Roots())
        first = agents(box)
        assert len(first) == 1 and socket.is_socket()
        # Whoever watches it as well finds that one there.
        other = watch(box.target, name="again")
        await other.until(lambda: any(frame.seq for frame in other.frames))
        assert agents(box) == first and other.frames[-1].run == watching.frames[-1].run
        await other.close()
        run = watching.frames[-1].run
        await watching.until(lambda: watching.frames[-1].seq >= 3)
        box.cut()
        await watching.until(lambda: watching.frames[-1].run != run and watching.frames[-1].seq, 30)
        assert len(agents(box)) == 1 and agents(box) != first
        # What the one before took is in the history there, and so at hand.
        past = watching.past()
        assert past is not None
        held = next(span for span in await past.spans() if span.run == run)
        assert held.last >= 3
        assert watching.statuses[-1].state == "live"
        began = time.monotonic()
    finally:
        await watching.close()
        if other is not None:
            await other.close()
    assert time.monotonic() - began < 4
    end(box)
    assert not socket.exists() and not agents(box)


FOREIGN = 'echo "Sysmon v1.3.1 - Monitors system events"'
OLDER = """case $1 in --version) echo sysmon 0.0.9 ;; *) echo "sysmon: '--tied' is not an option" >&2; exit 2 ;; esac"""
HUNG = """case $1 in --version) echo sysmon 0.1.0 ;; *) exec sleep 60 ;; esac"""


@pytest.mark.parametrize(
    ("does", "words"),
    [
        (FOREIGN, "does not tell its version: Sysmon v1.3.1"),
        (OLDER, "could not be started: '--tied' is not an option"),
        (HUNG, "it did not serve within 1 s"),
    ],
    ids=["another program", "older", "hung"],
)
async def test_where_it_does_not_come_up_files_are_read_and_the_reason_is_said(
    box: SshBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, words: str
) -> None:
    monkeypatch.setattr("remote.ssh.hired.START_SECONDS", 1.0)
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/sysmon"
    program.write_text(f"#!/bin/sh\necho run >>{tmp_path}/runs\n{does}\n")
    program.chmod(0o755)
    box.start(installed(tmp_path, PATH=f"{tmp_path}/bin:/usr/bin:/bin"))
    watching = watch(box.target)
    try:
        await watching.until(lambda: len(watching.frames) >= 2 and watching.statuses[-1].message)
        assert watching.statuses[-1].state == "live"
        assert f"read by its files: the sysmon there {words}" in watching.statuses[-1].message or words in (
            watching.statuses[-1].message
        )
        runs = (tmp_path / "runs").read_text().count("run")
        assert runs <= 2
    finally:
        await watching.close()
    if does != HUNG:  # that one listens to nobody
        end(box)


async def test_where_nothing_can_be_written_it_is_read_all_the_same(box: SshBox, tmp_path: Path) -> None:
    nowhere = {"XDG_STATE_HOME": "/proc/no", "SYSMON_DB": "/proc/no/history.db", "HOME": "/proc/no"}
    box.start(installed(tmp_path, **nowhere))
    watching = watch(box.target)
    try:
        await watching.until(lambda: [frame for frame in watching.frames if frame.seq])
        assert len(agents(box)) == 1 and watching.statuses[-1].state == "live"
    finally:
        await watching.close()
    end(box)


async def test_one_frame_of_a_box_on_the_command_line(box: SshBox) -> None:
    box.start()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sysmon", "--once", "--json", box.target), stdout=subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    answer = json.loads(said)
    assert answer["readings"]["memory.total"] and "cpu.utilization" in answer["derived"]
