import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from collectors import registry
from collectors.base import Collector, Roots
from collectors.registry import available, build, catalogue, discover, document, found, names
from sysmon.catalogue import METRIC_NAME

EVERY = found().classes


def test_walk_finds_collectors_and_no_tools() -> None:
    assert {"cpu", "load", "memory", "swap", "pressure", "uptime", "own", "frequency"} <= set(names())
    assert {"base", "registry", "runner", "identity", "capacity"}.isdisjoint(names())
    assert found().faults == ()


@pytest.mark.parametrize("each", EVERY, ids=lambda each: f"{each.name}-{each.platforms[0]}")
def test_collector_keeps_the_contract(each: type[Collector]) -> None:
    assert each.help and not each.help.endswith(".")
    assert each.metrics and each.platforms
    assert each.interval >= 1 and each.deadline > 0
    for metric in each.metrics:
        assert METRIC_NAME.fullmatch(metric.name), metric.name
        assert metric.collector == each.name
        assert metric.help, metric.name
        assert (metric.formula is not None) == (metric.kind == "derived")
        assert metric.kind == "derived" or metric.source, metric.name


def test_one_metric_has_one_meaning_and_formulas_stand_on_metrics() -> None:
    known = catalogue("linux")
    owner: dict[str, str] = {}
    for each in available(Roots(live=False)):
        for metric in each.metrics:
            assert owner.setdefault(metric.name, each.name) == each.name, metric.name
            if metric.formula is not None:
                for part in (*metric.formula.over, *metric.formula.per):
                    used = known.get(part)
                    assert used is not None, f"{metric.name} stands on {part}"
                    assert used.kind == ("gauge" if metric.formula.kind == "value_ratio" else "counter"), part
    assert "sysmon.ticks.missed" in known


def test_names_that_others_build_on_are_there() -> None:
    known = catalogue("linux")
    for name in (
        "cpu.utilization cpu.core.utilization cpu.iowait cpu.steal load.1 load.5 load.15 memory.total memory.used "
        "memory.available memory.utilization swap.total swap.used pressure.cpu.some pressure.memory.full uptime "
        "processes.count sysmon.cpu sysmon.memory cpu.frequency"
    ).split():
        known.require(name)


def test_module_that_does_not_import_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "plugins_for_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "bad.py").write_text("import no_such_library_anywhere\n")
    (package / "worse.py").write_text("1 / 0\n")
    (package / "helper.py").write_text("x = 1\n")
    (package / "_hidden.py").write_text("raise SystemError\n")
    (package / "good.py").write_text(
        "from collectors.base import Collector\n"
        "class Good(Collector):\n    name = 'good'\n    metrics = ()\n"
        "class Better(Collector):\n    name = 'better'\n    metrics = ()\n"
        "COLLECTOR = Good\nCOLLECTORS = (Good, Better)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    walked = discover([str(package)], "plugins_for_test.")
    assert [each.name for each in walked.classes] == ["better", "good"]
    assert [fault.collector for fault in walked.faults] == ["bad", "worse"]
    assert "no_such_library_anywhere" in walked.faults[0].message
    assert "ZeroDivisionError" in walked.faults[1].message


def test_captured_tree_is_linux_wherever_it_is_read() -> None:
    assert [each.name for each in available(Roots(live=False), "darwin")] == [
        each.name for each in available(Roots(), "linux")
    ]
    assert all("freebsd" in each.platforms for each in available(Roots(), "freebsd14"))


def test_collector_that_cannot_be_made_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Collector):
        name = "aa"

        def __init__(self, *_: object) -> None:
            raise RuntimeError("no")

    monkeypatch.setattr(registry, "available", lambda _roots, **_: [Broken, *available(Roots(live=False))])
    made, faults = build(Roots(live=False), {"cpu": {"x": 1}}, disabled=["swap"])
    assert [(fault.collector, fault.kind, fault.message) for fault in faults] == [("aa", "failed", "RuntimeError: no")]
    assert "swap" not in [each.name for each in made] and "memory" in [each.name for each in made]
    assert next(each for each in made if each.name == "cpu").options == {"x": 1}


def test_page_of_metrics_is_up_to_date(checkout: Path) -> None:
    written = (checkout / "docs/metrics.md").read_text()
    assert written == document(), "run: python -m collectors.registry > docs/metrics.md"


def test_page_names_every_metric() -> None:
    page = document()
    assert all(f"| `{metric.name}` |" in page for metric in catalogue())


def test_module_prints_the_page(checkout: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "collectors.registry"], capture_output=True, text=True, check=True, cwd=checkout
    )
    assert done.stdout == document() and done.stderr == ""


def test_collector_of_another_sort_of_host_is_left_out_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    class Special(Collector):
        name = "special"

        @classmethod
        def applies(cls, roots: Roots, options: Mapping[str, object]) -> bool:
            return options.get("wanted") is True

    monkeypatch.setattr(registry, "found", lambda: registry.Found((Special,), ()))
    roots = Roots(live=False)
    assert available(roots) == [] and build(roots) == ([], [])
    made, faults = build(roots, {"special": {"wanted": True}})
    assert [type(each) for each in made] == [Special] and faults == []
