"""`sysmon hosts`: what it writes into config.toml, what it refuses, what it asks, and how it says hosts are."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
import threading
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from cli.context import Context
from cli.hostbook import ConfigHostBook
from cli.main import run
from remote.fingerprint import words
from sysmon.config import HostSettings
from sysmon.errors import ConfigError, SysmonError, UsageError
from tests.remote.authorities import make_pair, tls_server
from tests.remote.support import HOST, frame, make_feed, served

if TYPE_CHECKING:
    from pathlib import Path

    from tests.remote.authorities import Pair

PIN = "sha256:" + "ab" * 32
BEFORE = f"""# What I know.
[screen]
theme = "dark"  # at night

# The web.
[hosts.web] # ours
target = "https://web:8200"
# compared on the phone
fingerprint = "{PIN}"
tags = ["a",
  "b"]

[alerts.srv]
metric = "fs.utilization"
above = "90 %"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration file."""
    path = tmp_path / "config.toml"
    path.write_text(BEFORE)
    monkeypatch.setenv("SYSMON_CONFIG", str(path))
    return path


@pytest.fixture
def book(file: Path) -> ConfigHostBook:
    return ConfigHostBook(Context.of_environment())


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return make_pair(tmp_path, "agent", names=("sysmon",))


def sysmon(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Runs a command; returns its status, stdout and stderr."""
    status = run(["hosts", *arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


# The file


def test_a_host_is_added_behind_the_others_and_nothing_else_changes(book: ConfigHostBook, file: Path) -> None:
    book.add(HostSettings(name="box", target="ssh://me@box", interval=90.0, tags=("lab",), expected_off=True))
    added = '[hosts.box]\ntarget = "ssh://me@box"\ninterval = "90s"\nexpected_off = true\ntags = ["lab"]\n\n'
    assert file.read_text() == BEFORE.replace("[alerts.srv]", added + "[alerts.srv]")
    assert [host.name for host in book.hosts()] == ["web", "box"]


def test_fields_are_changed_where_they_stand(book: ConfigHostBook, file: Path) -> None:
    made = book.edit("web", {"paused": True, "tags": None, "interval": "2s"})
    assert (made.paused, made.tags, made.interval) == (True, (), 2.0)
    text = file.read_text()
    assert "[hosts.web] # ours" in text
    assert "# compared on the phone\nfingerprint" in text
    assert tomllib.loads(text)["hosts"]["web"] == {
        "target": "https://web:8200",
        "fingerprint": PIN,
        "paused": True,
        "interval": "2s",
    }
    book.edit("web", {"paused": False, "interval": None, "tags": ["a", "b"]})
    assert tomllib.loads(file.read_text()) == tomllib.loads(BEFORE)


def test_a_host_is_renamed_where_it_stands(book: ConfigHostBook, file: Path) -> None:
    assert book.edit("web", {"name": "www.example"}).name == "www.example"
    assert file.read_text() == BEFORE.replace("[hosts.web]", '[hosts."www.example"]')
    book.edit("www.example", {"name": "web"})
    assert tomllib.loads(file.read_text()) == tomllib.loads(BEFORE)


def test_a_host_is_removed_with_what_stands_in_its_table(book: ConfigHostBook, file: Path) -> None:
    book.remove("web")
    left = tomllib.loads(file.read_text())
    assert set(left) == {"screen", "alerts"}
    assert file.read_text().startswith('# What I know.\n[screen]\ntheme = "dark"  # at night\n')


def test_a_file_is_made_private_and_keeps_its_mode_and_its_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new" / "config.toml"
    monkeypatch.setenv("SYSMON_CONFIG", str(path))
    book = ConfigHostBook(Context.of_environment())
    book.add(HostSettings(name="a", target="ssh://a"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    real = tmp_path / "real.toml"
    os.replace(path, real)
    real.chmod(0o644)
    path.symlink_to(real)
    if os.geteuid() == 0:
        os.chown(real, 1234, 1234)
    book.add(HostSettings(name="b", target="ssh://b"))
    assert path.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o644
    assert os.geteuid() != 0 or real.stat().st_uid == 1234
    assert [each.name for each in tmp_path.glob("**/.config-*")] == []


@pytest.mark.parametrize(
    "text",
    ["hosts = {}\n", 'hosts = {a = {target = "http://127.0.0.1:1"}}\n'],
)
def test_a_file_that_cannot_be_changed_stays_as_it_is(book: ConfigHostBook, file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(SysmonError, match=r"cannot be changed here; edit the file by hand"):
        book.add(HostSettings(name="b", target="ssh://b"))
    assert file.read_text() == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[screen]\nascii = true",
        'hosts.a.target = "http://127.0.0.1:1"\n',
        '[hosts]\na = {target = "http://127.0.0.1:1"}\n[screen]\nascii = true\n',
        '[hosts.a]\ntarget = "http://127.0.0.1:1"\n[screen]\nascii = true\n[hosts.b]\ntarget = "http://127.0.0.1:2"\n',
        '[hosts.a]\r\ntarget = "http://127.0.0.1:1" # c\r\n\r\n[screen]\r\nascii = true\r\n',
    ],
)
def test_however_a_file_is_written_a_host_comes_and_goes(book: ConfigHostBook, file: Path, text: str) -> None:
    file.write_bytes(text.encode())
    book.add(HostSettings(name="new", target="ssh://me@box", collectors=("cpu",)))
    assert tomllib.loads(file.read_text())["hosts"]["new"] == {"target": "ssh://me@box", "collectors": ["cpu"]}
    assert ("\r\n" in text) == (b"\r\n" in file.read_bytes())
    assert file.read_bytes().count(b"\n") - file.read_bytes().count(b"\r\n") in (0, file.read_bytes().count(b"\n"))
    book.remove("new")
    left = tomllib.loads(file.read_text())
    assert {**left, "hosts": left.get("hosts", {})} == {"hosts": {}, **tomllib.loads(text)}


def test_a_file_with_mistakes_is_not_touched_and_they_are_named(book: ConfigHostBook, file: Path) -> None:
    file.write_text(BEFORE + "\n[agent]\nport = 0\n")
    with pytest.raises(ConfigError) as caught:
        book.remove("web")
    assert caught.value.problems == (f"{file}:18: [agent] port = '0' is out of range; allowed is 1 to 65535",)
    assert file.read_text().endswith("port = 0\n")


def test_two_who_change_it_at_once_do_not_undo_each_other(book: ConfigHostBook) -> None:
    names = [f"h{number}" for number in range(12)]
    failed = []

    def add(name: str) -> None:
        try:
            book.add(HostSettings(name=name, target=f"ssh://{name}"))
        except SysmonError as error:
            failed.append(str(error))

    threads = [threading.Thread(target=add, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert {host.name for host in book.hosts()} == {"web", *names}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"target": "ftp://x"}, "target = 'ftp://x' is not a target"),
        ({"interval": "0.1s"}, "interval = '0.1s' is too short; the least is \"1s\""),
        ({"fingerprint": "abc"}, "fingerprint = 'abc' is not a fingerprint"),
        ({"tgas": ["x"]}, "'tgas' is not known here; did you mean 'tags'?"),
        ({"paused": "yes"}, "paused = 'yes' is neither true nor false"),
        ({"target": "http://10.0.0.1", "fingerprint": PIN}, "goes with https://, not with http://10.0.0.1"),
        ({"target": "http://10.0.0.1", "token_file": "/t"}, "token_file = '/t' is not sent to http://10.0.0.1"),
        ({"key": "/k"}, "key = '/k' goes with cert"),
    ],
)
def test_fields_are_checked_in_the_words_of_the_file(
    book: ConfigHostBook, given: dict[str, object], expected: str
) -> None:
    before = book.path.read_text()
    with pytest.raises(ConfigError) as caught:
        book.edit("web", {"fingerprint": None, **given})
    assert any(expected in problem and "[hosts.web] " in problem for problem in caught.value.problems), (
        caught.value.problems
    )
    assert book.path.read_text() == before


def test_names_and_targets_are_taken_once(book: ConfigHostBook) -> None:
    with pytest.raises(UsageError, match="there is a host 'web' already"):
        book.add(HostSettings(name="web", target="ssh://x"))
    with pytest.raises(UsageError, match="https://web:8200 is configured already, as 'web'"):
        book.add(HostSettings(name="other", target="https://web:8200", fingerprint=PIN))
    with pytest.raises(UsageError, match="'a b' is not a name of a host"):
        book.add(HostSettings(name="a b", target="ssh://x"))
    with pytest.raises(UsageError, match="'wbe' is not a configured host; did you mean 'web'"):
        book.remove("wbe")


# The commands


def test_what_is_listed_and_shown(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sysmon(capsys, "list") == (0, "web  https://web:8200  #a, #b\n", "")
    status, out, _ = sysmon(capsys, "list", "--json")
    listed: list[dict[str, Any]] = json.loads(out)
    assert (status, listed[0]["name"], listed[0]["words"]) == (0, "web", words(PIN))
    assert sysmon(capsys, "list", "--tag", "c")[1] == "no host has these tags\n"
    status, out, _ = sysmon(capsys, "show", "web")
    assert f"words         {words(PIN)}\n" in out
    assert "token_file    -\n" in out
    assert "collectors    -\n" in out and "tags          a, b\n" in out
    assert json.loads(sysmon(capsys, "show", "web", "--json")[1])["fingerprint"] == PIN


def test_hosts_are_edited_stopped_started_and_removed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        sysmon(capsys, "add", "box", "ssh://me@box", "--tag", "x", "--tag", "y", "--collectors", "cpu, memory")[0] == 0
    )
    assert sysmon(capsys, "stop", "web", "box") == (0, "web: paused\nbox: paused\n", "")
    hosts = tomllib.loads(file.read_text())["hosts"]
    assert hosts["box"] == {
        "target": "ssh://me@box",
        "tags": ["x", "y"],
        "collectors": ["cpu", "memory"],
        "paused": True,
    }
    assert sysmon(capsys, "start", "box")[0] == 0
    assert (
        sysmon(capsys, "edit", "box", "--unset", "tags", "--interval", "5s", "--expected-off", "--name", "crate")[0]
        == 0
    )
    hosts = tomllib.loads(file.read_text())["hosts"]
    assert hosts["crate"] == {
        "target": "ssh://me@box",
        "collectors": ["cpu", "memory"],
        "interval": "5s",
        "expected_off": True,
    }
    assert sysmon(capsys, "remove", "crate", "web") == (0, "crate: removed\nweb: removed\n", "")
    assert "hosts" not in tomllib.loads(file.read_text())
    assert sysmon(capsys, "list")[1].startswith("no hosts are configured")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["stop", "web", "wbe"], "'wbe' is not a configured host; did you mean 'web'?"),
        (["edit", "web"], "nothing is to be changed"),
        (["edit", "web", "--unset", "interval", "--interval", "2s"], "--unset interval and a value for it"),
        (["edit", "web", "--unset", "target"], "'target' is not a value for --unset"),
        (["lits"], "'lits' is not a command of sysmon hosts; did you mean 'list'?"),
        (["edit", "web", "--fingerprint", "xyz"], "'xyz' is not a fingerprint"),
        (["edit", "web", "--interval", "soon"], "[hosts.web] interval = 'soon' is not a duration"),
        (["add", "x", "gopher://x"], "[hosts.x] target = 'gopher://x' is not a target"),
        (["pin", "box"], "'box' is not a configured host"),
        (["status", "--timeout", "0"], "--timeout '0' is out of range"),
    ],
)
def test_a_wrong_request_is_named_and_changes_nothing(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    status, out, err = sysmon(capsys, *arguments)
    assert (status, out) == (2, "")
    assert expected in err
    assert len(err.splitlines()) == 1
    assert file.read_text() == BEFORE


class Typed(io.StringIO):
    """A terminal at which somebody types."""

    def isatty(self) -> bool:
        return True


def hosts_of(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(file.read_text())["hosts"]
    return found


@pytest.mark.anyio
async def test_a_key_is_pinned_once_it_was_compared(
    file: Path, pair: Pair, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import asyncio

    async with tls_server(pair) as server:

        async def type(answer: str, *arguments: str) -> tuple[int, str]:
            errors = Typed()
            monkeypatch.setattr(sys, "stdin", Typed(answer))
            monkeypatch.setattr(sys, "stderr", errors)
            status = await asyncio.to_thread(run, ["hosts", *arguments])
            return status, errors.getvalue()

        token = str(tmp_path / "a token")
        given = ("--tag", "t", "--token-file", token, "--expected-off")
        status, _, err = await asyncio.to_thread(sysmon, capsys, "add", "db", server.url, *given)
        assert status == 1
        assert f"    {words(pair.fingerprint)}\n    {pair.fingerprint}\n    certificate: agent, valid" in err
        # With all that was given: it is to be copied.
        again = f"sysmon hosts add db {server.url} --tag t --token-file '{token}' --expected-off"
        assert f"once compared: {again} --fingerprint {pair.fingerprint}" in err
        status, err = await type("n\n", "add", "db", server.url)
        assert (status, "not pinned, and nothing was changed" in err) == (1, True)
        assert hosts_of(file) == tomllib.loads(BEFORE)["hosts"]
        status, err = await type("yes\n", "add", "db", server.url, "--tag", "t")
        assert status == 0, err
        assert words(pair.fingerprint) in err
        added = hosts_of(file)["db"]
        assert added == {"target": server.url, "fingerprint": pair.fingerprint, "tags": ["t"]}
        status, _ = await type("", "pin", "db")
        assert (status, f"its key is the pinned one: {words(pair.fingerprint)}" in capsys.readouterr().out) == (0, True)
        ConfigHostBook(Context.of_environment()).edit("db", {"fingerprint": PIN, "ca": "system"})
        status, err = await type("y\n", "pin", "db")
        assert status == 0
        assert f"pinned until now: {words(PIN)}" in err
        assert hosts_of(file)["db"] == added
        assert server.data == b""


def write_three(file: Path, url: str) -> None:
    file.write_text(
        f"""[hosts.good]
target = "{url}"
[hosts.off]
target = "http://127.0.0.1:1"
expected_off = true
[hosts.later]
target = "http://127.0.0.1:2"
paused = true
[agent]
port = 9
"""
    )


@pytest.mark.anyio
async def test_how_hosts_are_is_asked_of_all_at_once(
    file: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import asyncio

    feed = make_feed()
    feed.publish(frame(1))
    async with served(feed) as server:
        write_three(file, server.url)
        status, out, err = await asyncio.to_thread(sysmon, capsys, "status")
        assert (status, err) == (0, "")
        heading, *lines = [line.split(maxsplit=3) for line in out.splitlines()]
        assert heading == ["HOST", "STATE", "AGE", "CLOCK"]
        assert [line[:2] for line in lines] == [["good", "LIVE"], ["off", "OFF"], ["later", "PAUSED"]]
        assert "http://127.0.0.1:1: connection refused; is sysmon --agent or sysmon --record running there?" in out
        await asyncio.to_thread(sysmon, capsys, "edit", "off", "--no-expected-off")
        status, out, _ = await asyncio.to_thread(sysmon, capsys, "status", "--json")
        found = json.loads(out)
        assert (status, found["ok"], found["by"]) == (1, False, "direct")
        good, off, later = found["hosts"]
        assert (good["state"], good["hosts"], good["live"]) == ("live", [HOST], 1)
        assert abs(good["age"]) < 5
        assert (off["state"], later["state"]) == ("offline", "paused")
        assert (await asyncio.to_thread(sysmon, capsys, "status", "good"))[0] == 0
        assert (await asyncio.to_thread(sysmon, capsys, "status", "off"))[0] == 1


@pytest.mark.anyio
async def test_probing_names_who_answers(book: ConfigHostBook, pair: Pair, tmp_path: Path) -> None:
    feed = make_feed()
    async with served(feed) as server:
        peer = await book.probe(HostSettings(name="x", target=server.url))
        assert (peer.version, [info.hostname for info in peer.hosts], peer.problem) == ("sysmon 1.2.3", ["web"], "")
    async with tls_server(pair) as tls:
        peer = await book.probe(HostSettings(name="x", target=tls.url, token_file=str(tmp_path / "none")))
        assert (peer.fingerprint, peer.words, peer.verified) == (pair.fingerprint, words(pair.fingerprint), False)
        assert peer.problem.startswith("its key is not pinned yet")
        assert tls.data == b""
        wrong = await book.probe(HostSettings(name="x", target=tls.url, fingerprint=PIN))
        assert (wrong.verified, "wrong key" in wrong.problem) == (False, True)
        assert tls.data == b""
        with pytest.raises(SysmonError, match="answers something else than hosts"):
            await book.probe(HostSettings(name="x", target=tls.url, fingerprint=pair.fingerprint))


def test_what_the_environment_says_of_a_target_on_the_command_line(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cli.targets import resolve

    context = Context.of_environment()
    assert resolve(context, ["https://web:8200"])[0].fingerprint == PIN
    monkeypatch.setenv("SYSMON_TOKEN", "smt_secret")
    monkeypatch.setenv("SYSMON_FINGERPRINT", PIN.upper())
    found = resolve(context, ["https://other", "http://127.0.0.1:1", "ssh://box"])
    assert [host.token_file for host in found] == ["$SYSMON_TOKEN", "$SYSMON_TOKEN", ""]
    assert [host.fingerprint for host in found] == [PIN, "", ""]
    assert "smt_secret" not in repr(found)


def test_a_file_is_meant_from_where_it_is_named_and_found_from_anywhere(
    book: ConfigHostBook,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(home))
    given = ["--token-file", "a.token", "--ca", "../ca.pem", "--cert", "~/me.pem", "--key", "/k.pem"]
    assert run(["hosts", "add", "a", "https://a:8200", *given]) == 0
    monkeypatch.chdir("/")
    made = book.get("a")
    assert (made.token_file, made.ca) == (f"{here}/a.token", f"{tmp_path}/ca.pem")
    assert (made.cert, made.key) == (f"{home}/me.pem", "/k.pem")
    monkeypatch.chdir(here)
    book.edit("a", {"token_file": "$A_TOKEN", "ca": "system"})
    assert (book.get("a").token_file, book.get("a").ca) == ("$A_TOKEN", "system")
    # In the file itself: beside it, wherever sysmon is started.
    file.write_text('[hosts.b]\ntarget = "https://b:8200"\ntoken_file = "tokens/b"\nca = "~/ca.pem"\n')
    assert (book.get("b").token_file, book.get("b").ca) == (f"{file.parent}/tokens/b", "~/ca.pem")
    book.edit("b", {"interval": "10s"})
    assert 'token_file = "tokens/b"' in file.read_text()
    capsys.readouterr()


def test_a_check_names_files_that_are_not_there_or_open_to_others(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, mode in (("open.token", 0o644), ("good.token", 0o600), ("k.pem", 0o644), ("c.pem", 0o644)):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(mode)
    file.write_text(
        '[agent]\ncert = "c.pem"\nkey = "k.pem"\n[push]\ntarget = "https://h:8200"\ntoken_file = "good.token"\n'
        '[hosts.a]\ntarget = "https://a:8200"\ntoken_file = "open.token"\nca = "system"\ncert = "none.pem"\n'
    )
    assert run(["config", "check"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{file}: no mistakes, 3 warnings\n"
    key, token, cert = said.err.splitlines()
    assert f"[agent] key = '{file.parent}/k.pem': it is open to everybody" in key
    assert f"[hosts.a] token_file = '{file.parent}/open.token': it in {file.parent}/open.token" in token
    assert cert.endswith(f"[hosts.a] cert = '{file.parent}/none.pem': there is no such file")


@pytest.mark.parametrize(("seconds", "shown"), [(None, "-"), (-0.04, "0.0 s"), (0.04, "0.0 s"), (-1.26, "-1.3 s")])
def test_a_clock_that_agrees_has_no_sign(seconds: float | None, shown: str) -> None:
    from cli.hosts import _skew

    assert _skew(seconds) == shown
