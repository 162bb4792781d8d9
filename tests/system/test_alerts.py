"""An alert from its rule to its end: told on the stream, kept over restarts, resolved when the rule changes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.programs import Program, wait_for
from tests.system.terminal import Screen, folders
from tests.system.test_agent import Stream, get

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.system, pytest.mark.timeout(90)]

RULE = """
[alerts.up]
metric = "uptime"
above = "{above}"
for = "2s"
severity = "warning"
"""


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Program]:
    """An agent whose rule holds at once; not started."""
    program = Program(tmp_path, "--agent", "--port", "0", config=RULE.format(above="1 s"))
    yield program
    if program.process is not None:
        program.stop(signal.SIGKILL)


def listed(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """What `sysmon alerts` prints of the rule `up`."""
    done = subprocess.run(
        [sys.executable, "-m", "sysmon", "alerts", *arguments, "--json"],
        env=folders(folder),
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert done.stderr == ""
    return [each for each in json.loads(done.stdout) if each.get("rule") == "up"]


def test_an_alert_is_told_kept_over_a_restart_and_resolved_with_its_rule(tmp_path: Path, agent: Program) -> None:
    port = agent.start()
    stream = Stream(port)
    seen: list[dict[str, Any]] = [state for state in stream.until("hello").get("alerts", []) if state["rule"] == "up"]
    while not any(state["status"] == "firing" for state in seen):
        found = stream.event()
        assert found is not None
        if found[0] == "alert" and found[1]["rule"] == "up":
            seen.append(found[1])
    assert [state["status"] for state in seen][-2:] == ["pending", "firing"]
    stream.close()
    fired = wait_for(lambda: [each for each in get(port, "/v1/events")[1] if each.get("rule") == "up"])
    assert [event["kind"] for event in fired] == ["alert.firing"]
    (alert,) = wait_for(lambda: listed(tmp_path, "list"))
    assert (alert["status"], alert["series"], alert["threshold"]) == ("firing", "uptime", 1.0)

    assert agent.stop() == 0
    port = agent.start()
    hello = Stream(port)
    assert [state["status"] for state in hello.until("hello").get("alerts", []) if state["rule"] == "up"] == ["firing"]
    for _ in range(4):
        hello.until("frame")
    hello.close()
    assert [event["kind"] for event in listed(tmp_path, "history")] == ["alert.firing"]
    assert [state["since"] for state in listed(tmp_path, "list")] == [alert["since"]]

    assert agent.stop() == 0
    (tmp_path / "config.toml").write_text(RULE.format(above="900 d"))
    agent.start()
    wait_for(lambda: not listed(tmp_path, "list"))
    assert [event["kind"] for event in listed(tmp_path, "history")] == ["alert.resolved", "alert.firing"]


@pytest.mark.parametrize("config", ["", RULE.format(above="1 s") + 'hosts = ["elsewhere"]\n'])
def test_a_rule_that_is_gone_or_means_other_hosts_resolves_its_alert(
    tmp_path: Path, agent: Program, config: str
) -> None:
    agent.start()
    wait_for(lambda: [state for state in listed(tmp_path, "list") if state["status"] == "firing"])
    assert agent.stop() == 0
    (tmp_path / "config.toml").write_text(config)
    agent.start()
    wait_for(lambda: not listed(tmp_path, "list"))
    assert agent.stop() == 0
    agent.start()
    assert agent.stop() == 0
    assert [event["kind"] for event in listed(tmp_path, "history")] == ["alert.resolved", "alert.firing"]


def test_an_alert_stands_on_the_screen(tmp_path: Path) -> None:
    with Screen(tmp_path, config=RULE.format(above="1 s")) as screen:
        screen.wait_shown("LIVE")
        screen.write(b"0")
        screen.wait_shown("firing", "uptime")
        assert screen.quit() == 0
    assert [state["status"] for state in listed(tmp_path, "list")] == ["firing"]
