"""What is written in different folders about the same things agrees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.configuration import collector_options, key_actions, load_config, sample
from collectors.registry import catalogue
from sysmon.configfile import parse
from sysmon.defaultrules import DEFAULT_RULES
from sysmon.wrong import METRICS

if TYPE_CHECKING:
    from pathlib import Path

    from sysmon.config import Rule


@pytest.mark.parametrize("rule", DEFAULT_RULES, ids=lambda rule: rule.name)
def test_a_default_rule_names_a_metric_that_is_collected(rule: Rule) -> None:
    assert rule.metric in catalogue()
    assert (rule.above is None) != (rule.below is None)
    assert rule.help


@pytest.mark.parametrize("metric", METRICS)
def test_what_is_wrong_is_judged_by_metrics_that_are_collected(metric: str) -> None:
    assert metric in catalogue()


def test_the_sample_configuration_loads_as_it_is_and_uncommented(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(sample())
    assert load_config(path, catalogue()).rules == DEFAULT_RULES
    lines = []
    for line in sample().split("\n"):
        bare = line.removeprefix("# ")
        is_option = bare.startswith("[") or (" = " in bare and not bare.startswith(("One", "Hosts", "Alert", "Keys")))
        lines.append(bare if is_option else line)
    config = parse("\n".join(lines), "config.toml", catalogue(), collectors=collector_options())
    assert config.hosts["db"].target == "https://db-1:8200"
    assert "srv-full" in {rule.name for rule in config.rules}
    assert config.keys["quit"] == ("q", "ctrl+c")
    assert config.history.raw == 172800


def test_the_default_keys_of_every_action_may_be_written_down(tmp_path: Path) -> None:
    lines = [f'"{action}" = {list(keys)}' for action, keys in key_actions().items()]
    path = tmp_path / "config.toml"
    path.write_text("\n".join(["[keys]", *lines]))
    assert load_config(path, catalogue()).keys == key_actions()
