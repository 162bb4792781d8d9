"""`sysmon devices` on a made month."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.devicetables import why_apart
from cli.main import run
from cli.present import Present
from cli.routerstatus import looks
from cli.tables import Column, cells_of, fit, lines, plain, shortened
from collectors.registry import catalogue
from store.reader import SqliteHistory
from sysmon.clock import SystemClock
from sysmon.devices import Bytes, Device, Link
from sysmon.records import Status
from tests.cli import months
from tests.cli.months import DEVICES, NOW, ROUTER, mac, said

if TYPE_CHECKING:
    from pathlib import Path

    from sysmon.records import Liveness

ROUTERS = '[routers.home]\ntarget = "ssh://root@192.168.1.1"\n[routers.attic]\ntarget = "ssh://root@192.168.7.1"\n'


@pytest.fixture
def month(made_month: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process's own copy of it."""
    return months.settle(months.copied(made_month, tmp_path), monkeypatch, ROUTERS)


def test_the_table_adds_up(month: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = said(capsys, "devices").splitlines()
    assert printed[0] == "interfaces of laptop"
    rows = {line.split()[0]: line for line in printed if line and line[0] != " "}
    assert rows["eth0"].split()[1:5] == ["10.0", "KiB/s", "1.0", "KiB/s"]
    assert "11.3 GiB" in rows["eth0"] and "100.0 %" in rows["eth0"]
    # The bridge is gone, and what went through it went through eth0.
    assert rows["br0*"].endswith("gone") and rows["lo*"].endswith("loopback  up")
    assert "* not in the total: its bytes go through another interface too, or loopback" in printed
    totals = [line for line in printed if line.startswith("total")]
    assert "11.3 GiB" in totals[0] and "20.0 KiB/s" not in totals[0]
    assert sum(line.endswith("nlbwmon") for line in printed) == DEVICES
    # 11 hours of 820 MB and 820 kB.
    assert "8.4 GiB" in totals[1]


def test_json_and_csv_tell_the_same_bytes(month: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = json.loads(said(capsys, "devices", "--router", "home", "--since", "7d", "--json"))
    hours = 6 * 24 + 11
    assert (answer["since"], answer["until"]) == ("2026-11-15T00:00:00Z", "2026-11-21T11:00:00Z")
    assert answer["total"] == DEVICES
    told = {each["name"]: each["range"]["receive"] for each in answer["devices"]}
    assert told == {mac(number): number * hours * 1_000_000 for number in range(1, DEVICES + 1)}
    assert sum(each["share"] for each in answer["devices"]) == pytest.approx(1)
    assert answer["devices"][0]["first"] == "2026-11-21T10:00:00Z"
    rows = list(
        csv.DictReader(io.StringIO(said(capsys, "devices", "--router", "home", "--since", "7d", "--format", "csv")))
    )
    assert {row["name"]: int(row["range_receive"]) for row in rows} == told
    # What a spreadsheet would run is text.
    assert {row["label"] for row in rows} >= {'\'=HYPERLINK("http://x")', "anna-phone"}


def test_it_is_sorted_cut_and_paged(month: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def names(*arguments: str) -> list[str]:
        answer = json.loads(said(capsys, "devices", "--router", "home", "--json", *arguments))
        return [each["name"] for each in answer["devices"]]

    assert names("--top", "3") == [mac(40), mac(39), mac(38)]
    assert names("--sort", "name", "--top", "2") == [mac(4), mac(1)]
    assert names("--page", "2", "--per-page", "15") == [mac(number) for number in range(25, 10, -1)]
    assert len(names("--page", "3", "--per-page", "15")) == 10
    table = said(capsys, "devices", "--router", "home", "--page", "3", "--per-page", "15")
    assert "page 3 of 3: 10 of 40 rows" in table
    # The total is of all forty.
    assert "8.4 GiB" in next(line for line in table.splitlines() if line.startswith("total"))
    assert "there is no page 4; 40 rows are 3 pages of 15" in said(
        capsys, "devices", "--router", "home", "--page", "4", "--per-page", "15", status=2
    )


@pytest.mark.parametrize("columns", [200, 100, 80, 60, 40])
def test_it_keeps_to_the_width(
    month: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for arguments in (("devices",), ("devices", "--since", "7d"), ("devices", "anna-phone"), ("usage", "--by", "day")):
        printed = said(capsys, *arguments)
        body = [line for line in printed.splitlines() if not line.startswith(("*", "interfaces of", "devices behind"))]
        table = [line for line in body if "GiB" in line or "MiB" in line or line.startswith(("device", "interface"))]
        assert table and max(map(cells_of, table)) <= columns
        assert "\x1b" not in printed


def test_one_device_has_a_page(month: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = said(capsys, "devices", "ANNA-phone", "--by", "day", "--since", "7d")
    assert printed.startswith("anna-phone, behind home\n")
    for words in (
        "52:54:00:00:00:01",
        "192.168.1.11, fd00::1",
        "Apple, Inc.",
        "counted by  nlbwmon: IP packets",
        "HTTPS",
    ):
        assert words in printed
    assert sum(line.startswith("2026-11-") for line in printed.splitlines()) == 7
    answer = json.loads(said(capsys, "devices", "anna-phone", "--by", "hour", "--since", "yesterday", "--json"))
    assert [each["receive"] for each in answer["history"]["steps"]] == [1_000_000] * 24
    assert answer["services"][0] == ["HTTPS", 1000, 100, 1] or answer["services"][0]["name"] == "HTTPS"
    assert said(capsys, "devices", "192.168.1.11").startswith("anna-phone")
    assert said(capsys, "devices", "eth0").startswith("eth0 of laptop")
    loopback = said(capsys, "devices", "lo")
    assert "loopback, up" in loopback and "not in the total: loopback\n" in loopback


def test_what_is_left_out_of_the_total_says_why() -> None:
    def left_out(kind: str, size: int = 5, **link: Any) -> str:
        return why_apart(
            Device(
                kind="interface",
                host=ROUTER,
                name="x",
                counted=False,
                total=Bytes(size, 0),
                link=Link(kind=kind, **link),
            )
        )

    assert left_out("loopback", 0) == "loopback"
    assert left_out("virtual", 0) == left_out("ethernet", 0) == "nothing went through it"
    assert left_out("bridge") == left_out("other", master="br0") == "its bytes go through another interface too"
    assert left_out("other") == "it is not the way to the world"
    assert why_apart(Device(kind="interface", host=ROUTER, name="eth0", counted=True)) == ""
    assert why_apart(Device(kind="device", host=ROUTER, name=mac(1))) == ""


def test_a_name_of_two_asks_which(month: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = said(capsys, "devices", "tv", status=2)
    assert f"'tv' is the name of 2 devices: {mac(2)} (home), {mac(3)} (home); give one of these instead" in words


def test_devices_are_named_and_counted_anew(month: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "devices", "name", mac(2), "telly")
    said(capsys, "devices", "category", "telly", "television")
    assert said(capsys, "devices", "TELLY").startswith("telly, behind home")
    assert "category    television" in said(capsys, "devices", "telly")
    assert "'telly' is the name of" in said(capsys, "devices", "name", mac(3), "telly", status=2)
    said(capsys, "devices", "name", "telly", "")
    assert said(capsys, "devices", mac(2)).startswith("tv, behind home")
    assert "no counting period was begun on home" in said(
        capsys, "devices", "--router", "home", "--since", "reset", status=2
    )
    assert "wants to be confirmed; add --yes" in said(capsys, "devices", "reset", status=2)
    told = said(capsys, "devices", "reset", "--router", "home", "--yes")
    assert "Nothing was deleted, and the router was not touched" in told

    async def resets() -> list[int]:
        history = SqliteHistory.open(month, catalogue(), clock=SystemClock())
        try:
            return await history.resets(ROUTER)
        finally:
            await history.close()

    assert asyncio.run(resets()) == [NOW]
    assert "home is counted anew since 2026-11-21 11:00: --since reset" in said(capsys, "devices")


def test_the_routers_say_how_they_are(month: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = said(capsys, "devices", "status")
    assert "home (ssh://root@192.168.1.1): UNKNOWN: nobody records now" in printed
    assert "counted by nlbwmon: IP packets" in printed
    assert "40 devices known" in printed
    assert "attic (ssh://root@192.168.7.1): UNKNOWN" in printed
    home, attic = json.loads(said(capsys, "devices", "status", "--json"))
    assert (home["devices"], home["since"], attic["devices"]) == (DEVICES, "2026-10-27T11:00:00Z", 0)


def test_connections_are_looked_at_sooner_than_nlbwmon() -> None:
    assert (looks(30.0, "nlbwmon"), looks(30.0, ""), looks(30.0, "conntrack")) == (30.0, 30.0, 10.0)
    assert looks(120.0, "conntrack") == 120.0


class Telling:
    """A recorder beside that tells one frame of a router."""

    frame: dict[str, Any]

    def __init__(self, *given: object) -> None:
        pass

    async def find(self) -> str:
        return "recorder"

    async def ask(self, neighbour: str, path: str) -> bytes:
        assert path == f"/v1/frame?host={ROUTER}"
        return json.dumps(self.frame).encode()


@pytest.mark.parametrize(
    ("frame", "state", "status"),
    [
        ({"readings": {"device.receive:a": 5}}, "live", 0),
        # Something is wrong, and they are counted all the same.
        ({"readings": {"device.receive:a": 5}, "faults": ["names"]}, "live", 0),
        ({"readings": {"memory.total": 5}, "faults": ["down"]}, "live", 1),
        ({"readings": {"memory.total": 5}, "faults": ["down"]}, "paused", 0),
        ({"readings": {"memory.total": 5}}, "live", 0),
        ({"readings": {}, "faults": []}, "offline", 1),
    ],
)
def test_a_router_that_cannot_count_is_something_wrong(
    month: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    frame: dict[str, Any],
    state: Liveness,
    status: int,
) -> None:
    fault = {"collector": "devices", "kind": "no_data", "message": "nlbwmon does not run", "hint": "start nlbwmon"}
    Telling.frame = {**frame, "faults": [{**fault, "message": each} for each in frame.get("faults", [])]}
    monkeypatch.setattr("cli.neighbours.Neighbours", Telling)

    async def look(context: object, *, rates: bool) -> Present:
        told = [Status(host=ROUTER, name="home", state=state), Status(host="", name="attic", state="connecting")]
        return Present(months.OWN, {}, "recorder", "", {}, told)

    monkeypatch.setattr("cli.ledgers.look", look)
    assert run(["devices", "status"]) == status
    printed = capsys.readouterr().out.splitlines()
    listed = said(capsys, "devices")
    wrong = [f"home: {each}" for each in frame.get("faults", [])] if state == "live" else [f"home is {state}"]
    assert json.loads(said(capsys, "devices", "--json"))["problems"] == wrong
    # Numbers that are missing are explained beside those that are not.
    assert all(f"\n{each}\n" in listed for each in wrong)
    for each in frame.get("faults", []):
        at = printed.index(f"  no_data: {each}")
        assert printed[at + 1] == "    → start nlbwmon"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody"], "'nobody' is no interface and no device known here"),
        (["ana-phone"], "did you mean 'anna-phone'?"),
        (["a", "b"], "one NAME can be looked at"),
        (["--router", "hom"], "'hom' is not a host of the history; did you mean 'home'?"),
        (["--router", "attic"], "router 'attic' was never reached; `sysmon devices status` says why"),
        (["--router", "laptop"], "no devices were ever seen behind 'laptop'; routers are home"),
        (["--router", "home", "--host", "home"], "exclude each other"),
        (["--since", "noonish"], "'noonish' is neither a moment nor a range; write today"),
        (["--since", "1h", "--until", "2h"], "--since '1h' is not before --until '2h'"),
        (["--until", "2h"], "--until goes with --since"),
        (["--sort", "shrae"], "'shrae' is nothing to sort by; did you mean 'share'?"),
        (["--top", "0"], "--top '0' is out of range"),
        (["--by", "day"], "--by goes with NAME"),
        (["--yes"], "--yes goes with reset"),
        (["name", "tv"], "takes a DEVICE and its ALIAS"),
        (["name", "anna-phone", "x" * 65], "the name 'xxxxxxxxxxxxxxxxxxxx…' has 65 characters"),
    ],
)
def test_what_is_wrong_is_said(
    month: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert words in said(capsys, "devices", *arguments, status=1 if "xxx" in words else 2)


def test_without_a_history_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    months.settle(tmp_path, monkeypatch, ROUTERS)
    assert "router 'attic' was never reached; `sysmon devices status` says why" in said(
        capsys, "devices", "--router", "attic", status=2
    )
    printed = said(capsys, "devices")
    assert "eth0" in printed and "no history yet" in printed
    (eth0, _) = json.loads(said(capsys, "devices", "--json"))["devices"]
    assert (eth0["rates"]["receive"], eth0.get("today")) == (10240.0, None)
    assert "there is no history yet" in said(capsys, "usage", status=2)
    assert "there is no history yet" in said(capsys, "report", status=2)


@given(st.text(max_size=40), st.integers(1, 60))
def test_a_cell_fits_its_room(text: str, room: int) -> None:
    shown = shortened(plain(text), room)
    assert cells_of(shown) <= room
    assert shown == plain(text) or shown.endswith("…")


def test_columns_go_in_their_order() -> None:
    columns = [
        Column("name", ["very-long-name-of-it", "日本"], left=True),
        Column("first", ["1", "2"], 2),
        Column("last", ["1", "2"], 9),
        Column("empty", ["–", ""], 1),
        Column("kept", ["10", "2"]),
    ]
    assert [each.title for each in fit(columns, None)] == ["name", "first", "last", "kept"]
    assert [each.title for each in fit(columns, 34)] == ["name", "first", "kept"]
    assert [each.title for each in fit(columns, 20)] == ["name", "kept"]
    assert lines(columns, 20) == ["name            kept", "very-long-nam…    10", "日本               2"]
