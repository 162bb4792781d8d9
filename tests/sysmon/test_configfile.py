"""Mistakes in a configuration file: all of them in one run, each with place, value and mend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sysmon.catalogue import Catalogue, Formula, counter, derived, gauge, rate
from sysmon.config import Config, places
from sysmon.configfile import load, parse
from sysmon.configschema import Option, boolean
from sysmon.defaultrules import DEFAULT_RULES
from sysmon.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

CATALOGUE = Catalogue(
    [
        gauge("fs.utilization", "ratio", "", instance="mount"),
        gauge("temperature", "celsius", "", instance="sensor"),
        gauge("load.1", "", ""),
        counter("net.receive", "bytes", "", instance="interface"),
        rate("net.receive_rate", "net.receive", "bytes/s", "", instance="interface"),
        counter("lonely", "", ""),
        derived("tcp.retransmit_ratio", "ratio", "", Formula("delta_ratio", ("tcp.again",), ("tcp.sent",))),
        *[gauge(rule.metric, "ratio", "") for rule in DEFAULT_RULES],
    ]
)


def problems(text: str, **more: object) -> list[str]:
    """Parses a broken file and returns its problems."""
    with pytest.raises(ConfigError) as caught:
        parse(text, "config.toml", CATALOGUE, **more)  # type: ignore[arg-type]
    return list(caught.value.problems)


def good(text: str, **more: object) -> Config:
    """Parses a good file."""
    return parse(text, "config.toml", CATALOGUE, **more)  # type: ignore[arg-type]


def test_an_empty_file_gives_the_defaults() -> None:
    config = good("")
    assert config.rules == DEFAULT_RULES
    assert config.history.raw == 172800
    assert config.agent.port == 8200


def test_a_rule_is_read_in_its_metrics_unit() -> None:
    text = """
[alerts.srv-full]
metric = "fs.utilization"
instance = "/srv*"
hosts = ["db-*"]
above = "90 %"
clear = "85 %"
for = "5m"
severity = "critical"
"""
    rule = next(rule for rule in good(text).rules if rule.name == "srv-full")
    assert (rule.above, rule.clear, rule.hold, rule.hosts) == (0.9, 0.85, 300.0, ("db-*",))


def test_a_default_rule_is_changed_by_its_name() -> None:
    rules = {
        rule.name: rule for rule in good("[alerts.disk-full]\nabove = '80 %'\n[alerts.oom-kill]\nenabled=false").rules
    }
    assert rules["disk-full"].above == 0.8
    assert rules["disk-full"].clear is None
    assert rules["disk-full"].metric == "fs.utilization"
    assert not rules["oom-kill"].enabled
    assert len(rules) == len(DEFAULT_RULES)


def test_every_mistake_is_named_in_one_run() -> None:
    text = """# a comment
[histroy]
raw = "48h"

[history]
raw = "two days"
sise = "1 GiB"
free = "500 %"

[agent]
port = 99999

[alerts.disk-full]
for = 'x'

[alerts.hot]
metric = "temprature"
above = 80

[alerts.bare]
metric = "load.1"

[alerts.both]
metric = "load.1"
above = 1
below = 2

[alerts.odd]
metric = "fs.utilization"
above = "5 GiB"
clear = "95 %"

[hosts.db]
target = "ftp://db"

