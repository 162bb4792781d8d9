"""Notes of users: written by any process, beside one that records, at once, for good, and never into a file that is not
there.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from store import notes
from store.notes import SqliteNotes
from sysmon.clock import ManualClock
from sysmon.errors import SchemaTooNew, StoreError
from sysmon.frame import DeviceRow
from tests.store.helpers import reading, recording, rows
from tests.store.worlds import HOST, START

TV, PHONE = "02:aa:bb:cc:dd:01", "02:aa:bb:cc:dd:02"

RECORD = """
import asyncio, sys
from pathlib import Path
from store.writer import SqliteRecorder
from sysmon.clock import SystemClock
from sysmon.frame import DeviceRow
from tests.store.helpers import KEEP
from tests.store.worlds import CATALOGUE, HOST, START, World

async def main():
    recorder = SqliteRecorder.open(Path(sys.argv[1]), CATALOGUE, retention=KEEP, clock=SystemClock())
    world, number = World(), 0
    while True:
        for frame in world.frames(20):
            await recorder.record(frame, received=frame.time)
        row = DeviceRow(key=f"10.0.{number // 200 % 200}.{number % 200}", online=True)
        await recorder.record_devices(HOST, [row, DeviceRow(key="tv", online=True)], START + number)
        await recorder.flush()
        number += 1
        print(number, flush=True)

asyncio.run(main())
"""

NOTE = """
import asyncio, sys
from pathlib import Path
from store.notes import SqliteNotes
from tests.store.worlds import HOST, START

async def main():
    kept = SqliteNotes.open(Path(sys.argv[1]))
    for number in range(10**9):
        await kept.name_device(HOST, "tv", alias=f"name {number}")
        await kept.reset_devices(HOST, START + number)
        print(number, flush=True)

asyncio.run(main())
"""


STRANGER = """
import asyncio, os, sys
from pathlib import Path
from store.notes import SqliteNotes
from sysmon.errors import StoreError

async def main():
    await asyncio.to_thread(int)
    os.setuid(65534)
    try:
        await SqliteNotes.open(Path(sys.argv[1], "history.db")).reset_devices("host", 1)
    except StoreError as error:
        print(error)

