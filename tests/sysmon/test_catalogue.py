"""The catalogue: look-ups, and what peers may teach it."""

from __future__ import annotations

import time

import pytest

from collectors.registry import catalogue
from sysmon.catalogue import (
    MAX_TAUGHT,
    MAX_TAUGHT_DERIVED,
    MAX_TAUGHT_PARTS,
    MAX_TAUGHT_USERS,
    Catalogue,
    Formula,
    Metric,
    counter,
    derived,
    gauge,
    rate,
)
from sysmon.derive import MAX_TAUGHT_WORK, State, plan
from sysmon.frame import Frame, Number

NAMES = tuple(f"own.{number}" for number in range(64))
OWN = Catalogue([counter(name, "bytes", "") for name in NAMES])


def bomb(count: int, parts: tuple[str, ...] = NAMES, prefix: str = "x") -> list[Metric]:
    """Derived metrics that all hang on the same counters."""
    return [derived(f"{prefix}{number}", "", "", Formula("rate", parts)) for number in range(count)]


def test_formulas_over_the_same_counters_cost_no_more_than_others() -> None:
    # Comparing each formula with all before it took minutes here.
    begun = time.monotonic()
    made = Catalogue(bomb(10_000))
    assert time.monotonic() - begun < 10
    assert all(len(made.derived_from(name)) == 10_000 for name in NAMES)


def test_a_metric_twice_in_a_formula_has_it_as_user_once() -> None:
    ratio = derived("r", "ratio", "", Formula("delta_ratio", ("own.1",), ("own.1", "own.2")))
    for made in (Catalogue([ratio]), OWN.merged([ratio])):
        assert list(made.derived_from("own.1")) == [ratio]
        assert list(made.derived_from("own.2")) == [ratio]


def test_what_is_known_cannot_be_redefined() -> None:
    poison = [gauge("own.1", "volts", "poison"), rate("new", "own.1", "bytes/s", "good")]
    made = OWN.merged(poison).merged([rate("new", "own.2", "bytes/s", "poison")])
    assert made.require("own.1") is OWN.require("own.1")
    assert made.require("new").help == "good"
    assert not made.derived_from("own.2")
    assert made.is_taught("new")
    assert not made.is_taught("own.1")
    assert len(OWN) == 64
    assert not OWN.derived_from("own.1")


def test_what_is_known_already_makes_no_new_catalogue() -> None:
    own = catalogue()
    assert own.merged(list(own)) is own
    assert own.merged([]) is own


def test_no_metric_of_this_program_is_beyond_what_a_peer_may_teach() -> None:
    # Else an older reader would not learn it from a newer agent.
    own = list(catalogue())
    learnt = Catalogue().merged(own)
    assert list(learnt) == own


def test_what_peers_teach_is_bounded_in_number() -> None:
    made = OWN.merged(gauge(f"g{number}", "", "") for number in range(MAX_TAUGHT + 100))
    made = made.merged([gauge("one.more", "", "")])
    assert len(made) == 64 + MAX_TAUGHT
    assert "one.more" not in made


def test_what_peers_teach_is_bounded_in_formulas() -> None:
    spread = [rate(f"r{number}", f"c{number}", "", "") for number in range(MAX_TAUGHT_DERIVED + 50)]
    made = OWN.merged(spread).merged(bomb(10, ("own.1",)))
    assert sum(metric.kind == "derived" for metric in made) == MAX_TAUGHT_DERIVED
    long = tuple(f"c{number}" for number in range(MAX_TAUGHT_PARTS + 1))
    assert len(OWN.merged(bomb(1, long))) == 64
    assert len(OWN.merged(bomb(1, long[:-1]))) == 65


def test_what_peers_hang_on_one_counter_is_bounded_whatever_is_ours() -> None:
    own = Catalogue([*OWN, *bomb(20, ("own.1",), "own.rate")])
    made = own.merged(bomb(1000, NAMES[:MAX_TAUGHT_PARTS]))
    assert len(made.derived_from("own.1")) == 20 + MAX_TAUGHT_USERS
    assert len(made.derived_from("own.2")) == MAX_TAUGHT_USERS
    assert [metric.name for metric in made.derived_from("own.1")][:20] == [f"own.rate{n}" for n in range(20)]


@pytest.mark.parametrize(
    "formula", [Formula("value_ratio", (), ("own.1",)), Formula("delta_ratio", ("own.1",)), Formula("rate", ())]
)
def test_a_formula_of_nothing_is_left_out(formula: Formula) -> None:
    assert "odd" not in OWN.merged([derived("odd", "", "", formula)])


def test_the_work_that_taught_formulas_make_of_a_hosts_series_is_bounded() -> None:
    own = Catalogue([counter("own.0", "bytes", ""), rate("own.rate", "own.0", "bytes/s", "")])
    taught = own.merged(bomb(MAX_TAUGHT_USERS, NAMES[:MAX_TAUGHT_PARTS]))
    keys = [f"{name}:{number}" for name in NAMES[:MAX_TAUGHT_PARTS] for number in range(250)]
    planned = plan(taught, keys)
    assert sum(len(each.over) for each in planned if taught.is_taught(each.key.partition(":")[0])) <= MAX_TAUGHT_WORK
    assert sum(each.key.startswith("own.rate:") for each in planned) == 250
    assert {each.key for each in plan(taught, keys, frozenset({"own.rate"}))} == {f"own.rate:{n}" for n in range(250)}


def test_rules_look_at_their_own_metrics_only() -> None:
    taught = OWN.merged([*bomb(3, ("own.1",)), rate("own.rate", "own.2", "bytes/s", "")])
    state = State(taught)
    for seq in (1, 2):
        readings: dict[str, Number] = {"own.1": 10 * seq, "own.2": 5 * seq}
        state.apply(
            Frame(host="h", boot="b", run="r", seq=seq, time=0, monotonic=seq * 10**9, readings=readings, full=True)
        )
    assert state.some(frozenset({"own.rate", "own.1"})) == {"own.rate": 5.0, "own.1": 20}
