"""Routers watched by ssh: counters of their devices to the byte, what goes wrong with its words, and no write."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from collectors._router.commands import COMMANDS
from collectors.registry import catalogue
from remote.liveness import Patience
from remote.ssh.script import COMMAND_SECONDS, script
from store.reader import SqliteHistory
from sysmon.clock import SystemClock
from sysmon.derive import State
from tests.system.playedrouter import LEASED, PLAYED, REAL, HastyProgram, PlayedRouter, follow
from tests.system.programs import wait_for
from tests.system.sshbox import watch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sysmon.frame import DeviceRow, Frame
    from tests.system.playedrouter import Row
    from tests.system.sshbox import Watching

pytestmark = [pytest.mark.anyio, pytest.mark.system, pytest.mark.needs("sshd", "ssh", "ssh-keygen", "dash")]

TV, PHONE = "02:aa:bb:cc:dd:01", "02:aa:bb:cc:dd:02"


def rows(tv: int = 1000, phone: int = 5000) -> list[Row]:
    """What nlbwmon tells of two devices: bytes received; sent is a tenth."""
    return [
        (TV, "192.168.1.184", 3, tv, tv // 10),
        (PHONE, "192.168.1.185", 2, phone - 7, phone // 10),
        (PHONE, "fd00:1::102", 1, 7, 0),
    ]


@pytest.fixture
def router(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PlayedRouter]:
    """A router that is not switched on yet, and is looked at every second."""
    monkeypatch.setattr("collectors._router.counting.INTERVAL", 1.0)
    made = PlayedRouter(tmp_path / "router", monkeypatch.setenv)
    made.count(rows())
    yield made
    made.stop()


def looks(watching: Watching) -> list[Frame]:
    """The frames with a look at the devices."""
    return [frame for frame in watching.frames if "devices" in frame.reads or "devices" in words(frame)]


def ended(router: PlayedRouter) -> None:
    """Nothing that was run on the router is left, but for the clock of a deadline, which ends by itself."""
    clock = f"sleep\0{COMMAND_SECONDS}\0".encode()
    wait_for(lambda: not [each for pid in router.running() if (each := router.command(pid)) and clock not in each], 5)


def latest(watching: Watching) -> Frame:
    """The last of them."""
    return looks(watching)[-1]


def words(frame: Frame, collector: str = "devices") -> str:
    """What is wrong, as one text."""
    return "; ".join(
        f"{fault.collector}: {fault.message}" for fault in frame.faults if fault.collector.startswith(collector)
    )


def received(frame: Frame) -> dict[str, float]:
    """Device -> bytes received."""
    return {key.partition(":")[2]: value for key, value in frame.readings.items() if key.startswith("device.receive:")}


def devices(frame: Frame) -> dict[str, DeviceRow]:
    """The rows by key."""
    return {row.key: row for row in frame.tables.devices or []}


async def test_counters_are_exact_and_nothing_is_written_or_started(router: PlayedRouter) -> None:
    router.switch_on()
    before = router.held()
    watching = follow(router)
    try:
        await watching.until(lambda: looks(watching))
        first = looks(watching)[0]
        assert received(first) == {TV: 1000, PHONE: 5000}
        assert first.readings[f"device.transmit:{PHONE}"] == 500 and first.readings[f"device.connections:{PHONE}"] == 3
        assert devices(first)[TV].name == "Living-Room-TV" and devices(first)[TV].source == "nlbwmon"
        assert watching.info.os == "OpenWrt 24.10.4" and watching.info.name == "home" and not watching.info.version
        assert watching.statuses[-1].state == "live" and first.readings["uptime"] > 0
        assert router.held() == before
        router.count(rows(tv=501_000, phone=5000))
        await watching.until(lambda: received(latest(watching)).get(TV) == 501_000)
        state = State(catalogue())
        for frame in watching.frames:
            state.apply(frame)
        assert (state.get(f"device.receive_rate:{TV}") or 0) > 100_000
    finally:
        await watching.close()
    ran = router.ran()
    assert {line.split()[0] for line in ran} <= {*PLAYED, *REAL}
    asked = {line for line in ran if line.split()[0] in PLAYED}
    assert {"nlbw -c json -g family,mac,ip", "nlbw -c json -g mac,layer7", "ip neigh", "pidof nlbwmon"} <= asked
    allowed = re.compile(
        r"nlbw -c json -g \S+|ip (-6 )?(neigh|route|addr)|pidof nlbwmon|uci -q get \S+|ubus list \S+"
        r"|ubus call (\S+ get_clients|\S+ get_status|luci-rpc getHostHints)"
    )
    assert [line for line in asked if not allowed.fullmatch(line)] == []
    # There is no sftp on a router, and none is wanted.
    sftp = await asyncio.create_subprocess_exec(
        *("sftp", "-F", f"{router.folder}/client", "-P", str(router.port), "-b", "/dev/null", "127.0.0.1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert await sftp.wait() != 0
    ended(router)


def test_the_script_for_routers_only_reads() -> None:
    text = script("=B", {name: command.text for name, command in COMMANDS.items()})
    targets = re.findall(r"(?<![-=&<])[0-9]*>+\s*(&?[^\s;|)}>&]+)", text)
    assert targets and set(targets) <= {"/dev/null", "&1", "&2", "&4", "&5", "&6", "&7", "&-"}, sorted(set(targets))
    writing = (
        r"rm|mv|cp|tee|touch|mkdir|rmdir|ln|chmod|chown|mkfifo|mktemp|opkg|apk|service|reboot|iptables|nft|install"
    )
    words = re.findall(r"[A-Za-z][A-Za-z0-9_.-]*", text)
    assert not [word for word in words if re.fullmatch(writing, word)]
    assert "-c commit" not in text and "of=" not in text and " -i" not in text and "init.d" not in text
    for verb in re.findall(r"\buci (?:-q )?(\w+)", text):
        assert verb == "get"
    for verb in re.findall(r"\bubus (\w+)", text):
        assert verb in ("list", "call")
    assert set(re.findall(r'\bubus call "?\S+ (\w+)', text)) == {"get_clients", "get_status", "getHostHints"}


DOWN = ("", "Error while processing command: Bad file descriptor", 247)
NO_DATA = ("", "Error while processing command: No data available", 195)
OLD = ("", "nlbw: invalid option -- 'c'\nNo command specified", 1)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (DOWN, "nlbwmon does not run on the router"),
        (DOWN, "nlbwmon does not answer on the router"),
        (NO_DATA, "nlbwmon has no data of the present period"),
        (OLD, "nlbw does not take what it is asked: nlbw: invalid option"),
        (("", "Segmentation fault", 139), "nlbw ended with status 139: Segmentation fault"),
        (("<html>\x1b[2J garbage", "", 0), "is not"),
        (('{"columns":["family","mac","ip","conns"],"data":[', "", 0), "is not"),
        (('{"columns":["mac"],"data":[]}', "", 0), "nlbw gives no column ip, conns, rx_bytes, tx_bytes"),
        (("", "", 0), "nlbw printed nothing"),
    ],
    ids=["down", "deaf", "no data", "old", "crash", "garbage", "truncated", "columns missing", "nothing"],
)
async def test_what_goes_wrong_with_nlbw_is_said_and_the_rest_comes(
    router: PlayedRouter, said: tuple[str, str, int], told: str
) -> None:
    router.say("nlbw", said[0], error=said[1], status=said[2])
    if "not run" in told:
        router.silence("pid-nlbwmon")
    router.switch_on()
    watching = follow(router)
    try:
        await watching.until(lambda: looks(watching))
        first = looks(watching)[0]
        assert told in words(first), words(first)
        assert received(first) == {} and "\x1b" not in words(first)
        assert first.readings["memory.total"] and watching.statuses[-1].state == "live"
        # And it is mended there without anything to do here.
        router.count(rows())
        await watching.until(lambda: received(latest(watching)) == {TV: 1000, PHONE: 5000})
    finally:
        await watching.close()


async def test_a_router_without_nlbw_and_with_few_commands(router: PlayedRouter) -> None:
    for name in ("nlbw", "ip", "ubus", "uci", "pidof", "grep", "stat", "getconf"):
        router.remove(name)
    router.switch_on()
    watching = follow(router)
    try:
        await watching.until(lambda: len(looks(watching)) >= 2)
        assert "nlbwmon is not installed on the router" in words(looks(watching)[0])
        assert devices(looks(watching)[0])[TV].name == "Living-Room-TV"
        assert watching.frames[0].readings["memory.total"] and watching.statuses[-1].state == "live"
    finally:
        await watching.close()


async def test_columns_by_name_many_rows_capitals_and_hostile_names(router: PlayedRouter) -> None:
    order = ["layer9", "tx_bytes", "ip", "rx_bytes", "conns", "mac"]
    data: list[list[object]] = [
        ["x", 1, f"10.{at >> 8}.{at & 255}.9", at, 1, f"0A:00:00:00:{at % 1000 >> 8:02X}:{at % 1000 & 255:02X}"]
        for at in range(10_000)
    ]
    router.say("nlbw", json.dumps({"columns": order, "data": data}))
    given = enumerate(("tv", "tv", "a\x1b[31mb"))
    leases = [f"{LEASED} 0a:00:00:00:00:{at:02x} 10.0.{at}.9 {name} *" for at, name in given]
    router.file("/tmp/dhcp.leases", "\n".join([*leases, "duid 00:01:00:01", "0 7 fd00::7 box 00:01", "rubbish", ""]))
    router.switch_on()
    watching = follow(router)
    try:
        await watching.until(lambda: looks(watching))
        first = looks(watching)[0]
    finally:
        await watching.close()
    found = received(first)
    assert len(found.keys() - {TV, PHONE}) == 1000 and not any(re.search("[A-Z]", key) for key in found)
    assert found["0a:00:00:00:03:e7"] == sum(range(999, 10_000, 1000))
    assert not [fault for fault in first.faults if fault.collector == "limits"]
    table = devices(first)
    named = {key: row.name for key, row in table.items() if row.name}
    assert [named[f"0a:00:00:00:00:0{at}"][:2] for at in range(2)] == ["tv", "tv"]
    assert not any(ord(character) < 32 for row in table.values() for character in row.name)


async def test_a_command_that_hangs_costs_its_deadline_once(
    router: PlayedRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("remote.ssh.script", "remote.ssh.source", "cli.sshrouter"):
        monkeypatch.setattr(f"{place}.COMMAND_SECONDS", 1)
    router.does("nlbw", "sleep 100; echo never")
    router.switch_on()
    watching = follow(router)
    try:
        await watching.until(lambda: len(looks(watching)) >= 3)
        first, *more = looks(watching)
        assert "no answer within 1 s" in words(first) and received(first) == {}
        assert devices(first)[TV].name == "Living-Room-TV" and first.readings["load.1"] >= 0
        assert all("no answer within 1 s" in words(frame) for frame in more)
        assert router.ran().count("nlbw -c json -g family,mac,ip") == 1
        assert not any(b"sleep\x00100" in router.command(pid) for pid in router.running())
    finally:
        await watching.close()


async def test_a_router_that_falls_silent_over_a_command_is_not_asked_that_again_soon(
    router: PlayedRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remote.ssh.source.COMMAND_SECONDS", 0.5)
    router.does("nlbw", "sleep 5")
    router.switch_on()
    watching = follow(router, patience=Patience(deadline=1.5))
    try:
        await watching.until(lambda: looks(watching))
        assert "the router fell silent over it" in words(looks(watching)[0])
        assert any("has been silent for 2 s" in status.message for status in watching.statuses)
        assert router.ran().count("nlbw -c json -g family,mac,ip") == 1
    finally:
        await watching.close()


async def test_output_without_end_is_cut(router: PlayedRouter) -> None:
    router.does("nlbw", "while :; do echo 0123456789012345678901234567890123456789012345678901234567890123456789; done")
    router.switch_on()
    watching = follow(router)
    try:
        await watching.until(lambda: looks(watching))
        assert "it prints more than 4 MiB" in words(looks(watching)[0])
        assert watching.statuses[-1].state == "live"
    finally:
        await watching.close()
    ended(router)


@pytest.mark.slow
async def test_a_slow_router_is_asked_less_often(router: PlayedRouter) -> None:
    router.slow("grep", 0.4)
    router.switch_on()
    watching = follow(router)
    try:
        slow = "a slow box: it is sampled every"
        await watching.until(lambda: any(slow in status.message for status in watching.statuses), 30)
        assert received(looks(watching)[0]) == {TV: 1000, PHONE: 5000} and watching.statuses[-1].state == "live"
    finally:
        await watching.close()


async def test_greetings_of_the_login_are_passed_over(router: PlayedRouter) -> None:
    (router.folder / "greeting").write_text("\x1b[2J BusyBox v1.36\n=0 r\n=0 k nlbw\n{}\n W I R E L E S S\n")
    router.switch_on()
    watching = follow(router)
    try:
        await watching.until(lambda: looks(watching))
        assert received(looks(watching)[0]) == {TV: 1000, PHONE: 5000}
    finally:
        await watching.close()


async def test_counters_go_on_in_another_boot(router: PlayedRouter) -> None:
    router.switch_on()
    watching = follow(router)
    try:
        await watching.until(lambda: looks(watching))
        before = watching.frames[-1]
        router.count(rows(tv=300, phone=200))
        router.reboot(1)
        await watching.until(lambda: received((looks(watching) or [before])[-1]) == {TV: 300, PHONE: 200})
        last = looks(watching)[-1]
        assert last.host == before.host and last.run != before.run
        assert last.boot == "00000000-0000-4000-8000-000000000001"
        assert last.readings["uptime"] < before.readings["uptime"]
    finally:
        await watching.close()


async def first_words(router: PlayedRouter) -> str:
    """What the first status says that says what is wrong."""
    watching = follow(router)
    try:
        await watching.until(lambda: any(status.message for status in watching.statuses))
        status = next(status for status in watching.statuses if status.message)
        assert status.state == "offline" and not watching.frames and status.name == "home"
        return status.message
    finally:
        await watching.close()


async def test_why_it_cannot_be_reached_is_said(router: PlayedRouter) -> None:
    assert "the connection was refused" in await first_words(router)
    router.switch_on()
    router.trust("accept-new", key="other")
    assert "permission denied (publickey)" in await first_words(router)
    router.trust("accept-new")
    await (watching := follow(router)).until(lambda: watching.frames)
    await watching.close()
    router.stop()
    router.make_key("hostkey")
    router.switch_on()
    assert "THE HOST KEY HAS CHANGED" in await first_words(router)


async def test_a_key_that_runs_nlbw_alone_is_said_to_be_too_little(router: PlayedRouter) -> None:
    router.start(f"ForceCommand {router.bin}/nlbw -c json -g family,mac,ip")
    said = await first_words(router)
    assert "runs something else than `sh` for this user" in said and '"columns"' in said and "forced command" in said


# The recorder


def ask(port: int, path: str) -> Any:
    """What it answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return json.loads(answer.read())


