"""Hosts that push are followed hosts to a hub: shown, kept, missed, and no other way is lost to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from cli.ownhost import Contacts
from cli.paths import Paths
from cli.pushed import WAY, PushedHosts
from cli.recording import Archive
from cli.station import Station
from remote import wire
from remote.push.batch import Report
from remote.push.intake import Refusal
from remote.server.feed import Feed
from sysmon.clock import ManualClock
from sysmon.config import Config, places
from sysmon.frame import Frame
from sysmon.records import Event, Gap, HostInfo, Status
from tests.remote.hubs import Agent
from tests.remote.support import BOOT, CATALOGUE, HOST, T0, MemoryHistory, frame

if TYPE_CHECKING:
    from pathlib import Path

    from remote.push.batch import Answer

pytestmark = pytest.mark.anyio

HUB, OWN = "c" * 16, "3" * 16


class Given:
    """What of a command's context a hub uses."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        self.clock = clock
        self.places = places({"HOME": str(folder), "XDG_STATE_HOME": str(folder)})
        self.config = Config()


class Recording(MemoryHistory):
    """A history that keeps what a station hands it."""

    async def close(self) -> None:
        pass


class Rig:
    """A hub with a station, and an agent that pushes to it."""

    def __init__(self, folder: Path, host: str = HOST) -> None:
        self.clock = ManualClock(now=T0, boottime=1000 * 1_000_000_000)
        self.history = Recording()
        self.station = Station(CATALOGUE, self.clock, recorder=self.history)
        self.station.feed = self.feed = Feed(CATALOGUE, clock=self.clock, hub=HUB)
        self.station.paths = Paths(HUB, OWN)
        self.contacts = Contacts(OWN, 0)
        archive = Archive(recorder=self.history, history=self.history)  # type: ignore[arg-type]
        context: Any = Given(folder, self.clock)
        self.pushed = PushedHosts(
            context, self.station, archive, self.contacts, own=OWN, boot=BOOT, server=self.feed.server
        )
        self.agent = Agent(self.clock, self._post, host=host)

    async def _post(self, body: bytes) -> Answer:
        from remote import wire
        from remote.push import batch
        from remote.push.batch import Answer
        from remote.push.intake import Refusal

        report = batch.decode_report(batch.inflate(body), self.clock.now())
        try:
            return Answer(200, wire.encode_json(await self.pushed.intake.take(report)))
        except Refusal as refusal:
            return Answer(refusal.status, wire.encode_json({"error": refusal.error, "hint": refusal.hint}))

    async def wait(self, seconds: int) -> None:
        """Lets time go by without a report."""
        for _ in range(seconds):
            await self.clock.advance(1.0)
            for each in self.pushed.intake.hosts.values():
                await self.pushed.intake.judge(each)

    def kinds(self) -> list[str]:
        """The kinds of the events that were kept."""
        return [event.kind for event in self.history.events_kept]


