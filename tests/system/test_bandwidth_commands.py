"""`sysmon devices`, `usage` and `report` beside a real hub that knows a router from before."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from collectors.registry import catalogue
from store.retention import Retention
from store.writer import SqliteRecorder
from sysmon.clock import SystemClock
from sysmon.frame import DeviceRow
from sysmon.records import HostInfo, Past, UsagePiece
from tests.system.programs import Program, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.system, pytest.mark.timeout(60)]

ROUTER = "bbbbbbbbbbbbbbbb"
HOUR = 3_600_000
PHONE = "52:54:00:00:00:01"


async def _before(path: Path) -> None:
    """Writes what the hub recorded of a router before: two devices, each of the last 48 hours."""
    now = time.time_ns() // 1_000_000
    recorder = SqliteRecorder.open(path, catalogue(), retention=Retention(free=0.0), clock=SystemClock())
    await recorder.record_host(HostInfo(id=ROUTER, name="home", target="ssh://root@192.0.2.1", timezone="UTC"))
    pieces = [
        UsagePiece(f"device.{way}:52:54:00:00:00:0{number}", at, at + HOUR, number * 1_000_000)
        for number in (1, 2)
        for at in range(now // HOUR * HOUR - 48 * HOUR, now // HOUR * HOUR, HOUR)
        for way in ("receive", "transmit")
    ]
    await recorder.record_past(Past(host=ROUTER, source="agent", time=now, pieces=pieces))
    rows = [
        DeviceRow(key=f"52:54:00:00:00:0{number}", mac=f"52:54:00:00:00:0{number}", source="nlbwmon")
        for number in (1, 2)
    ]
    await recorder.record_devices(ROUTER, rows, now - HOUR)
    await recorder.close()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A hub that has taken some frames of its own machine, and that a router was recorded by before."""
    folder = tmp_path_factory.mktemp("bandwidth")
    made = Program(folder / "hub", "--record", "--listen", "127.0.0.1", "--port", "0", config=CONFIG)
    asyncio.run(_before(made.database))
    made.port = made.start()
    wait_for(lambda: len(made.kept()) >= 4)
    yield made
    made.stop()


CONFIG = """
[agent]
port = 1
[routers.home]
target = "ssh://root@192.0.2.1"
paused = true
[caps.line]
limit = "1 TB"
"""


def run(hub: Program, *arguments: str, status: int = 0, more: dict[str, str] | None = None) -> str:
    """Runs a command as the hub's user; returns its stdout, or its stderr where it should fail."""
    done = subprocess.run(
        [sys.executable, "-m", "sysmon", *arguments],
        env=hub.environment | (more or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=40,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert b"Traceback" not in done.stderr
    return (done.stderr if status == 2 else done.stdout).decode()


def asked(hub: Program, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{hub.port}{path}", timeout=10) as answer:
        return json.load(answer)


def test_devices_tell_the_hubs_present_and_the_files_past(hub: Program) -> None:
    answer = json.loads(run(hub, "devices", "--json"))
    assert answer["problem"] == ""
    interfaces = [each for each in answer["devices"] if each["kind"] == "interface"]
    devices = [each for each in answer["devices"] if each["kind"] == "device"]
    # Rates come from the hub, with no second look.
    assert all(each["rates"] for each in interfaces)
    assert {each["name"] for each in interfaces} >= {"lo"}
    assert [each["recorded"]["receive"] for each in devices] == [96_000_000, 48_000_000]
    served = asked(hub, "/v1/devices?kind=device&sort=total")
    assert [each["recorded"]["receive"] for each in served["devices"]] == [96_000_000, 48_000_000]
    table = run(hub, "devices")
    assert "devices behind home" in table and "recorded since" in table and "by recorder" in table


def test_what_a_user_says_is_served_by_the_hub_at_once(hub: Program) -> None:
    assert "is called phone" in run(hub, "devices", "name", PHONE, "phone")
    # Of a range that nobody asked for in the last seconds, so that it is not what is remembered.
    (served,) = asked(hub, "/v1/devices?kind=device&name=phone&range=30d")["devices"]
    assert (served["name"], served["alias"]) == (PHONE, "phone")
    run(hub, "devices", "reset", "--router", "home", "--yes")
    assert len(asked(hub, "/v1/resets?host=home")) == 1
    (told,) = json.loads(run(hub, "devices", "phone", "--since", "reset", "--json"))["history"]["names"]
    assert told == PHONE
    status = run(hub, "devices", "status")
    assert "home (ssh://root@192.0.2.1): PAUSED" in status and "counted anew since" in status


def test_usage_and_report_are_of_the_same_bytes(hub: Program) -> None:
    (series,) = json.loads(run(hub, "usage", "--device", PHONE, "--by", "hour", "--since", "all", "--json"))["series"]
    assert sum(step["receive"] or 0 for step in series["steps"]) == 48_000_000
    served = asked(hub, f"/v1/usage?host=home&kind=device&by=hour&range=all&name={PHONE}")
    assert sum(step["receive"] or 0 for step in served["series"][0]["steps"]) == 48_000_000
    own = json.loads(run(hub, "usage", "--json"))
    assert {each["name"] for each in own["series"]} >= {"lo"}
    page = run(hub, "report", "--period", "week", "--format", "html")
    assert "<h2>Devices behind home</h2>" in page and "</html>" in page


def test_pipes_locales_and_terminals_are_honoured(hub: Program) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TERM": "dumb"}
    for arguments in (["devices"], ["usage", "--by", "day"], ["devices", PHONE], ["usage", "lo", "--format", "plot"]):
        printed = run(hub, *arguments, more=plain)
        assert printed.isascii() and "\x1b" not in printed
    script = f"{sys.executable} -m sysmon devices --router home --format csv | head -n 1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {script}"], env=hub.environment, capture_output=True, timeout=40, check=False
    )
    assert done.stdout.startswith(b"kind,host,") and done.stderr == b""
    heavy = "('textual', 'rich', 'plotext', 'httpx')"
    loaded = (
        "import sys, cli.main; cli.main.run(sys.argv[1:]);"
        f" print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    for arguments in (["devices"], ["usage"], ["report"]):
        done = subprocess.run(
            [sys.executable, "-c", loaded, *arguments],
            env=hub.environment,
            capture_output=True,
            timeout=40,
            check=False,
        )
        assert done.stderr.strip() == b"[]"
