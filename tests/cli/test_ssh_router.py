"""What a router is asked for: each text laid out with its status, and what hangs left alone for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.sshrouter import MOST_REST, REST, TEXTS, RouterTexts
from cli.sshtree import Tree
from collectors._routercommands import COMMANDS
from remote.ssh.faults import SshFault
from remote.ssh.frames import Output, Sample
from remote.ssh.script import OVERDUE
from sysmon.errors import MalformedInput

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