async def test_it_is_shown_kept_and_served_on(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    await rig.agent.tick(5)
    await rig.agent.settle()
    assert len(rig.history.kept) == 5
    assert rig.station.infos[HOST].target == "push"
    state = rig.station.states[HOST]
    assert state.frame is not None
    assert (state.frame.seq, state.derived()["net.receive_rate:eth0"]) == (5, 1000.0)
    assert rig.feed.statuses[HOST].state == "live"
    assert [info.via for info in rig.feed.hello().hosts if info.id == HOST] == [[HUB]]


async def test_contact_with_it_is_lost_once_and_found_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    await rig.agent.tick(5)
    await rig.agent.settle()
    await rig.wait(400)
    assert rig.feed.statuses[HOST].state == "offline"
    assert rig.kinds() == ["host.down"]
    await rig.agent.tick(5)
    await rig.agent.settle()
    await rig.wait(5)
    assert rig.kinds() == ["host.down", "host.up"]
    await rig.station.close()


async def test_a_host_that_is_followed_too_stays_with_the_way_that_is_followed(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    assert rig.station.paths is not None
    for update in (
        HostInfo(id=HOST, name="web", hostname="far", target="http://far:8200"),
        Status(host=HOST, state="live", target="http://far:8200"),
        frame(1),
    ):
        for each in rig.station.paths.admit("web", update):
            await rig.station.take(each)
    await rig.agent.tick(5)
    await rig.agent.settle()
    assert len(rig.history.kept) == 6
    assert rig.station.infos[HOST].name == "web"
    assert rig.station.statuses[HOST].target == "http://far:8200"
    state = rig.station.states[HOST].frame
    assert state is not None
    assert state.run != rig.agent.run


async def test_an_agent_on_this_machine_replaces_sampling_and_a_clone_of_it_does_not(tmp_path: Path) -> None:
    rig = Rig(tmp_path, OWN)
    rig.agent.pusher._boot = "another-boot"
    await rig.agent.tick(2)
    await rig.agent.turn()
    assert "another" in rig.agent.pusher.status.problem
    assert not rig.contacts.elsewhere(rig.station)
    rig.agent.pusher._boot = BOOT
    await rig.agent.settle()
    assert rig.contacts.elsewhere(rig.station)
    await rig.wait(200)
    assert not rig.contacts.elsewhere(rig.station)
    await rig.station.close()


async def test_another_machine_of_a_followed_hosts_id_is_refused(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    assert rig.station.paths is not None
    info = HostInfo(id=HOST, name="web", target="http://far:8200")
    for update in (info, Status(host=HOST, state="live", target="http://far:8200"), frame(1)):
        for each in rig.station.paths.admit("web", update):
            await rig.station.take(each)
    assert rig.pushed.conflict(HOST, BOOT, bound=True, token=True) == ""
    assert "http://far:8200" in rig.pushed.conflict(HOST, "another-boot", bound=True, token=True)
    assert "http://far:8200" in rig.pushed.conflict(HOST, "", bound=True, token=True)
    assert rig.pushed.conflict(HOST, BOOT, bound=False, token=False) == ""


def reported(host: str, boot: str, run: str = "ab" * 8) -> Report:
    """A report of one frame, as somebody makes it up who holds a token."""
    made = frame(1, host=host, run=run, boot=boot or "attack")
    return Report(
        schema=1,
        batch="b",
        time=T0,
        interval=10.0,
        run=run,
        boot=boot,
        host=HostInfo(id=host, hostname="evil"),
        frames=[msgspec.Raw(wire.encode_frame(made))],
    )


@pytest.mark.parametrize("boot", ["", BOOT, "another-boot"])
async def test_a_token_writes_neither_for_the_hub_itself_nor_for_a_host_that_is_followed(
    tmp_path: Path, boot: str
) -> None:
    rig = Rig(tmp_path)
    assert rig.station.paths is not None
    for update in (
        HostInfo(id=HOST, name="web", target="http://far:8200"),
        Status(host=HOST, state="live", target="http://far:8200"),
        frame(1),
    ):
        for each in rig.station.paths.admit("web", update):
            await rig.station.take(each)
    kept = len(rig.history.kept)

    async def refused(host: str) -> str:
        with pytest.raises(Refusal) as refusal:
            await rig.pushed.intake.take(reported(host, boot), "pc", "digest")
        assert refusal.value.status == 409
        return refusal.value.error

    assert "the hub's own machine" in await refused(OWN)
    assert "is followed (http://far:8200)" in await refused(HOST)
    # Nor while it is away, ...
    away = Status(host=HOST, state="offline", target="http://far:8200")
    for each in rig.station.paths.admit("web", away):
        await rig.station.take(each)
    assert "is followed" in await refused(HOST)
    # ... nor when the hub was started again since, and did not reach it yet.
    rig.station.paths.leave("web")
    rig.station.clones.restore([HostInfo(id=HOST, name="web", target="http://far:8200")])
    rig.station.statuses = {"@web": Status(host="", name="web", state="connecting", target="http://far:8200")}
    assert "is followed" in await refused(HOST)
    assert len(rig.history.kept) == kept
    assert not rig.contacts.elsewhere(rig.station)
    assert rig.pushed.intake._bindings.host("digest") == ""
    # Once it is not followed any more it may push.
    rig.station.statuses.clear()
    await rig.pushed.intake.take(reported(HOST, boot), "pc", "digest")
    assert len(rig.history.kept) == kept + 1
    await rig.station.close()


async def test_a_host_is_free_again_once_its_token_is_revoked(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    tokens = rig.pushed._tokens
    first, _ = tokens.new("first", ("report",), T0)
    second, _ = tokens.new("second", ("report",), T0)
    await rig.pushed.intake.take(reported(HOST, "boot-a"), "first", first.digest)
    for _ in range(2):
        with pytest.raises(Refusal, match="belongs to another token"):
            await rig.pushed.intake.take(reported(HOST, "boot-b", "cd" * 8), "second", second.digest)
    tokens.revoke("first", T0)
    await rig.pushed.intake.take(reported(HOST, "boot-a"), "second", second.digest)
    await rig.station.close()


async def test_gaps_go_to_readers_and_are_not_recorded(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    arrival = rig.feed.arrival
    rig.pushed.tell(Gap(host=HOST, run="r", first=1, last=2, status="lost"))
    assert rig.feed.arrival == arrival + 1
    assert not any(isinstance(each, Frame | Event) for each in rig.history.events_kept)
    assert WAY.startswith("@")
