"""Devices behind a router are kept as last seen: seldom written, bounded, harmless, and never set back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import devices
from store.devices import Devices, cleaned, known_devices
from store.notes import SqliteNotes
from store.reader import SqliteHistory
from store.retention import Retention
from store.schema import connect, migrate, prepare
from store.writer import SqliteRecorder
from sysmon.catalogue import Catalogue
from sysmon.clock import ManualClock
from sysmon.errors import Corrupt
from sysmon.frame import DeviceRow, ServiceRow
from sysmon.records import HostInfo, KnownDevice
from tests.store.helpers import reading, recording, rows
from tests.store.worlds import HOST, START

if TYPE_CHECKING:
    from pathlib import Path

TV = "02:aa:bb:cc:dd:01"
MINUTE = 60_000


def row(key: str = TV, **changes: object) -> DeviceRow:
    given = {"mac": key, "addresses": ["192.168.1.7"], "name": "tv", "name_from": "lease", "online": True, **changes}
    return DeviceRow(key=key, **given)  # type: ignore[arg-type]


class Kept:
    """Devices in a file of their own, looked at without a recorder."""

    def __init__(self, path: Path) -> None:
        self.connection = connect(path)
        prepare(self.connection)
        migrate(self.connection, path, START)
        self.connection.execute("INSERT INTO host(id, host) VALUES (1, ?)", (HOST,))
        self.devices = Devices(self.connection)
        self.now = 0

    def take(self, *seen: DeviceRow, time: int, wait: int = 30_000) -> int:
        """Takes a look `wait` ms after the one before; returns how many rows that wrote."""
        self.now += wait
        before = self.connection.total_changes
        self.devices.take(1, seen, time, self.now)
        return self.connection.total_changes - before

    def known(self) -> dict[str, KnownDevice]:
        return {each.key: each for each in known_devices(self.connection, HOST)}


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "history.db")


@pytest.mark.anyio
async def test_devices_are_kept_as_last_seen_with_what_users_call_them(tmp_path: Path) -> None:
    path, clock = tmp_path / "history.db", ManualClock(START)
    phone = row("02:aa:bb:cc:dd:02", name="", online=False, services=[ServiceRow("https", 5, 6, 1)], signal=-61.0)
    async with reading(path) as history:
        assert await history.devices(HOST) == []
        assert await history.resets(HOST) == []
        async with recording(path, clock) as recorder:
            await recorder.record_devices(HOST, [row(), phone], START)
            await recorder.flush()
            await SqliteNotes.open(path).name_device(HOST, TV, alias="Telly", category="television")
            assert await history.devices(HOST) == [
                KnownDevice(
                    host=HOST, key=TV, row=row(), first=START, last=START, alias="Telly", category="television"
                ),
                KnownDevice(host=HOST, key=phone.key, row=phone, first=START, last=START),
            ]
            await recorder.record_devices(HOST, [row(name="living room")], START + MINUTE)
        # The next recorder goes on from the file.
        async with recording(path, clock) as recorder:
            await recorder.record_devices(HOST, [phone], START + 9 * MINUTE)
            await recorder.record_devices(HOST, [row(addresses=["10.0.0.1"])], START + 10 * MINUTE)
        telly, other = await history.devices(HOST)
        assert (telly.row.name, telly.first, telly.last) == ("tv", START, START + 10 * MINUTE)
        assert telly.row.addresses == ["10.0.0.1"]
        assert (other.first, other.last) == (START, START)
        assert await history.devices("another") == []


@pytest.mark.anyio
async def test_a_file_without_devices_has_none(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    async with recording(path):
        pass
    # As an older sysmon made it, which still records.
    rows(path, "DROP TABLE device")
    rows(path, "PRAGMA user_version = 1")
    async with reading(path) as history:
        assert await history.devices(HOST) == []
        assert await history.resets(HOST) == []


def test_what_changes_all_the_time_is_written_seldom(kept: Kept) -> None:
    assert kept.take(row(), time=START) == 1
    for look in range(1, 10):
        used = row(services=[ServiceRow("https", look, look)], signal=-50.0 - look)
        assert kept.take(used, time=START + look * 30_000) == 0
    assert kept.take(used, time=START + 10 * 30_000) == 1
    assert kept.known()[TV].last == START + 10 * 30_000
    assert kept.known()[TV].row.services == [ServiceRow("https", 9, 9)]
    # A new address or name is told at once.
    assert kept.take(row(addresses=["192.168.1.8"]), time=START + 11 * 30_000) == 1
    assert kept.take(row(addresses=["192.168.1.8"], name="telly"), time=START + 12 * 30_000) == 1
    assert kept.take(row(addresses=["192.168.1.8"], name="telly"), time=START + 13 * 30_000) == 0
    # One that went is written with when it was last there, though it is not told of any more.
    assert kept.take(row("02:aa:bb:cc:dd:02"), time=START + 14 * 30_000) == 1
    assert kept.take(time=START + 40 * 30_000, wait=26 * 30_000) == 1
    assert kept.known()[TV].last == START + 13 * 30_000


def test_only_one_that_is_there_is_seen(kept: Kept) -> None:
    kept.take(row(), time=START)
    kept.take(row(online=False), time=START + MINUTE, wait=devices.EVERY)
    kept.take(row(online=False), time=START + 2 * MINUTE, wait=devices.EVERY)
    known = kept.known()[TV]
    assert (known.first, known.last, known.row.online) == (START, START, False)
    kept.take(row(), time=START + 3 * MINUTE, wait=devices.EVERY)
    assert kept.known()[TV].last == START + 3 * MINUTE


def test_what_comes_late_sets_nothing_back(kept: Kept) -> None:
    kept.take(row(name="new"), time=START)
    assert kept.take(row(name="old"), time=START - MINUTE, wait=devices.EVERY) == 1
    known = kept.known()[TV]
    assert (known.row.name, known.first, known.last) == ("new", START - MINUTE, START)
    # An offline look is newer than the last sight; what is older than it changes nothing.
    kept.take(row(name="newer", online=False), time=START + 5 * MINUTE)
    assert kept.take(row(name="old"), time=START + 3 * MINUTE) == 0
    assert kept.known()[TV].row.name == "newer"
    assert kept.known()[TV].last == START


def test_a_lease_that_ended_unnames_nothing(kept: Kept) -> None:
    full = row(vendor="Acme", category="television", network="home", signal=-50.0, services=[ServiceRow("https", 1, 1)])
    kept.take(full, time=START)
    kept.take(DeviceRow(key=TV), time=START + MINUTE, wait=devices.EVERY)
    assert kept.known()[TV].row == msgspec.structs.replace(full, online=False)
    kept.take(row(name="phone", name_from="hint"), time=START + 2 * MINUTE, wait=devices.EVERY)
    assert (kept.known()[TV].row.name, kept.known()[TV].row.name_from) == ("phone", "hint")


def test_those_unseen_for_the_longest_time_go(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "MOST", 10)
    for number in range(25):
        kept.take(row(f"10.0.0.{number}"), time=START + number)
    assert sorted(kept.known()) == sorted(f"10.0.0.{number}" for number in range(15, 25))
    kept.take(row("10.0.0.15"), time=START + 100)
    kept.take(row("10.0.1.1"), time=START + 101)
    assert "10.0.0.15" in kept.known() and "10.0.0.16" not in kept.known()
    # More at once than are kept: those that are there go before those that are not.
    kept.take(*(row(f"10.9.0.{number}", online=False) for number in range(50)), row("10.9.1.1"), time=START + 200)
    assert "10.9.1.1" in kept.known() and len(kept.known()) == 10
    # What the writer remembers is what the file has.
    assert Devices(kept.connection)._load(1).keys() == kept.known().keys()


@given(
    st.text(max_size=300), st.lists(st.text(max_size=60), max_size=50), st.lists(st.integers(0, 1 << 70), max_size=4)
)
def test_texts_are_harmless_and_short(text: str, many: list[str], sizes: list[int]) -> None:
    wild = DeviceRow(
        key=text or "k",
        mac=text,
        addresses=many,
        name=text + "\x1b[31m\u202e",
        vendor=text,
        services=[ServiceRow(text, size, size) for size in sizes],
    )
    made = cleaned(wild)
    for shown in (made.mac, made.name, made.vendor, *made.addresses, *(each.name for each in made.services)):
        assert len(shown) <= devices.MAX_TEXT and "\x1b" not in shown and "\u202e" not in shown
    assert len(made.key.encode()) <= 255 and len(made.addresses) <= devices.MAX_ADDRESSES
    assert cleaned(made) == made
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=DeviceRow) == made


@pytest.mark.anyio
async def test_a_damaged_row_costs_its_own_words_and_no_other(tmp_path: Path) -> None:
    path, clock = tmp_path / "history.db", ManualClock()
    recorder = SqliteRecorder.open(path, Catalogue([]), retention=Retention(), clock=clock)
    await recorder.record_host(HostInfo(id="aa"))
    await recorder.record_devices("aa", [DeviceRow(key="k1", name="tv"), DeviceRow(key="k2", name="nas")], clock.now())
    await recorder.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE device SET body = substr(body, 1, 3) WHERE key = 'k1'")
        connection.commit()
    history = SqliteHistory.open(path, Catalogue([]), clock=clock)
    try:
        found = {each.key: each.row.name for each in await history.devices("aa")}
    finally:
        await history.close()
    assert found == {"k1": "", "k2": "nas"}


@pytest.mark.anyio
async def test_what_is_damaged_elsewhere_is_said_and_is_no_fault_of_ours(tmp_path: Path) -> None:
    path, clock = tmp_path / "history.db", ManualClock()
    recorder = SqliteRecorder.open(path, Catalogue([]), retention=Retention(), clock=clock)
    await recorder.record_host(HostInfo(id="aa"))
    await recorder.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE host SET info = substr(info, 1, 3)")
        connection.commit()
    history = SqliteHistory.open(path, Catalogue([]), clock=clock)
    try:
        with pytest.raises(Corrupt, match="damaged"):
            await history.hosts()
    finally:
        await history.close()