asyncio.run(main())
"""


@pytest.mark.anyio
async def test_names_and_categories_are_given_and_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    kept = SqliteNotes.open(path, clock=ManualClock(START))
    async with recording(path) as recorder, reading(path) as history:
        await recorder.record_devices(HOST, [DeviceRow(key=TV), DeviceRow(key=PHONE)], START)
        await recorder.flush()

        async def told(key: str = TV) -> tuple[str, str]:
            return next((each.alias, each.category) for each in await history.devices(HOST) if each.key == key)

        assert await told() == ("", "")
        await kept.name_device(HOST, TV, alias="  Telly \n")
        assert await told() == ("Telly", "")
        await kept.name_device(HOST, TV, category="television")
        assert await told() == ("Telly", "television")
        assert await told(PHONE) == ("", "")
        await kept.name_device(HOST, TV)
        await kept.name_device(HOST, TV, alias="")
        assert await told() == ("", "television")
        await kept.name_device(HOST, TV, category=" ")
        assert await told() == ("", "")
        assert rows(path, "SELECT * FROM device_note") == []
        await kept.name_device(HOST, TV, alias="\x1b[31mred\u202e", category="x" * notes.MAX_NOTE)
        assert await told() == ("\ufffd[31mred\ufffd", "x" * 64)
        # One not seen yet may be named.
        await kept.name_device(HOST, "10.0.0.9", alias="printer")
        await recorder.record_devices(HOST, [DeviceRow(key="10.0.0.9")], START)
        await recorder.flush()
        assert await told("10.0.0.9") == ("printer", "")
        for wrong in ("y" * 65, "y" * 100_000):
            with pytest.raises(StoreError, match=r"at most 64 are kept"):
                await kept.name_device(HOST, TV, alias=wrong)
        with pytest.raises(StoreError, match="by the id of its router and its key"):
            await kept.name_device(HOST, "", alias="x")


@pytest.mark.anyio
async def test_counting_periods_begin_once_in_order_and_not_in_the_future(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.db"
    kept = SqliteNotes.open(path, clock=ManualClock(START))
    async with recording(path), reading(path) as history:
        for time in (START - 5, START - 1000, START - 5, START + 1):
            await kept.reset_devices(HOST, time)
        assert await history.resets(HOST) == [START - 1000, START - 5, START]
        assert await history.resets("another") == []
        for wrong in (START + 3_600_000, -1):
            with pytest.raises(StoreError, match=f"no counting period of '{HOST}' begins at {wrong} ms; it begins now"):
                await kept.reset_devices(HOST, wrong)
        monkeypatch.setattr(notes, "MAX_RESETS", 2)
        await kept.reset_devices(HOST, START - 500)
        assert await history.resets(HOST) == [START - 5, START]


@pytest.mark.anyio
async def test_a_file_is_never_made_or_migrated(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    kept = SqliteNotes.open(path, clock=ManualClock(START))
    with pytest.raises(StoreError, match=r"there is no history at .*history\.db.*; record first"):
        await kept.name_device(HOST, TV, alias="x")
    with pytest.raises(StoreError, match="there is no history at"):
        await SqliteNotes.open(tmp_path / "none" / "history.db").reset_devices(HOST, 1)
    assert not path.exists() and not (tmp_path / "none").exists()
    path.write_bytes(b"")
    with pytest.raises(StoreError, match="has schema 0, names of devices need 2; an older sysmon"):
        await kept.name_device(HOST, TV, alias="x")
    assert path.read_bytes() == b""
    path.unlink()
    async with recording(path):
        pass
    rows(path, "PRAGMA user_version = 1")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="has schema 1, names of devices need 2"):
        await kept.name_device(HOST, TV, alias="x")
    rows(path, "PRAGMA user_version = 99")
    with pytest.raises(SchemaTooNew, match="a newer sysmon wrote it"):
        await kept.reset_devices(HOST, START)
    rows(path, "PRAGMA user_version = 1")
    assert path.read_bytes()[96:] == before[96:]
    path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(StoreError, match="not a database"):
        await kept.name_device(HOST, TV, alias="x")


@pytest.mark.anyio
async def test_a_file_of_somebody_else_is_refused_in_words(checkout: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        path = Path(name) / "history.db"
        path.touch()
        path.chmod(0o644)

        def ask() -> str:
            return subprocess.check_output([sys.executable, "-c", STRANGER, name], cwd=checkout, text=True)

        async with recording(path) as recorder:
            await recorder.flush()
            said = [await asyncio.to_thread(ask)]
        said.append(await asyncio.to_thread(ask))
        assert rows(path, "SELECT * FROM device_reset") == []
    for each in said:
        assert "cannot be opened or written" in each and "give this user the right to read and write it" in each


@pytest.mark.anyio
async def test_another_writer_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    async with recording(path) as recorder, reading(path) as history:
        await recorder.flush()
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(SqliteNotes.open(path).reset_devices(HOST, START))
        # Both wait for the other's end; readers do not.
        await recorder.record_devices(HOST, [DeviceRow(key=TV)], START)
        flushed = asyncio.create_task(recorder.flush())
        assert await history.resets(HOST) == []
        assert not writing.done() and not flushed.done()
        other.execute("COMMIT")
        other.close()
        await asyncio.gather(writing, flushed)
        assert await history.resets(HOST) == [START]
        assert [each.key for each in await history.devices(HOST)] == [TV]
        assert recorder.problem == ""


@pytest.mark.anyio
async def test_a_recorder_in_another_process_and_a_killed_writer_of_notes(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    root = Path(__file__).parents[2]

    def start(code: str) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True, cwd=root)

    def line(process: subprocess.Popen[str]) -> int:
        assert process.stdout is not None
        return int(process.stdout.readline())

    recorder = start(RECORD)
    try:
        await asyncio.to_thread(line, recorder)
        kept = SqliteNotes.open(path)
        async with reading(path) as history:
            for number in range(20):
                await kept.name_device(HOST, "tv", alias=f"mine {number}")
                # Seen at once, whatever the recorder does.
                named = {each.key: each.alias for each in await history.devices(HOST)}
                assert named["tv"] == f"mine {number}"
            for _ in range(2):
                noting = start(NOTE)
                first = await asyncio.to_thread(lambda each=noting: [line(each) for _ in range(5)])  # type: ignore[misc]
                noting.send_signal(signal.SIGKILL)
                rest = (await asyncio.to_thread(noting.communicate))[0].split()
                last = int(rest[-1]) if rest else first[-1]
                # What it was told is kept is kept, of the next one may be anything.
                assert (await history.resets(HOST))[-1] >= START + last
                named = {each.key: each.alias for each in await history.devices(HOST)}
                assert int(named["tv"].split()[1]) in (last, last + 1)
                await kept.reset_devices(HOST, START - 1)
            before = await asyncio.to_thread(line, recorder)
            assert await asyncio.to_thread(line, recorder) > before
            assert recorder.poll() is None
            recorder.send_signal(signal.SIGKILL)
            recorder.wait()
            await kept.name_device(HOST, "tv", alias="after")
            named = {each.key: each.alias for each in await history.devices(HOST)}
            assert named["tv"] == "after"
    finally:
        recorder.kill()
        recorder.communicate()
    async with recording(path) as opened:
        assert opened.notices == []