def frame_of(port: int) -> dict[str, Any]:
    """The last frame of the router, {} while there is none."""
    try:
        found: dict[str, Any] = ask(port, "/v1/frame?host=home")
    except urllib.error.HTTPError:
        return {}
    return found


def counted(port: int, mac: str) -> float | None:
    """Bytes that a device received, as of the last frame."""
    value: float | None = frame_of(port).get("readings", {}).get(f"device.receive:{mac}")
    return value


def totals(database: Path, host: str) -> dict[str, int]:
    """All bytes ever counted, by key."""

    async def read() -> dict[str, int]:
        history = SqliteHistory.open(database, catalogue(), clock=SystemClock())
        try:
            now = SystemClock().now()
            found: dict[str, int] = {}
            for usage in await history.usage(host, now - 86_400_000, now + 60_000, "fiveminute"):
                if usage.key.startswith("device."):
                    found[usage.key] = found.get(usage.key, 0) + round(usage.bytes)
            return found
        finally:
            await history.close()

    return asyncio.run(read())


@pytest.mark.slow
def test_the_recorder_counts_every_byte_once(router: PlayedRouter, tmp_path: Path) -> None:
    router.switch_on()
    config = f'[routers.home]\ntarget = "{router.target}"\ninterval = "1s"\ndevices = "1s"\n'
    recorder = HastyProgram(tmp_path / "recorder", "--record", "--port", "0", config=config)
    try:
        port = recorder.start()
        wait_for(lambda: counted(port, TV) == 1000)
        frame = frame_of(port)
        host = frame["host"]
        assert frame["readings"][f"device.transmit:{PHONE}"] == 500
        router.count(rows(tv=1_001_000, phone=5000))
        wait_for(lambda: counted(port, TV) == 1_001_000)
        wait_for(lambda: frame_of(port)["derived"].get(f"device.receive_rate:{TV}", 0) > 0, 5)
        listed = {each.get("name"): each for each in ask(port, "/v1/hosts")["hosts"]}
        assert listed["home"]["os"] == "OpenWrt 24.10.4"
        for arguments, wanted in ((["status", "home"], "LIVE"), (["list"], "router")):
            said = subprocess.run(
                [sys.executable, "-m", "sysmon", "hosts", *arguments],
                env=recorder.environment, capture_output=True, text=True, check=False, timeout=30,
            )  # fmt: skip
            assert said.returncode == 0 and wanted in said.stdout, said.stderr
        # While nobody records, the router counts on.
        recorder.stop()
        router.count(rows(tv=1_001_500, phone=6000))
        port = recorder.start()
        wait_for(lambda: counted(port, TV) == 1_001_500)
        # A new month: everything begins anew.
        router.count(rows(tv=300, phone=100))
        wait_for(lambda: counted(port, TV) == 300)
        router.count(rows(tv=350, phone=100))
        wait_for(lambda: counted(port, TV) == 350)
        # It was switched off, and counts from the beginning once more.
        router.count(rows(tv=20, phone=10))
        router.reboot(2)
        wait_for(lambda: counted(port, TV) == 20)
        router.count(rows(tv=25, phone=10))
        wait_for(lambda: counted(port, TV) == 25)
        recorder.stop()
        found = totals(recorder.database, host)
        assert found[f"device.receive:{TV}"] == 1_000_000 + 500 + 300 + 50 + 20 + 5
        assert found[f"device.receive:{PHONE}"] == 1000 + 100 + 10
    finally:
        if recorder.process is not None:
            recorder.stop()


