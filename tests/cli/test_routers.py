"""`sysmon hosts` and routers: `[routers.NAME]` is added, changed, renamed, paused and removed in its own table."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

import pytest

from cli.context import Context
from cli.hostbook import ConfigHostBook
from cli.main import run
from sysmon.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

BEFORE = """# Mine.
[hosts.web]
target = "http://127.0.0.1:8200"

# In the cellar.
[routers.home]  # since spring
target = "ssh://root@192.168.1.1"
devices = "1m"

[screen]
theme = "dark"
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


def sysmon(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Runs a command; returns its status, stdout and stderr."""
    status = run(["hosts", *arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_a_router_is_added_to_its_own_tables(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = sysmon(
        capsys, *("add", "--router", "attic", "ssh://root@10.0.0.1:2222", "--devices", "10s", "--tag", "lan")
    )
    assert (status, out) == (0, "attic: added; `sysmon hosts status attic` asks it\n")
    added = '[routers.attic]\ntarget = "ssh://root@10.0.0.1:2222"\ndevices = "10s"\ntags = ["lan"]\n\n'
    assert file.read_text() == BEFORE.replace("[screen]", added + "[screen]")


def test_the_first_router_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new.toml"
    monkeypatch.setenv("SYSMON_CONFIG", str(path))
    assert run(["hosts", "add", "--router", "home", "ssh://root@192.168.1.1"]) == 0
    assert path.read_text() == '[routers.home]\ntarget = "ssh://root@192.168.1.1"\n'


def test_a_router_is_changed_where_it_stands(book: ConfigHostBook, file: Path) -> None:
    made = book.edit("home", {"interval": "10s", "devices": None, "paused": True})
    assert (made.router, made.interval, made.devices, made.paused) == (True, 10.0, 30.0, True)
    text = file.read_text()
    assert "[routers.home]  # since spring\n" in text
    assert tomllib.loads(text)["routers"] == {
        "home": {"target": "ssh://root@192.168.1.1", "interval": "10s", "paused": True}
    }
    assert tomllib.loads(text)["hosts"] == tomllib.loads(BEFORE)["hosts"]
    back = book.edit("home", {"interval": None, "paused": False, "devices": "60s"})
    assert back.interval == 5.0 and tomllib.loads(file.read_text()) == tomllib.loads(BEFORE)


def test_a_router_is_renamed_stopped_and_removed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sysmon(capsys, "edit", "home", "--name", "cellar")[0] == 0
    assert file.read_text() == BEFORE.replace("[routers.home]", "[routers.cellar]")
    for verb, paused in (("stop", True), ("start", False)):
        assert sysmon(capsys, verb, "cellar")[0] == 0
        assert tomllib.loads(file.read_text())["routers"]["cellar"].get("paused", False) is paused
    assert sysmon(capsys, "remove", "cellar") == (0, "cellar: removed\n", "")
    assert set(tomllib.loads(file.read_text())) == {"hosts", "screen"}


def test_list_and_show_tell_what_is_a_router(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = sysmon(capsys, "list")
    web, home = out.splitlines()
    assert status == 0 and web.split() == ["web", "http://127.0.0.1:8200"]
    assert home.split() == ["home", "ssh://root@192.168.1.1", "router"]
    listed = {each["name"]: each["router"] for each in json.loads(sysmon(capsys, "list", "--json")[1])}
    assert listed == {"web": False, "home": True}
    shown = dict(line.split(None, 1) for line in sysmon(capsys, "show", "home")[1].splitlines())
    assert shown["router"] == "yes" and (shown["interval"], shown["devices"]) == ("5 s", "60 s")
    assert "token_file" not in shown and "fingerprint" not in shown
    plain = sysmon(capsys, "show", "web")[1]
    assert "devices" not in plain and "token_file" in plain


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "--router", "r", "https://192.168.1.1"], 'is not how a router is reached; write "ssh://root@192.168'),
        (["add", "--router", "r", "ssh://root@192.168.1.1"], "is configured already, as 'home'"),
        (["add", "r", "ssh://root@192.168.1.1"], "is configured already, as 'home'"),
        (["add", "--router", "web", "ssh://root@10.0.0.1"], "there is a host 'web' already"),
        (["add", "--router", "r", "ssh://root@10.0.0.1", "--devices", "2s"], "devices = '2s' is too short"),
        (["add", "--router", "r", "ssh://root@10.0.0.1", "--ca", "x"], "[routers.r] 'ca' is not known here"),
        (["add", "r", "ssh://root@10.0.0.1", "--devices", "30s"], "[hosts.r] 'devices' is not known here"),
        (["edit", "home", "--name", "web"], "there is a host 'web' already"),
        (["edit", "home", "--collectors", "cpu"], "[routers.home] 'collectors' is not known here"),
        (["pin", "home"], "shows no key"),
        (["show", "hom"], "'hom' is not a configured host"),
    ],
)
def test_what_is_not_right_is_said_and_nothing_changes(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    status, out, err = sysmon(capsys, *arguments)
    assert status in (1, 2) and not out
    assert words in err
    assert file.read_text() == BEFORE


def test_what_a_form_changes_of_a_router_stays_a_router(book: ConfigHostBook, file: Path) -> None:
    router = next(host for host in book.hosts() if host.name == "home")
    assert book.made("home", book.fields(router), router=True) == router
    # As the form of the Fleet screen gives them: what differs, by the names of the settings.
    assert book.edit("home", {"target": "ssh://root@10.0.0.1", "tags": ("lan",)}).router
    assert set(tomllib.loads(file.read_text())["hosts"]) == {"web"}
    with pytest.raises(ConfigError, match="is not how a router is reached"):
        book.edit("home", {"target": "https://10.0.0.1:8200"})
    with pytest.raises(UsageError):
        book.check_free(router)


def test_paused_is_how_a_stopped_router_is(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(BEFORE.replace('devices = "1m"', "paused = true"))
    status, out, _ = sysmon(capsys, "status", "home")
    assert status == 0 and out.splitlines()[1].split() == ["home", "PAUSED", "-", "-"]
