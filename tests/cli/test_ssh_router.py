"""What a router is asked for: each text laid out with its status, and what hangs left alone for a while."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from cli.context import Context
from cli.sshhost import SshHost
from cli.sshrouter import MOST_REST, REST, TEXTS, RouterTexts
from cli.sshtree import Tree
from collectors._router.commands import COMMANDS
from remote.ssh.faults import SshFault
from remote.ssh.frames import Output, Sample
from remote.ssh.script import OVERDUE
from remote.ssh.source import HELLO
from remote.target import parse_target
from sysmon.config import HostSettings
from sysmon.errors import MalformedInput
from tests.cli.test_ssh_host import MACHINE, FakeBox
from tests.conftest import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

pytestmark = pytest.mark.anyio


class Stopped:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> int:
        return int(self.seconds * 1000)

    def boottime(self) -> int:
        return int(self.seconds * 1e9)

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Router:
    """Answers as the script would: a test puts an output or an error."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, Output | Exception] = {}

    async def __call__(self, groups: Iterable[str], lines: Iterable[bytes] = ()) -> Sample:
        (group,) = groups
        name = group.removeprefix("run.")
        assert group != name and name in TEXTS
        self.asked.append(name)
        found = self.answers.get(name)
        if isinstance(found, Exception):
            raise found
        return Sample("1", outputs={} if found is None else {name: found})


@pytest.fixture
def tree() -> Iterator[Tree]:
    made = Tree()
    yield made
    made.close()


def held(tree: Tree, name: str) -> tuple[str, str]:
    """What lies there: the text, and its status with what was said."""
    folder = tree.base / "sysmon"
    return (folder / name).read_text(), (folder / f"{name}.status").read_text()


async def test_texts_and_statuses_are_laid_out(tree: Tree) -> None:
    router, texts = Router(), RouterTexts(tree, Stopped())
    router.answers = {"nlbw": Output(b"{}", status=0), "leases": Output(b"", said=b"no such \xff file", status=1)}
    await texts.take(router, ["nlbw", "leases", "hints"])
    assert held(tree, "nlbw") == ("{}", "0\n")
    assert held(tree, "leases") == ("", "1\nno such \ufffd file")
    assert held(tree, "hints") == ("", "255\nthe router did not answer to it")
    router.answers["nlbw"] = Output(b"", said=b"nlbw: not found", status=127)
    await texts.take(router, ["nlbw"])
    assert held(tree, "nlbw") == ("", "127\nnlbw: not found")


@pytest.mark.parametrize(
    ("output", "status", "words"),
    [
        (Output(b"half of", status=OVERDUE, said=b"Killed"), OVERDUE, "no answer within 15 s"),
        (Output(b"yyy", status=141, cut=True), 141, "it prints more than 4 MiB"),
    ],
    ids=["hangs", "endless"],
)
async def test_what_hangs_or_never_ends_rests_longer_each_time(
    tree: Tree, output: Output, status: int, words: str
) -> None:
    clock, router = Stopped(), Router()
    texts = RouterTexts(tree, clock)
    router.answers = {"nlbw": output, "leases": Output(b"x", status=0)}
    rest = REST
    for _ in range(6):
        router.asked.clear()
        await texts.take(router, ["nlbw", "leases"])
        assert router.asked == ["nlbw", "leases"] and held(tree, "nlbw")[1] == f"{status}\n{words}"
        clock.seconds += rest - 1
        await texts.take(router, ["nlbw", "leases"])
        assert router.asked == ["nlbw", "leases", "leases"]
        assert held(tree, "nlbw") == ("", f"{OVERDUE}\n{words}")
        clock.seconds += 1
        rest = min(MOST_REST, 2 * rest)
    router.answers["nlbw"] = Output(b"{}", status=0)
    await texts.take(router, ["nlbw"])
    await texts.take(router, ["nlbw"])
    assert held(tree, "nlbw") == ("{}", "0\n")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SshFault("silent", "it has been silent for 30 s"), "the router fell silent over it"),
        (MalformedInput("the box prints more than the script can"), "the box prints more than the script can"),
    ],
)
async def test_who_ended_the_connection_is_not_asked_again_at_once(tree: Tree, error: Exception, words: str) -> None:
    router, texts = Router(), RouterTexts(tree, Stopped())
    router.answers = {"nlbw": error, "leases": Output(b"x", status=0)}
    with pytest.raises(type(error)):
        await texts.take(router, ["nlbw", "leases"])
    await texts.take(router, ["nlbw", "leases"])
    assert router.asked == ["nlbw", "leases"] and held(tree, "nlbw") == ("", f"{OVERDUE}\n{words}")