@pytest.mark.slow
def test_the_rows_reach_who_asks_for_them_through_hubs_of_hubs(router: PlayedRouter, tmp_path: Path) -> None:
    router.switch_on()
    near = HastyProgram(
        tmp_path / "near", "--record", "--port", "0",
        config=f'[routers.home]\ntarget = "{router.target}"\ninterval = "1s"\ndevices = "1s"\n',
    )  # fmt: skip
    far = HastyProgram(tmp_path / "far", "--record", "--port", "0")
    try:
        port = near.start()
        wait_for(lambda: counted(port, TV) == 1000)
        (far.folder / "config.toml").write_text(f'[hosts.near]\ntarget = "http://127.0.0.1:{port}"\n')
        beyond = far.start()
        wait_for(lambda: counted(beyond, TV) == 1000)

        async def look() -> DeviceRow:
            watching = watch(f"http://127.0.0.1:{beyond}", tables=["devices"])
            try:
                await watching.until(lambda: any(frame.tables.devices for frame in watching.frames))
                return next(devices(frame)[TV] for frame in watching.frames if frame.tables.devices)
            finally:
                await watching.close()

        assert asyncio.run(look()).name == "Living-Room-TV"

        async def plain() -> bool:
            watching = watch(f"http://127.0.0.1:{beyond}")
            try:
                await watching.until(lambda: sum(bool(received(frame)) for frame in watching.frames) >= 2)
                return any(frame.tables.devices for frame in watching.frames)
            finally:
                await watching.close()

        assert not asyncio.run(plain())
    finally:
        for program in (far, near):
            if program.process is not None:
                program.stop()