[hosts.web]
paused = "yes"
"""
    assert problems(text) == [
        "config.toml:2: 'histroy' is not a table of this file; did you mean 'history'?",
        "config.toml:6: [history] raw = 'two days' is not a duration; write \"5m\"",
        "config.toml:7: [history] 'sise' is not known here; did you mean 'size'?",
        "config.toml:8: [history] free = '500 %' is out of range; allowed is 0 % to 90 %",
        "config.toml:11: [agent] port = '99999' is out of range; allowed is 1 to 65535",
        "config.toml:14: [alerts.disk-full] for = 'x' is not a duration; write \"5m\"",
        "config.toml:17: [alerts.hot] metric = 'temprature' is not known; did you mean 'temperature'?",
        'config.toml:20: [alerts.bare] no threshold; write above = "90 %" or below = "10 %"',
        "config.toml:26: [alerts.both] above and below are both given; keep one, or write two rules",
        "config.toml:30: [alerts.odd] above = '5 GiB' is not a value of unit ratio; write \"90 %\"",
        "config.toml:34: [hosts.db] target = 'ftp://db' is not a target; "
        'write "https://HOST:8200", "ssh://USER@HOST", "node+http://HOST:9100", "netronome+http://HOST:8200" or '
        '"unix:///run/x.sock"',
        'config.toml:36: [hosts.web] target is missing; write target = "https://HOST:8200"',
        "config.toml:37: [hosts.web] paused = 'yes' is neither true nor false; write true or false without quotes",
    ]


def test_the_clear_threshold_must_lie_on_the_calm_side() -> None:
    found = problems('[alerts.disk-full]\nabove = "80 %"\nclear = "90 %"')
    assert found == ["config.toml:3: [alerts.disk-full] clear = '90 %' lies above the threshold; write a lower value"]


@pytest.mark.parametrize(
    ("metric", "given", "wrong"),
    [
        ("fs.utilization", "above = 90", "above = '90' is 9000 %; write \"90 %\""),
        ("fs.utilization", "above = '90'", "above = '90' is 9000 %; write \"90 %\""),
        (
            "fs.utilization",
            "above = '150 %'",
            "above = '150 %' is never reached: fs.utilization is 0 % to 100 %; write \"90 %\"",
        ),
        (
            "fs.utilization",
            "below = '-1 %'",
            "below = '-1 %' is less than nothing, and fs.utilization never is; write 0 or more",
        ),
        ("tcp.retransmit_ratio", "above = 90", "above = '90' is 9000 %; write \"90 %\""),
        ("load.1", "above = nan", "above = 'nan' is not a number"),
    ],
)
def test_a_threshold_that_no_reading_passes_is_a_mistake(metric: str, given: str, wrong: str) -> None:
    found = problems(f"[alerts.x]\nmetric = '{metric}'\n{given}")
    assert found == [f"config.toml:3: [alerts.x] {wrong}"]


@pytest.mark.parametrize(
    ("metric", "given", "level"),
    [
        ("fs.utilization", "'100 %'", 1.0),
        ("tcp.retransmit_ratio", "'150 %'", 1.5),
        ("temperature", "-5", -5.0),
        ("load.1", "90", 90.0),
    ],
)
def test_a_threshold_that_readings_pass_is_taken(metric: str, given: str, level: float) -> None:
    rule = good(f"[alerts.x]\nmetric = '{metric}'\nabove = {given}").rules[-1]
    assert rule.above == level


def test_a_rule_on_a_counter_is_led_to_its_rate() -> None:
    text = "[alerts.x]\nmetric = 'net.receive'\nabove = 1\n[alerts.y]\nmetric = 'lonely'\nabove = 1"
    assert problems(text) == [
        "config.toml:2: [alerts.x] metric = 'net.receive' is a counter that only grows; "
        "did you mean 'net.receive_rate'?",
        "config.toml:5: [alerts.y] metric = 'lonely' is a counter that only grows; "
        "a threshold on it would never clear; choose a rate",
    ]


@pytest.mark.parametrize("address", ["http://x", "0.0.0.0 ::", "", "a;b"])
def test_what_cannot_be_listened_on_is_refused(address: str) -> None:
    assert problems(f'[agent]\nlisten = "{address}"') == [
        f"config.toml:2: [agent] listen = '{address}' is not an address to listen on; "
        'write "127.0.0.1", "::1" or "0.0.0.0"'
    ]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1", "localhost", "0.0.0.0", "[::1], db-1.lan"])
def test_addresses_and_names_to_listen_on_are_taken(address: str) -> None:
    assert good(f'[agent]\nlisten = "{address}"').agent.listen == address


def test_an_unknown_metric_hides_no_other_mistake() -> None:
    text = "[alerts.x]\nmetric = 'temprature'\nabove = 1\nbelow = true\nfor = 'x'"
    assert problems(text) == [
        "config.toml:2: [alerts.x] metric = 'temprature' is not known; did you mean 'temperature'?",
        "config.toml:4: [alerts.x] below = 'true' is not a value; write below = \"90 %\"",
        "config.toml:4: [alerts.x] above and below are both given; keep one, or write two rules",
        "config.toml:5: [alerts.x] for = 'x' is not a duration; write \"5m\"",
    ]


def test_a_default_rule_misspelt_is_named() -> None:
    assert problems("[alerts.disk-fulll]\nenabled = false") == [
        "config.toml:1: [alerts.disk-fulll] 'disk-fulll' is no rule of its own without a metric; "
        "did you mean 'disk-full'?"
    ]


def test_bounds_of_a_size_are_said_in_words() -> None:
    assert problems("[history]\nsize = 5") == [
        "config.toml:2: [history] size = '5' is out of range; allowed is 16 MiB to 1 PiB"
    ]


def test_what_is_no_toml_is_said_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"config.toml:2: column \d+: .*; this is not TOML"):
        parse("[agent]\nport = = 3\n", "config.toml", CATALOGUE)


def test_lines_are_found_behind_quotes_dots_and_long_values() -> None:
    text = '[hosts."a.b"]\ntarget = "http://h:1"\n[screen]\nstart = """\n[agent]\nport = 1\n"""\nhistory.raw = 5\n'
    found = problems(text)
    assert found[0].startswith("config.toml:4: [screen] start = ")
    assert found[1].startswith("config.toml:8: [screen] 'history' is not known here")


def test_collectors_take_their_own_options() -> None:
    known = {"processes": {"threads": Option(boolean, "false", "")}, "cpu": {}}
    config = good("[collectors.processes]\nthreads = true\ninterval = '5s'\n", collectors=known)
    assert config.collectors["processes"].options == {"threads": True}
    assert config.collectors["processes"].interval == 5
    assert problems("[collectors.cup]\nenabled = false\n[collectors.cpu]\nthreads = true", collectors=known) == [
        "config.toml:1: [collectors.cup] 'cup' is not a collector; did you mean 'cpu'?",
        "config.toml:4: [collectors.cpu] 'threads' is not known here; known are enabled, interval",
    ]


def test_keys_may_be_given_once() -> None:
    assert good('[keys]\nquit = "x"\nhelp = ["h", "f1"]', actions={"quit": (), "help": ()}).keys == {
        "quit": ("x",),
        "help": ("h", "f1"),
    }
    assert problems('[keys]\nqit = "x"\nquit = "x"\nhelp = ["x"]', actions={"quit": (), "help": ()}) == [
        "config.toml:2: [keys] 'qit' is not an action; did you mean 'quit'?",
        "config.toml:4: [keys] help = 'x' is also given to quit; keep one",
    ]


ACTIONS = {
    "quit": ("q", "ctrl+c"),
    "help": ("question_mark", "f1"),
    "leave": ("escape",),
    "freeze": ("Z",),
    "processes.close": ("escape",),
    "processes.tree": ("t", "f5"),
    "alerts.kinds": ("f",),
}


@pytest.mark.parametrize(
    "given",
    ["ctrl+", "doubleclick", "", "ctrl+ctrl+x", "f25", "f0", "hyper+x", "ab", "\\u0007", "ctrl++x", "x,y", "none_such"],
)
def test_a_name_that_is_no_key_is_a_mistake(given: str) -> None:
    [problem] = problems(f'[keys]\nfreeze = ["v", "{given}"]', actions=ACTIONS)
    assert problem.startswith("config.toml:2: [keys] freeze = '")
    assert " is not a key; write " in problem


def test_an_empty_list_of_keys_is_a_mistake() -> None:
    assert problems("[keys]\nfreeze = []", actions=ACTIONS) == [
        'config.toml:2: [keys] freeze = \'[]\' is not a key; write "x" or ["x", "f9"]'
    ]
    assert problems("[keys]\nfreeze = 'shift+v'", actions=ACTIONS) == [
        "config.toml:2: [keys] freeze = 'shift+v' is sent as 'V'; write \"V\""
    ]


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("v", "v"),
        ("V", "V"),
        ("+", "plus"),
        ("ctrl++", "ctrl+plus"),
        (",", "comma"),
        ("-", "minus"),
        ("@", "at"),
        ("?", "question_mark"),
        (" ", "space"),
        ("é", "latin_small_letter_e_with_acute"),
        ("left_square_bracket", "left_square_bracket"),
        ("equals_sign", "equals_sign"),
        ("shift+ctrl+f5", "ctrl+shift+f5"),
        ("f24", "f24"),
        ("less_than_sign", "less_than_sign"),
        ("alt+pageup", "alt+pageup"),
    ],
)
def test_a_key_is_taken_by_the_name_that_it_is_sent_under(given: str, key: str) -> None:
    assert good(f'[keys]\nquit = "{given}"', actions={"quit": ("q",)}).keys == {"quit": (key,)}


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ("freeze = 'q'", "freeze = 'q' is also given to quit; choose another, or give quit another key too"),
        (
            "freeze = '?'",
            "freeze = 'question_mark' is also given to help; choose another, or give help another key too",
        ),
        (
            "freeze = 'f'",
            "freeze = 'f' is also given to alerts.kinds; choose another, or give alerts.kinds another key too",
        ),
        ('"processes.tree" = "Z"', "processes.tree = 'Z' is also given to freeze; choose another, or give freeze "),
        ("freeze = 'ctrl+c'", "freeze = 'ctrl+c' is what quits when nothing else does; choose another key"),
    ],
)
def test_a_key_that_another_action_has_is_a_mistake(given: str, wrong: str) -> None:
    [problem] = problems(f"[keys]\n{given}", actions=ACTIONS)
    assert problem.startswith(f"config.toml:2: [keys] {wrong}")


@pytest.mark.parametrize(
    "given",
    [
        "freeze = 'f'\n\"alerts.kinds\" = 'v'",
        '"alerts.kinds" = "t"',
        '"processes.close" = ["escape", "v"]',
        "freeze = 'q'\nquit = 'Z'",
        'quit = ["q", "ctrl+c"]',
        "quit = 'v'",
    ],
)
def test_keys_of_actions_that_never_meet_or_have_moved_are_free(given: str) -> None:
    assert good(f"[keys]\n{given}", actions=ACTIONS).keys


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    assert load(tmp_path / "none.toml", CATALOGUE).source is None
    with pytest.raises(ConfigError, match="does not exist"):
        load(tmp_path / "none.toml", CATALOGUE, named=True)
    broken = tmp_path / "latin.toml"
    broken.write_bytes(b"[agent]\n# \xe9\n")
    with pytest.raises(ConfigError, match="byte 10 is not UTF-8"):
        load(broken, CATALOGUE)


@given(st.text(max_size=200))
def test_any_text_loads_or_lists_its_problems(text: str) -> None:
    try:
        parse(text, "config.toml", CATALOGUE)
    except ConfigError as error:
        assert all(problem.startswith("config.toml") for problem in error.problems)


@given(
    st.dictionaries(
        st.sampled_from(["history", "screen", "agent", "alerts", "hosts", "collectors", "keys", "x"]),
        st.one_of(st.integers(), st.text(max_size=5), st.booleans(), st.lists(st.integers(), max_size=2)),
        max_size=4,
    )
)
def test_any_shape_of_table_is_survived(shape: dict[str, object]) -> None:
    lines = [f"{name} = {str(value).lower() if isinstance(value, bool) else value!r}" for name, value in shape.items()]
    try:
        parse("\n".join(lines), "config.toml", CATALOGUE)
    except ConfigError as error:
        assert error.problems


def test_places_follow_the_environment() -> None:
    found = places({"HOME": "/home/u", "XDG_RUNTIME_DIR": "/run/user/5"})
    assert str(found.config) == "/home/u/.config/sysmon/config.toml"
    assert str(found.history) == "/home/u/.local/state/sysmon/history.db"
    assert str(found.socket) == "/run/user/5/sysmon/sysmon.sock"
    service = places({"HOME": "/", "STATE_DIRECTORY": "/var/lib/sysmon", "SYSMON_CONFIG": "/x.toml"})
    assert str(service.history) == "/var/lib/sysmon/history.db"
    assert service.config_named
    assert str(places({"HOME": "/h", "SYSMON_DB": "/d.db"}).history) == "/d.db"


def test_places_of_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as it does for a user whom nobody knows
    assert str(places({}).state) == "/.local/state/sysmon"


ROUTERS = """
[hosts.db]
target = "ssh://root@10.0.0.9"
[routers.home]
target = "ssh://root@192.168.1.1"
devices = "1m"
tags = ["lan"]
[routers.attic]
target = "ssh://10.0.0.1:2222/"
interval = 10
"""


def test_routers_are_hosts_of_their_own_kind() -> None:
    hosts = good(ROUTERS).hosts
    assert [*hosts] == ["db", "home", "attic"]
    assert [host.router for host in hosts.values()] == [False, True, True]
    home, attic = hosts["home"], hosts["attic"]
    assert (home.target, home.interval, home.devices, home.tags) == ("ssh://root@192.168.1.1", 5.0, 60.0, ("lan",))
    assert (attic.target, attic.interval, attic.devices) == ("ssh://10.0.0.1:2222", 10.0, 30.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[routers.r]", '[routers.r] target is missing; write target = "ssh://root@192.168.1.1"'),
        ("[routers.r]\ntarget = 'https://r:8200'", "target = 'https://r:8200' is not how a router is reached; write"),
        ("[routers.r]\ntarget = 'ssh://root:secret@r'", "target = 'ssh://root:secret@r' is not a target; write"),
        ("[routers.r]\ntarget = 'ssh://-oProxyCommand=x'", "is not a target; write"),
        ("[routers.r]\ntarget = 5", "target = '5' is not text; write it in quotes"),
        ("[routers.db]\ntarget = 'ssh://r'", "'db' is the name of a host too; a router is a host: keep one of them"),
        ("[routers.r]\ntarget = 'ssh://root@10.0.0.9'", "is also that of [hosts.db]; keep one"),
        ("[routers.r]\ntarget = 'ssh://root@192.168.1.1/'", "is also that of [routers.home]; keep one"),
        ("[routers.r]\ntarget = 'ssh://r'\ndevices = '1s'", "devices = '1s' is too short; the least is \"10s\""),
        ("[routers.r]\ntarget = 'ssh://r'\ndevices = 'often'", "devices = 'often' is not a duration; write"),
        ("[routers.r]\ntarget = 'ssh://r'\ninterval = 0", "interval = '0' is too short; the least is \"1s\""),
        ("[routers.r]\ntarget = 'ssh://r'\ndevice = '30s'", "'device' is not known here; did you mean 'devices'?"),
        ("[routers.r]\ntarget = 'ssh://r'\ntoken_file = 'x'", "'token_file' is not known here"),
        ("[routers.r]\ntarget = 'ssh://r'\npaused = 'no'", "paused = 'no' is neither true nor false"),
        ("[routers.'a b']\ntarget = 'ssh://r'", "'a b' is not a name; use letters, digits"),
        ("[routers]\nr = 'ssh://r'", "r = 'ssh://r' is not a table; write [routers.r] above its keys"),
        ("[router.r]\ntarget = 'ssh://r'", "'router' is not a table of this file; did you mean 'routers'?"),
        ("[caps.line]", '[caps.line] limit is missing; write limit = "1 TB"'),
        ("[caps.line]\nlimit = '1 furlong'", "limit = '1 furlong'"),
        ("[caps.line]\nlimit = 0", "limit = '0' is out of range; allowed is"),
        ("[caps.line]\nlimit = true", "limit = 'true' is not a value of unit bytes"),
        ("[caps.line]\nlimit = '1 TB'\nday = 32", "day = '32' is out of range; allowed is 1 to 31"),
        ("[caps.line]\nlimit = '1 TB'\nday = '1'", "day = '1' is not a whole number; write 1"),
        ("[caps.line]\nlimit = '1 TB'\ncount = 'down'", "count = 'down' is not allowed; write one of both, receive"),
        (
            "[caps.line]\nlimit = '1 TB'\ninterface = 'eth0'\ndevice = 'tv'",
            "interface and device are both given; keep one",
        ),
        ("[caps.line]\nlimit = '1 TB'\nhost = ['a']", "host = '['a']' is not text"),
        ("[caps.line]\nlimits = '1 TB'", "'limits' is not known here; did you mean 'limit'?"),
        ("[caps]\nline = '1 TB'", "line = '1 TB' is not a table; write [caps.line] above its keys"),
    ],
)
def test_mistakes_in_routers_and_caps(text: str, words: str) -> None:
    found = problems(ROUTERS + text)
    assert any(words in problem for problem in found), found
    line = ROUTERS.count("\n") + 1
    assert all(int(problem.split(":")[1]) >= line for problem in found)