async def test_a_line_that_broke_blames_nobody(tree: Tree) -> None:
    router, texts = Router(), RouterTexts(tree, Stopped())
    router.answers = {"nlbw": SshFault("dropped", "the connection was lost")}
    for _ in range(2):
        with pytest.raises(SshFault):
            await texts.take(router, ["nlbw"])
    assert router.asked == ["nlbw", "nlbw"]


def test_commands_fit_into_the_script() -> None:
    for name, command in COMMANDS.items():
        assert "'" not in command.text and "\n" not in command.text, name


# How often, and by whom it is known


class FakeRouter(FakeBox):
    """A box that also answers to commands."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[str] = []

    async def __call__(self, groups: Iterable[str], lines: Iterable[bytes] = ()) -> Sample:
        groups = list(groups)
        sample = await super().__call__(groups, lines)
        for name in [group.removeprefix("run.") for group in groups if group.startswith("run.")]:
            self.ran.append(name)
            told = {"nlbw": "nlbw.json", "leases": "leases", "probe": "probe"}.get(name)
            text = (FIXTURES / "router" / told).read_bytes() if told else b""
            sample.outputs[name] = Output(text, status=0 if told else 127)
        return sample


async def test_devices_are_looked_at_seldom_and_a_router_is_known_by_its_target() -> None:
    context, clock, router = Context.of_environment(), Stopped(), FakeRouter()
    vars(context)["clock"] = clock
    settings = HostSettings(name="home", target="ssh://root@192.168.1.1", router=True, interval=5.0)
    host = SshHost(context, settings, parse_target(settings.target))
    try:
        hello = await router(HELLO)
        assert hello.texts["/etc/machine-id"].decode().strip() == MACHINE and host.identity(hello) == ""
        known = host.begin(hello).id
        looked = []
        for tick in range(0, 65, 5):
            router.ran.clear()
            frame = await host.frame(router, 60_000 + 1000 * tick, 5)
            assert frame is not None and frame.host == known
            if router.ran:
                looked.append(tick)
                assert router.ran[:2] == ["nlbw", "leases"] and ("probe" in router.ran) == (tick == 0)
                # At once after the first there is nothing new to tell.
                assert tick or any(key.startswith("device.receive:") for key in frame.readings), frame.faults
                assert tick or frame.tables.devices
            clock.seconds += 5
            router.uptime += 5
        # The second look finds the collector its place among the others; from then on it keeps to it.
        assert looked[0] == 0 and looked[1] <= 30 and [later - at for at, later in pairwise(looked[1:])] == [30]
        assert not any("agent" in groups for groups, _ in router.asked)
    finally:
        host.close()
    other = SshHost(
        context,
        HostSettings(name="x", target="ssh://root@192.168.1.2", router=True),
        parse_target("ssh://root@192.168.1.2"),
    )
    try:
        assert other.begin(hello).id != known
    finally:
        other.close()


async def test_another_host_is_asked_for_no_devices() -> None:
    context, router = Context.of_environment(), FakeRouter()
    host = SshHost(context, HostSettings(name="box", target="ssh://box"), parse_target("ssh://box"))
    try:
        host.begin(await router(HELLO))
        host.watch(["devices"])
        frame = await host.frame(router, 60_000, 1)
        assert frame is not None and "nlbw" not in router.ran and frame.tables.devices is None
    finally:
        host.close()
