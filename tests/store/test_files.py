"""The file itself: locks, versions, damage, rights, a killed writer, a full disk."""

import asyncio
import errno
import json
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import schema
from store.lock import Lock, holder, lock_path
from store.loop import KEPT_READINGS
from store.reader import SqliteHistory
from store.schema import connect, migrate, prepare, version_of
from store.writer import SqliteRecorder
from sysmon.clock import ManualClock, SystemClock
from sysmon.errors import Locked, SchemaTooNew, StorageFull, StoreError
from tests.store.helpers import KEEP, put, reading, recording, rows, seal_all
from tests.store.worlds import CATALOGUE, HOST, START, World


@pytest.mark.anyio
async def test_one_recorder_per_file(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    async with recording(path):
        found = holder(path)
        assert found is not None and (found.pid, found.who) == (os.getpid(), "screen")
        with pytest.raises(Locked, match=rf"screen \(process {os.getpid()}\) already records into"):
            SqliteRecorder.open(path, CATALOGUE, retention=KEEP, clock=ManualClock())
        async with reading(path) as history:
            assert (await history.status()).recorder == f"screen (process {os.getpid()})"
    assert holder(path) is None
    async with recording(path):
        assert holder(path) is not None


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    code = (
        "import sys, time; from pathlib import Path; from store.lock import Lock;"
        f"lock = Lock.acquire(Path({str(path)!r}), 'agent', 1); print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == "held\n"
        found = holder(path)
        assert found is not None and (found.pid, found.who) == (process.pid, "agent")
        with pytest.raises(Locked, match="agent"):
            Lock.acquire(path, "screen", 2)
        process.kill()
    assert json.loads(lock_path(path).read_text())["pid"] == process.pid
    assert holder(path) is None
    Lock.acquire(path, "screen", 2).release()


@pytest.mark.anyio
async def test_a_newer_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    async with recording(path):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(SchemaTooNew, match=r"has schema 99, this sysmon knows up to \d+; a newer sysmon wrote it"):
        SqliteRecorder.open(path, CATALOGUE, retention=KEEP, clock=ManualClock())
    assert path.read_bytes() == before
    assert holder(path) is None
    async with reading(path) as history:
        with pytest.raises(SchemaTooNew):
            await history.hosts()
        assert "schema 99" in (await history.status()).problem


def test_a_migration_and_its_record_are_one_transaction(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    connection = connect(path)
    prepare(connection)
    migrate(connection, path, 1)
    connection.execute("INSERT INTO host(host) VALUES ('kept')")
    newer = (*schema.MIGRATIONS, ("ALTER TABLE host ADD COLUMN note TEXT", "UPDATE host SET note = 'new'"))
    broken = (*newer, ("CREATE TABLE half(x)", "no statement"))
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, path, 2, broken)
    assert version_of(connection) == len(schema.MIGRATIONS)
    assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchall()
    migrate(connection, path, 3, newer)
    assert connection.execute("SELECT host, note FROM host").fetchall() == [("kept", "new")]
    assert version_of(connection) == len(newer)
    assert connection.execute("SELECT version, applied FROM migration ORDER BY 1").fetchall()[-1] == (len(newer), 3)
    with pytest.raises(SchemaTooNew):
        migrate(connection, path, 4)
    connection.close()


@pytest.mark.anyio
@pytest.mark.parametrize("damage", ["no database", "torn", "truncated"])
async def test_a_damaged_file_is_set_aside_and_a_new_one_begun(tmp_path: Path, damage: str) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    async with recording(path, clock) as recorder:
        await put(recorder, clock, world.frames(1300))
        await recorder.maintain()
    content = path.read_bytes()
    if damage == "no database":
        path.write_bytes(b"this is not a database, but it is long enough to be taken for one" * 100)
    elif damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    else:
        # As a disk that lost a few sectors: the schema is whole, tables are not.
        torn = bytearray(content)
        for start in range(8192, len(torn) - 4096, 4096):
            torn[start : start + 64] = random.Random(start).randbytes(64)
        path.write_bytes(torn)
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as check:
            assert check.execute("PRAGMA user_version").fetchone()
        check.close()
    async with recording(path, clock) as recorder:
        await put(recorder, clock, world.frames(10))
        await recorder.flush()
        assert "a new one is begun" in recorder.notices[0]
        async with reading(path) as history:
            events = await history.events()
            assert [(event.kind, event.severity) for event in events if "could not be read" in event.message] == [
                ("recording", "critical")
            ]
            assert len(await history.frames(HOST, "aa", 1301, 1310)) == 10
        assert recorder.problem == ""
    aside = [name for name in os.listdir(tmp_path) if ".corrupt-" in name and name.endswith("Z")]
    assert len(aside) == 1


@pytest.mark.anyio
async def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "places.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks(url)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="not a history of sysmon"):
        SqliteRecorder.open(path, CATALOGUE, retention=KEEP, clock=ManualClock())
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"history cannot be written in .*/file/below: .*SYSMON_DB"):
        SqliteRecorder.open(tmp_path / "file" / "below" / "h.db", CATALOGUE, retention=KEEP, clock=ManualClock())


@pytest.mark.anyio
async def test_a_missing_file_is_an_empty_history_until_it_is_there(tmp_path: Path) -> None:
    path, clock = tmp_path / "history.db", ManualClock(START)
    async with reading(path) as history:
        assert "no history at" in (await history.status()).problem
        assert await history.hosts() == []
        assert await history.moment(HOST, START) is None
        async with recording(path, clock) as recorder:
            await put(recorder, clock, World().frames(3))
            await recorder.flush()
            assert [info.id for info in await history.hosts()] == [HOST]
            status = await history.status()
            assert (status.problem, status.since) == ("", START)
            assert status.bytes > 0


def modes(folder: Path) -> dict[str, int]:
    """The modes of a folder's files by name, and its own as '.'."""
    found = {name: stat.S_IMODE(os.stat(folder / name).st_mode) for name in os.listdir(folder)}
    return {".": stat.S_IMODE(os.stat(folder).st_mode), **found}


@pytest.mark.anyio
async def test_what_is_made_is_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "sysmon"
    path, clock = folder / "history.db", ManualClock(START)
    async with recording(path, clock) as recorder:
        await put(recorder, clock, World().frames(3))
        await recorder.flush()
        files = ("history.db", "history.db-wal", "history.db-shm", "history.db.lock")
        assert modes(folder) == {".": 0o700} | dict.fromkeys(files, 0o600)
        assert modes(tmp_path)["state"] == 0o700
    path.write_bytes(b"damaged" * 1000)
    path.chmod(0o640)
    folder.chmod(0o755)
    async with recording(path, clock) as recorder:
        # Whom somebody let read it may go on doing so, in the file that takes its place too.
        await recorder.flush()
        assert "a new one is begun" in recorder.notices[0]
        found = modes(folder)
        assert found.pop(".") == 0o755
        assert set(found.values()) == {0o640} and len(found) == 5


@pytest.mark.anyio
async def test_the_log_stays_small(tmp_path: Path) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    async with recording(path, clock) as recorder, reading(path) as history:
        largest = 0
        for _ in range(300):
            await put(recorder, clock, world.frames(5))
            await recorder.flush()
            # A reader is about all the time, each question on a state of its own.
            await history.moment(HOST, clock.now())
            largest = max(largest, os.stat(f"{path}-wal").st_size)
        assert 1 << 19 < largest < 3 << 19


def test_a_lock_whose_file_was_removed_is_taken_on_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    first = Lock.acquire(path, "agent", 1)
    lock_path(path).unlink()
    second = Lock.acquire(path, "screen", 2)
    found = holder(path)
    assert found is not None and found.who == "screen"
    with pytest.raises(Locked, match="screen"):
        Lock.acquire(path, "record", 3)
    first.release()
    second.release()
    assert holder(path) is None


@pytest.mark.anyio
async def test_a_removed_file_is_noticed_and_begun_anew(tmp_path: Path) -> None:
    path, clock, world = tmp_path / "history.db", ManualClock(START), World()
    async with recording(path, clock) as recorder, reading(path) as history:
        await put(recorder, clock, world.frames(5))
        await recorder.flush()
        assert len(await history.frames(HOST, "aa", 1, 99)) == 5
        for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
            each.unlink()
        await put(recorder, clock, world.frames(5))
        await recorder.flush()
        assert [frame.seq for frame in await history.frames(HOST, "aa", 1, 99)] == [6, 7, 8, 9, 10]
        assert "was removed" in recorder.notices[-1]


CRASH = """
import asyncio, sys
from pathlib import Path
from store.writer import SqliteRecorder
from sysmon.clock import ManualClock
from tests.store.helpers import KEEP
from tests.store.worlds import CATALOGUE, START, World

async def main():
    clock, world = ManualClock(START), World()
    recorder = SqliteRecorder.open(Path(sys.argv[1]), CATALOGUE, retention=KEEP, clock=clock)
    while True:
        for _ in range(150):
            frame = world.tick()
            clock.step_wall(frame.time - clock.now())
            await recorder.record(frame, received=frame.time)
        await recorder.flush()
        print(world.seq, flush=True)
        # Sealing of whole blocks goes on while the next frames come.
        if world.seq % 600 == 0:
            asyncio.ensure_future(recorder.maintain())

asyncio.run(main())
"""


def run_and_kill(path: Path, checkout: Path, seed: int) -> int:
    """Has another process record, kills it at some moment, and returns the last seq that it had acknowledged."""
    draw = random.Random(seed)
    process = subprocess.Popen(
        [sys.executable, "-c", CRASH, str(path)], stdout=subprocess.PIPE, text=True, cwd=checkout
    )
    assert process.stdout is not None
    with process:
        acknowledged = 0
        until = draw.randrange(1500, 4000)
        for line in process.stdout:
            acknowledged = int(line)
            if acknowledged >= until:
                break
        # Somewhere in the next commits, or in the middle of sealing.
        try:
            process.wait(draw.random() * 0.08)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
    assert process.returncode == -signal.SIGKILL
    return acknowledged


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(4))
async def test_a_killed_recorder_loses_nothing_that_was_acknowledged(tmp_path: Path, checkout: Path, seed: int) -> None:
    path, clock = tmp_path / "history.db", ManualClock(START)
    acknowledged = run_and_kill(path, checkout, seed)
    frames = World().frames(acknowledged)
    async with recording(path, clock) as recorder, reading(path) as history:
        assert recorder.notices == []
        assert rows(path, "PRAGMA integrity_check") == [("ok",)]
        assert holder(path) is not None
        for _ in range(2):
            found = []
            for start in range(1, acknowledged + 1, 600):
                found += await history.frames(HOST, "aa", start, min(start + 599, acknowledged))
            assert found == frames
            spans = await history.spans()
            assert len(spans) == 1 and spans[0].first == 1 and spans[0].last >= acknowledged
            clock.step_wall(spans[0].end - clock.now())
            await seal_all(recorder, clock)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], check=False).returncode:
        pytest.skip("no right to mount a tmpfs here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(ballast: Path) -> None:
    """Takes all the room that is left."""
    try:
        with ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError as error:
        assert error.errno == errno.ENOSPC


@pytest.mark.anyio
async def test_a_full_disk_pauses_recording_until_there_is_room(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.loop.KEPT_READINGS", 3_000)
    monkeypatch.setattr("store.loop.RETRY_EVERY", 0.05)
    monkeypatch.setattr("store.loop.COMMIT_EVERY", 0.05)
    assert KEPT_READINGS > 100_000
    path, clock, world = small_disk / "history.db", ManualClock(START), World()
    async with recording(path, clock) as recorder, reading(path) as history:
        await put(recorder, clock, world.frames(200))
        await recorder.flush()
        ballast = small_disk / "ballast"
        fill(ballast)
        # The write-ahead log has some room of its own before it must grow.
        with pytest.raises(StorageFull, match="cannot grow"):
            for _ in range(100):
                await put(recorder, clock, world.frames(200))
                await recorder.flush()
        assert "free some space" in recorder.problem
        for _ in range(2000):
            await put(recorder, clock, world.frames(1))
        with pytest.raises(StorageFull):
            await recorder.flush()
        assert len(await history.frames(HOST, "aa", 1, 200)) == 200
        last = world.seq
        ballast.unlink()
        await put(recorder, clock, world.frames(10))
        await recorder.flush()
        assert recorder.problem == ""
        await recorder.flush()
        spans = await history.spans()
        assert spans[0].first == 1 and spans[-1].last == last + 10
        assert len(spans) == 2
        assert spans[1].last - spans[1].first < 1500
        missing = spans[1].first - spans[0].last - 1
        events = [event for event in await history.events() if event.kind == "recording"]
        assert len(events) == 1
        assert events[0].message.startswith(f"{missing} frames were not recorded: ")
        assert events[0].value == missing


@pytest.mark.anyio
async def test_the_deadline_ends_a_question(tmp_path: Path) -> None:
    path, clock = tmp_path / "history.db", ManualClock(START)
    async with recording(path, clock) as recorder:
        await put(recorder, clock, World().frames(900))
        await recorder.maintain()
    history = SqliteHistory.open(path, CATALOGUE, clock=SystemClock(), deadline=0.0)
    with pytest.raises(StoreError, match="did not answer in time"):
        await history.frames(HOST, "aa", 1, 900)
    await history.close()
    with pytest.raises(StoreError, match="closed"):
        await history.hosts()


STRANGER = """
import asyncio, os, sys
from pathlib import Path
from store.reader import SqliteHistory
from sysmon.clock import SystemClock
from tests.store.worlds import CATALOGUE, HOST

async def main():
    os.setuid(65534)
    history = SqliteHistory.open(Path(sys.argv[1]), CATALOGUE, clock=SystemClock())
    for _ in sys.stdin:
        print(len(await history.frames(HOST, "aa", 1, 600)), flush=True)
    await history.close()

asyncio.run(main())
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may look into, and only this one may write to."""
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.mark.anyio
async def test_a_user_without_rights_reads_what_a_service_records(open_folder: Path, checkout: Path) -> None:
    path, clock, world = open_folder / "history.db", ManualClock(START), World()
    path.touch()
    path.chmod(0o644)
    command = [sys.executable, "-c", STRANGER, str(path)]
    stranger = await asyncio.create_subprocess_exec(
        *command, cwd=checkout, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert stranger.stdin is not None and stranger.stdout is not None

    async def seen() -> int:
        assert stranger.stdin is not None and stranger.stdout is not None
        stranger.stdin.write(b"how many?\n")
        return int(await stranger.stdout.readline())

    for count in (10, 20):
        async with recording(path, clock) as recorder:
            await put(recorder, clock, world.frames(10))
            await recorder.flush()
            assert holder(path) is not None
            assert await seen() == count
        # Now nobody records, and SQLite has taken its log away.
        assert await seen() == count
    stranger.stdin.close()
    assert await stranger.wait() == 0
