"""Hubs that watch hubs: chains, rings, and a host that is reached in two ways."""

from __future__ import annotations

import json
import signal
import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.elsewhere import Renamed
from tests.system.programs import Program, free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.system.programs import Kept

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def life() -> Iterator[ExitStack]:
    """Ends what a test started."""
    with ExitStack() as stack:
        yield stack


def started(life: ExitStack, program: Program) -> int:
    """Starts a program that is ended with the test."""

    def end() -> None:
        if program.process is not None:
            program.stop(signal.SIGKILL)

    life.callback(end)
    return program.start()


def hub(folder: Path, port: int = 0, **hosts: int) -> Program:
    """A recorder that follows what listens on these ports."""
    config = "".join(f'[hosts.{name}]\ntarget = "http://127.0.0.1:{each}"\n' for name, each in hosts.items())
    return Program(folder, "--record", "--listen", "127.0.0.1", "--port", str(port), config=config)


def elsewhere(life: ExitStack, tmp_path: Path) -> tuple[Program, Renamed]:
    """An agent whose host is another than that of the hubs: on one machine all have one id."""
    agent = Program(tmp_path / "agent", "--agent", "--port", "0")
    return agent, life.enter_context(Renamed(started(life, agent)))


def asked(port: int, path: str = "/v1/hosts") -> Any:
    """An answer of a server."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return json.load(answer)


def of(program: Program, host: str) -> Kept:
    """The frames that a program holds of one host."""
    return {identity: frame for identity, frame in program.kept().items() if identity[0] == host}


def same(one: Kept, other: Kept) -> bool:
    """Whether two histories agree on readings and faults, from the first contact of both to the end of the shorter."""
    if len(one) < 8 or len(other) < 8:
        return False
    first = max(min(one), min(other))
    last = min(max(one), max(other))
    left, right = ({key: each for key, each in kept.items() if first <= key <= last} for kept in (one, other))
    return len(left) >= 8 and left == right


def whole(kept: Kept) -> bool:
    """Whether no frame is missing of the one run that was heard of."""
    seqs = sorted(seq for _, _, seq in kept)
    return len({run for _, run, _ in kept}) == 1 and seqs == list(range(seqs[0], seqs[-1] + 1))


def test_a_chain_of_hubs_holds_one_history(tmp_path: Path, life: ExitStack) -> None:
    _, far = elsewhere(life, tmp_path)
    port = free_port()
    near = hub(tmp_path / "near", port, far=far.port)
    started(life, near)
    top = hub(tmp_path / "top", near=port)
    top_port = started(life, top)
    wait_for(lambda: len(of(top, far.id)) >= 4)
    # The one in between is killed and comes back: what it fetched meanwhile goes on to the one above.
    near.stop(signal.SIGKILL)
    started(life, near)
    seen = len(of(top, far.id))
    wait_for(lambda: len(of(top, far.id)) >= seen + 6, 60)
    # Both may lack the same frames for a while: each hole is filled behind what is live.
    wait_for(lambda: whole(of(near, far.id)) and whole(of(top, far.id)), 60)
    wait_for(lambda: same(of(near, far.id), of(top, far.id)), 60)
    info = next(info for info in asked(top_port)["hosts"] if info["id"] == far.id)
    assert info["via"] == [asked(port)["hub"], asked(top_port)["hub"]]


def test_two_hubs_may_watch_each_other(tmp_path: Path, life: ExitStack) -> None:
    _, far = elsewhere(life, tmp_path)
    ports = free_port(), free_port()
    one = hub(tmp_path / "one", ports[0], far=far.port, two=ports[1])
    two = hub(tmp_path / "two", ports[1], one=ports[0])
    started(life, one)
    started(life, two)
    wait_for(lambda: len(of(two, far.id)) >= 5)
    told = wait_for(
        lambda: [each for each in asked(ports[0])["statuses"] if "watch each other" in each.get("message", "")]
    )
    assert [(each["host"], each["name"]) for each in told] == [("", "two")]
    for port in ports:
        hosts = asked(port)["hosts"]
        assert len({info["id"] for info in hosts}) == len(hosts) == 2
        assert all(len(set(info["via"])) == len(info["via"]) for info in hosts)
    for program in (one, two):
        # Each frame once, and of this machine only its own: the other's run is not recorded here.
        assert len({run for host, run, _ in program.kept() if host != far.id}) == 1
    # The way that a host takes is kept when the other hub goes.
    two.stop(signal.SIGKILL)
    seen = len(of(one, far.id))
    wait_for(lambda: len(of(one, far.id)) >= seen + 3)


def test_a_host_is_taken_directly_and_through_a_hub_when_that_is_cut(tmp_path: Path, life: ExitStack) -> None:
    agent, far = elsewhere(life, tmp_path)
    near = hub(tmp_path / "near", far=far.port)
    port = started(life, near)
    direct = Renamed(agent.port if agent.port else far._to)
    with direct:
        top = hub(tmp_path / "top", near=port, far=direct.port)
        top_port = started(life, top)

        def via() -> list[str]:
            return next((info["via"] for info in asked(top_port)["hosts"] if info["id"] == far.id), [])

        wait_for(lambda: len(via()) == 1 and len(of(top, far.id)) >= 5)
    wait_for(lambda: len(via()) == 2, 60)
    seen = len(of(top, far.id))
    wait_for(lambda: len(of(top, far.id)) >= seen + 5, 60)
    wait_for(lambda: whole(of(top, far.id)), 60)
    info = next(info for info in asked(top_port)["hosts"] if info["id"] == far.id)
    assert info["name"] == "far", "it is the same host under the same name"


def test_what_a_hub_never_reached_is_seen_behind_it_and_leaves_with_the_configuration(
    tmp_path: Path, life: ExitStack
) -> None:
    ports = free_port(), free_port()
    near = hub(tmp_path / "near", ports[0], nas=1, plain=1)
    started(life, near)
    top = hub(tmp_path / "top", ports[1], near=ports[0], none=1)
    started(life, top)

    def waiting(port: int) -> dict[str, dict[str, Any]]:
        return {each["name"]: each for each in asked(port)["statuses"] if not each.get("host")}

    found = wait_for(lambda: (found := waiting(ports[1])).keys() >= {"nas", "plain", "none"} and found)
    assert found["nas"]["state"] == "offline" and "connection refused" in found["nas"]["message"]
    assert found["nas"]["via"] == [asked(ports[0])["hub"], asked(ports[1])["hub"]]
    # Both hubs are this machine: the name of the one below stands for what is known of it another way, and is up.
    wait_for(lambda: waiting(ports[1]).get("near", {"state": "live"})["state"] == "live")
    with urllib.request.urlopen(f"http://127.0.0.1:{ports[1]}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    down = [line for line in page.splitlines() if line.startswith("sysmon_host_up{") and line.endswith(" 0")]
    assert sorted(line.split('host="')[1].split('"')[0] for line in down) == ["nas", "none", "plain"]
    config = near.folder / "config.toml"
    config.write_text('[hosts.plain]\ntarget = "http://127.0.0.1:1"\n')
    wait_for(lambda: "nas" not in waiting(ports[0]) and "nas" not in waiting(ports[1]))
    assert waiting(ports[1]).keys() >= {"plain", "none"}
