"""The fleet without a screen: the order, the filter, the counts, what cells say, and how columns and cards are laid."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sysmon.config import HostSettings
from sysmon.errors import UsageError
from sysmon.frame import Fault
from sysmon.ports import Peer
from sysmon.records import AlertState, Event, HostInfo, Status
from sysmon.wrong import findings, judge
from tests.tui.scripted import START, Script, catalogue
from tests.tui.scriptedfleet import alert
from tui.chrome import Chrome
from tui.fleet import (
    SORTS,
    WORDS,
    Entry,
    State,
    counts,
    entries,
    head_line,
    hub_labels,
    in_order,
    judged,
    lost_hubs,
    natural,
    skew_text,
    sort_entries,
    state_of,
)
from tui.fleetchrome import fleet_chrome, troubles
from tui.fleetfilter import FIELDS, STATE_NAMES, begun, kept, parse_filter, tag_counts
from tui.glyphs import ASCII
from tui.hostfields import FIELDS as FORM
from tui.hostfields import changes, introduction, parse, texts_of, wants_pin
from tui.model import Model
from tui.pulse import POINTS, Beat, Pulse
from tui.renderables.columns import place
from tui.renderables.fleetcard import card, card_height, fitting, scrolling
from tui.renderables.fleetcells import line_spans, short_message, spread, state_spans, vital_spans, worst_spans
from tui.renderables.fleetdetails import details
from tui.renderables.text import Spans, spans_width
from tui.theme import DEFAULT_LOOK, look
from tui.widgets.fleet_columns import columns


def entry(name: str = "db-1", state: State = "live", worst: str = "", **more: object) -> Entry:
    """A host in a state, with an alert of a severity."""
    return Entry(name, name, state, worst=(worst, f"{worst} words") if worst else None, **more)  # type: ignore[arg-type]


def text(spans: Spans) -> str:
    """What spans say."""
    return "".join(part for part, _ in spans)


# -- order


def test_worst_first_is_firing_offline_warning_stale_late_connecting_live_paused() -> None:
    wanted = [
        entry("a", "live", "critical"), entry("b", "offline"), entry("c", "live", "warning"), entry("d", "stale"),
        entry("e", "late"), entry("f", "connecting"), entry("g", "live"), entry("h", "off"), entry("i", "paused"),
    ]  # fmt: skip
    assert in_order(reversed(wanted)) == wanted
    assert in_order([entry("b", "offline", "warning"), entry("a", "live", "warning")])[0].key == "b"


def test_names_sort_as_people_count() -> None:
    assert sorted(["web-10", "web-2", "WEB-1", "db"], key=natural) == ["db", "WEB-1", "web-2", "web-10"]


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_two_names_can_be_ordered(one: str, two: str) -> None:
    assert sorted([one, two], key=natural) in ([one, two], [two, one])


def test_a_host_that_may_be_away_or_is_paused_is_calm() -> None:
    assert state_of("offline", expected_off=True) == "off"
    assert state_of("offline", blind=True) == "blind"
    assert state_of("live", expected_off=True, blind=True) == "live"
    for state in ("off", "paused", "blind", "nothing"):
        assert WORDS[state][1] == "unknown"
    found = [entry("a", "off"), entry("b", "paused"), entry("c", "blind")]
    assert troubles(found, None) == ()
    assert all(each.mark == "unknown" for each in found)


def test_hosts_are_judged_by_the_model() -> None:
    model = Model(catalogue())
    script = Script()
    model.take(HostInfo(id=script.host, name="db", hostname="db.example.net", tags=["prod"]))
    model.take(HostInfo(id="f" * 16, name="laptop", expected_off=True))
    model.take(Status(host="f" * 16, state="offline", message="no route to host"))
    model.take(Status(host="", name="new", state="offline", message="refused"))
    for second in range(3):
        model.take(script.frame(second), second * 1_000_000_000)
    model.take(alert(script.host, "warning", "swap is full"))
    model.take(alert(script.host, "critical", "disk is full"))
    settings = HostSettings(name="new", target="https://new:8200", tags=("lab",), expected_off=False)
    now = 2 * 1_000_000_000 + 500_000_000
    found = entries(model, now, START + 2, {"new": settings}.get)
    assert [each.label for each in found] == ["db", "new", "laptop"]
    first, new, laptop = found
    assert (first.worst, first.more, first.age_text) == (("critical", "disk is full"), 1, "<2s")
    assert (new.key, new.tags, new.age, new.message) == ("@new", ("lab",), None, "refused")
    assert laptop.state == "off"
    assert entries(model, now + 30_000_000_000, START + 32, lambda name: None)[0].state == "stale"
    assert first == entries(model, now, START + 2, {"new": settings}.get)[0]
    model.take(script.frame(3), 3 * 1_000_000_000)
    assert first != entries(model, now, START + 2, {"new": settings}.get)[0]


def test_sorting_by_a_column_puts_what_is_missing_last() -> None:
    def with_cpu(name: str, cpu: float | None) -> Entry:
        pulse = Pulse(name)
        pulse.take(START, Beat(cpu=cpu))
        return Entry(name, name, "live", pulse=pulse)

    found = [with_cpu("a", 0.2), entry("b", "offline"), with_cpu("c", 0.9), with_cpu("d", None)]
    assert [each.key for each in sort_entries(found, "cpu", True)] == ["c", "a", "b", "d"]
    assert [each.key for each in sort_entries(found, "cpu", False)] == ["a", "c", "b", "d"]
    assert [each.key for each in sort_entries(found, "host", True)] == ["d", "c", "b", "a"]
    assert next(each.key for each in sort_entries(found, "worst", False)) == "b"
    assert sort_entries(found, "", False) == found
    for column, reverse in SORTS.items():
        assert len(sort_entries(found, column, reverse)) == 4


def test_sorted_by_state_the_worst_comes_first_and_reversed_last() -> None:
    found = [entry("a", age=0), entry("b", age=0), entry("c", "offline"), entry("d", "offline", age=90),
             entry("e", "late", age=5), entry("f", "off")]  # fmt: skip
    first = [each.key for each in sort_entries(found, "state", SORTS["state"])]
    assert first[:3] == ["c", "d", "e"]
    assert first[-1] == "f"
    again = [each.key for each in sort_entries(found, "state", not SORTS["state"])]
    assert again[0] == "f"
    assert again[-3:] == ["e", "d", "c"]


def test_what_no_alert_tells_of_is_judged_by_its_values() -> None:
    values = {
        "memory.utilization": 0.98,
        "fs.utilization:/srv": 0.93,
        "pressure.cpu.some": 0.3,
        "temperature:k10": 91.0,
    }
    full = Beat(wrong=tuple(judge(values)))
    assert judged(full) == ("critical", "memory 98 % used")
    told = [msgspec.structs.replace(alert("h", "critical", "x"), key="memory.utilization", status="acknowledged")]
    assert judged(full, told) == ("warning", "/srv is 93 % full")
    assert judged(Beat()) is None
    found = [entry("a", worst="warning", firing=False)]
    assert found[0].rank == entry("a").rank
    assert [
        each.severity for each in troubles([entry("s", "stale"), entry("a", worst="critical", firing=False)], None)
    ] == ["critical", "warning"]
    assert counts(found) == [(1, "live", "ok")]
    assert kept(found, parse_filter("state:firing")) == []
    assert kept(found, parse_filter("state:warning")) == found


def test_values_are_judged_as_the_rest_of_the_program_judges_them() -> None:
    model = Model(catalogue())
    script = Script(load=0.95)
    for second in range(20):
        model.take(script.frame(second), second)
    host = model.hosts[script.host]
    assert list(host.pulse.now.wrong) == findings(host.state)
    assert host.pulse.now.wrong


# -- words


def test_the_head_line_counts_every_state_and_what_fires() -> None:
    found = [*(entry(f"l{index}") for index in range(9)), entry("a", "late"), entry("o", "offline"),
             entry("p", "offline", "critical")]  # fmt: skip
    assert head_line(found) == "12 hosts: 9 live, 1 late, 2 offline, 1 firing"
    assert head_line([entry()]) == "1 host: 1 live"
    assert head_line([]) == "0 hosts"
    every = [entry(name, name) for name in WORDS]
    assert sum(number for number, _, _ in counts(every)) == len(WORDS)


def test_that_this_side_lost_the_network_is_said_once() -> None:
    found = [entry(f"h{index}", "blind", age=40) for index in range(50)]
    lost = Event(id="x", time=1, host="", kind="network.lost", message="this side lost the network: 50 hosts at once")
    told = troubles(found, lost)
    assert [finding.text for finding in told] == [lost.message]
    chrome = fleet_chrome(Chrome(label="h1", cost=("1 %",), now=5), found, lost)
    assert (chrome.label, chrome.system, chrome.cost) == ("50 hosts", ("50 unseen",), ())
    assert chrome.wrong == told
    assert fleet_chrome(Chrome(mode="past", now=5), found, lost).wrong == ()


def test_troubles_name_the_host_worst_first() -> None:
    found = [entry("a", "stale", age=30), entry("b", "offline", age=300), entry("c", "offline"),
             entry("d", "live", "critical")]  # fmt: skip
    assert [each.text for each in troubles(found, None)] == [
        "d: critical words", "no contact with b for 5m", "c was never reached", "nothing heard from a for 30s",
    ]  # fmt: skip
    assert len(troubles([entry(str(index), "offline") for index in range(200)], None)) == 30


def test_the_state_always_tells_an_age() -> None:
    assert text(state_spans(entry("a", "live", age=75), DEFAULT_LOOK)) == "LIVE 1m"
    assert text(state_spans(entry("a", "offline", age=75), DEFAULT_LOOK)) == "OFFLINE 1m"
    assert text(state_spans(entry("a", age=1), DEFAULT_LOOK)) == "LIVE <2s"
    assert text(state_spans(entry("a", "late", age=0), DEFAULT_LOOK)) == "LATE 0s"
    assert text(state_spans(entry("a", "offline"), DEFAULT_LOOK)) == "OFFLINE never"
    assert text(state_spans(entry("a", "connecting"), DEFAULT_LOOK)) == "CONNECTING"


def test_the_reason_is_told_without_what_the_row_says_already() -> None:
    gone = entry("web", "offline", message="web: connection refused")
    assert short_message(gone) == "connection refused"
    assert text(worst_spans(gone, DEFAULT_LOOK)) == "connection refused"
    assert short_message(Entry("w", "w", target="https://w", message="https://w: no")) == "no"
    assert text(worst_spans(entry("a", skew=47_000), DEFAULT_LOOK)) == "! its clock is 47s ahead"
    assert skew_text(-3_600_000) == "its clock is 1h behind"
    assert text(worst_spans(entry("a", worst="critical", more=2), DEFAULT_LOOK)) == "✖ critical words  +2"


# -- the filter


def test_words_fields_alternatives_and_negation() -> None:
    found = [
        entry("web-1", tags=("prod", "web")), entry("web-2", "offline", tags=("test",)),
        entry("db-1", "live", "critical", hostname="galera", tags=("prod",)), entry("old", "off"),
    ]  # fmt: skip

    def names(given: str) -> list[str]:
        return [each.key for each in kept(found, parse_filter(given))]

    assert names("") == [each.key for each in found]
    assert names("web") == ["web-1", "web-2"]
    assert names("GALERA") == ["db-1"]
    assert names("prod !web-1") == ["db-1"]
    assert names("tag:prod") == ["web-1", "db-1"]
    assert names("tag:pro") == []
    assert names("state:offline,late") == ["web-2"]
    assert names("state:off") == ["old"]
    assert kept([entry("a", "blind")], parse_filter("state:unseen")) != []
    assert kept([entry("a", "blind")], parse_filter("state:offline")) == []
    assert names("state:firing") == names("state:critical") == ["db-1"]
    assert names("name:web state:live") == ["web-1"]
    assert names("-tag:prod -tag:test") == ["old"]
    assert tag_counts(found) == [("prod", 2), ("test", 1), ("web", 1)]


@pytest.mark.parametrize(
    ("given", "words"),
    [("stat:live", "did you mean 'state'"), ("zzz:1", "name:, tag: or state:"), ("tag:", "tag:prod"),
     ("state:gone", "states are live")],
)  # fmt: skip
def test_a_filter_that_means_nothing_says_what_would(given: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_filter(given)


def test_states_count_while_they_are_typed() -> None:
    for state in STATE_NAMES:
        for length in range(1, len(state) + 1):
            (term,) = parse_filter(f"state:{state[:length]}")
            assert term.values[0] in STATE_NAMES


def test_a_field_being_typed_after_a_term_does_not_count_yet() -> None:
    assert [begun(text) for text in ("web s", "web !sta", "tag:prod name")] == [True] * 3
    assert [begun(text) for text in ("s", "web", "web x", "web state:live", "web ")] == [False] * 5


@given(st.text(max_size=60))
def test_any_text_is_a_filter_or_told_why_not(given: str) -> None:
    try:
        terms = parse_filter(given)
    except UsageError as error:
        assert error.hint
    else:
        kept([entry(), entry("ü", "offline", "warning")], terms)
        assert all(term.field in ("", *FIELDS) for term in terms)


# -- cells, columns and cards


def pulsing(seconds: int = 700, silent: range = range(0)) -> Pulse:
    """A pulse of some minutes."""
    pulse = Pulse("h")
    for second in range(seconds):
        if second not in silent:
            pulse.take(START + second, Beat(cpu=0.5, memory=0.98, receive=1e6, transmit=2e5, disk=0.4, mount="/",
                                            load=1.5, temperature=55.0, sensor="k10temp"))  # fmt: skip
    return pulse


def beating(**more: object) -> Entry:
    """A host with values."""
    pulse = more.pop("pulse", None) or pulsing()
    assert isinstance(pulse, Pulse)
    return Entry("h", "db-1", pulse=pulse, last=pulse.number(START + 699), **{"state": "live", **more})  # type: ignore[arg-type]


def test_points_are_spread_over_the_room_there_is() -> None:
    points: list[float | None] = [float(index) for index in range(POINTS)]
    assert spread(points, POINTS) == points
    assert spread(points, 30)[:2] == [0.5, 2.5]
    assert spread(points, 120)[:4] == [0.0, 0.0, 1.0, 1.0]
    assert len(spread(points[-10:], 30)) == 5
    assert spread([], 30) == []
    holed: list[float | None] = [None if 20 <= index < 32 else 1.0 for index in range(POINTS)]
    assert spread(holed, 10) == [1.0, 1.0, 1.0, None, None, 1.0, 1.0, 1.0, 1.0, 1.0]


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=POINTS), st.integers(1, 200))
def test_spread_points_are_never_more_than_asked_and_invent_nothing(points: list[float | None], count: int) -> None:
    shown = spread(points, count)
    assert len(shown) <= max(count, 0) or count == POINTS
    present = [point for point in points if point is not None]
    for point in shown:
        assert point is None or min(present) - 1e-9 <= point <= max(present) + 1e-9


def test_gaps_are_shaded_and_old_values_faint() -> None:
    held = beating(pulse=pulsing(silent=range(200, 420)))
    for width in (8, 20, 30):
        line = text(line_spans(held, "cpu", width, DEFAULT_LOOK))
        assert len(line) == width
        assert "░" in line
    assert "~" in text(line_spans(held, "cpu", 20, look(glyphs=ASCII)))
    assert "░" not in text(line_spans(beating(), "cpu", 20, DEFAULT_LOOK))
    assert line_spans(entry(), "cpu", 20, DEFAULT_LOOK) == []
    palette = DEFAULT_LOOK.palette
    assert vital_spans(beating(), "memory", DEFAULT_LOOK) == [("98%", palette.critical)]
    assert vital_spans(beating(state="offline"), "memory", DEFAULT_LOOK) == [("98%", palette.faint)]
    assert text(vital_spans(beating(), "temperature", look(glyphs=ASCII))) == "55C"


@pytest.mark.parametrize("width", [20, 38, 50, 78, 98, 118, 158, 198, 298])
def test_columns_fit_and_keep_what_matters(width: int) -> None:
    placed = place(columns(width), width - 2)
    keys = [each.column.key for each in placed]
    assert keys[:3] == ["host", "state", "worst"]
    if width >= 38:
        assert placed[-1].start + placed[-1].width <= width - 2
    if width >= 78:
        assert {"cpu", "cpu_past", "memory", "network", "network_past"} <= set(keys)
    if width >= 198:
        assert {"disk", "load", "temperature"} <= set(keys)
    before = {each.column.key for each in place(columns(max(20, width - 20)), max(18, width - 22))}
    assert before <= set(keys)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 12, 25, 100])
@pytest.mark.parametrize("size", [(80, 15), (120, 28), (200, 36), (300, 66)])
def test_cards_that_fit_fit(count: int, size: tuple[int, int]) -> None:
    grid = fitting(count, *size)
    if grid is None:
        grid = scrolling(size[0])
        assert -(-count // grid.across) * grid.height > size[1]
    else:
        assert -(-count // grid.across) * grid.height <= size[1]
    assert grid.across * grid.width <= size[0]


@pytest.mark.parametrize("width", [38, 40, 61, 89, 120])
@pytest.mark.parametrize("tall", [1, 2, 4])
def test_a_card_is_a_box_in_every_state(width: int, tall: int) -> None:
    reason = entry("nas", "offline", message="nas: " + "the name does not resolve " * 9, target="https://nas:8200")
    for each in (beating(), beating(state="offline", age=99), reason, beating(worst=("critical", "x" * 200))):
        for chosen in (False, True):
            lines = card(each, width, tall, DEFAULT_LOOK, chosen=chosen, focused=chosen)
            assert len(lines) == card_height(width, tall)
            assert {line.cell_length for line in lines} == {width}
    drawn = "".join(line.text for line in card(reason, width, tall, look(glyphs=ASCII)))
    assert drawn.isascii()
    assert "does not resolve" in drawn


def test_details_tell_the_reason_in_full_and_keep_a_line_for_the_facts() -> None:
    words = "https://nas:8200: the certificate is another one than the one pinned; `sysmon hosts show nas` tells more"
    gone = entry("nas", "offline", message=words, target="https://nas:8200", tags=("home",), age=300, time=START * 1000)
    lines = [line.text.strip() for line in details(gone, 60, 5, DEFAULT_LOOK, now=(START + 300) * 1000)]
    assert " ".join(lines[1:3]) == words
    assert "OFFLINE 5m" in lines[0]
    assert "last heard" in lines[0]
    assert "home" in lines[0]
    assert lines[3].startswith("from https://nas:8200")
    fires = [alert("h", "critical", f"alert {index}") for index in range(9)]
    lines = [line.text for line in details(beating(), 60, 5, DEFAULT_LOOK, now=START * 1000, alerts=fires)]
    assert len(lines) == 5
    assert "fullest / 40 %" in lines[-1]


# -- the form


def test_what_is_typed_becomes_settings() -> None:
    texts = {"name": "db-1", "target": "https://db-1:8200/", "tags": "prod, db", "interval": "5s", "token_file": ""}
    made = parse(texts, None, ["web-1"])
    assert made == HostSettings(name="db-1", target="https://db-1:8200", tags=("prod", "db"), interval=5.0)
    shown = {**texts, "target": "https://db-1:8200", "tags": "prod db"}
    assert {name: text for name, text in texts_of(made).items() if name in shown} == shown
    assert parse(texts_of(made), made, ["db-1"]) == made
    assert wants_pin(made)
    assert not wants_pin(HostSettings(name="x", target="ssh://box"))
    assert not wants_pin(HostSettings(name="x", target="https://x", ca="system"))
    pinned = HostSettings(name="db-1", target="https://db-1:8200", fingerprint="sha256:" + "a" * 64, ca="")
    moved = parse({**texts_of(pinned), "target": "https://db-2:8200"}, pinned, ["db-1"])
    assert changes(pinned, moved) == {"target": "https://db-2:8200", "fingerprint": ""}
    given = {**texts_of(pinned), "target": "https://db-2:8200", "fingerprint": "sha256:" + "b" * 64}
    assert parse(given, pinned, []).fingerprint == "sha256:" + "b" * 64


def test_the_form_has_everything_that_a_host_has() -> None:
    host = HostSettings(
        name="a", target="https://a:8200", interval=5.0, token_file="/t", fingerprint="", ca="system", cert="/c",
        key="/k", collectors=("cpu", "memory"), expected_off=True, tags=("x",),
    )  # fmt: skip
    texts = texts_of(host)
    assert parse(texts, None, []) == host
    assert texts["collectors"] == "cpu memory"
    assert {field.name for field in FORM} == set(HostSettings.__struct_fields__) - {"paused", "router", "devices"}
    back = parse({**texts, "collectors": "all", "expected_off": "No", "ca": "", "cert": "", "key": ""}, host, ["a"])
    assert (back.collectors, back.expected_off, back.ca, back.cert, back.key) == ((), False, "", "", "")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("name", "", "a host needs one"), ("name", "a b", "not allowed"), ("name", "web-1", "taken"),
     ("target", "", "where is it"), ("target", "https://me:secret@x", "keep secrets out"),
     ("interval", "0.1s", "too short"), ("interval", "soon", "not a duration"),
     ("expected off", "maybe", "neither yes nor no"), ("fingerprint", "abc", "fingerprint")],
)  # fmt: skip
def test_what_cannot_be_names_its_field(field: str, value: str, words: str) -> None:
    texts = {"name": "db-1", "target": "ssh://box", "tags": "", "interval": "1s", "token_file": ""}
    with pytest.raises(UsageError, match=words) as raised:
        parse({**texts, field.replace(" ", "_"): value}, None, ["web-1"])
    assert raised.value.message.startswith(f"{field}: ")


def test_intervals_are_written_as_they_are_read() -> None:
    for seconds in (1.0, 1.5, 60.0, 90.0, 3600.0, 5400.0, 86400.0):
        host = HostSettings(name="a", target="ssh://box", interval=seconds)
        assert parse(texts_of(host), host, ["a"]).interval == seconds


def test_who_answers_is_told_in_words() -> None:
    peer = Peer(target="https://x", fingerprint="sha256:" + "ab" * 32, words="one two", problem="it wants a token")
    told = introduction(peer)
    assert told[0] == ("words", "one two")
    assert [value for name, value in told if name in ("SHA-256", "")] == ["ab" * 16, "ab" * 16]
    assert ("says it is", "nothing yet: it wants a token first") in told
    assert all(one != two for one, two in pairwise(told))
    assert spans_width([(value, DEFAULT_LOOK.palette.text) for _, value in told[:2]]) > 0


# -- hubs that are not heard, and what other screens say


def behind_hubs() -> Model:
    """Three hosts behind one hub, that hub's own host, and one that is met directly."""
    model = Model(catalogue())
    where = "https://hub:8200"
    for name in ("a", "b", "c"):
        model.take(HostInfo(id=name * 16, name=name, target=where, via=["h"]))
    model.take(HostInfo(id="d" * 16, name="hub", target=where, via=["h"], hub="h"))
    model.take(HostInfo(id="e" * 16, name="alone", target="https://alone:8200"))
    return model


def say(model: Model, names: str, state: str, message: str = "") -> None:
    """Says of hosts how they are."""
    for name in names:
        model.take(Status(host=name * 16, state=state, message=message))  # type: ignore[arg-type]


def test_a_hub_that_is_not_heard_is_told_once_and_what_is_behind_it_is_calm() -> None:
    model = behind_hubs()
    say(model, "abcde", "offline", "https://hub:8200: connection refused")
    found = entries(model, 0, START, lambda name: None)
    states = {each.label: each.state for each in found}
    assert states == {**dict.fromkeys(("a", "b", "c", "hub"), "blind"), "alone": "offline"}
    told = [each.text for each in troubles(found, None, lost_hubs(model, 0))]
    assert told == [
        "lost contact with https://hub:8200 and the 4 hosts behind it: connection refused",
        "no contact with alone",
    ]
    words = "lost contact with https://hub:8200 and the 4 hosts behind it (a, b, c and hub)"
    model.take(Event(id="1", time=1, host="", kind="hub.lost", severity="critical", message=words))
    assert [each.text for each in lost_hubs(model, 0)] == [words]
    say(model, "d", "live")
    assert {each.state for each in entries(model, 0, START, lambda name: None) if each.label in "abc"} == {"offline"}
    assert lost_hubs(model, 0) == []


def test_a_hub_behind_our_recorder_is_called_by_the_name_of_its_host() -> None:
    model = Model(catalogue())
    where = "unix:///run/sysmon/sysmon.sock"
    model.take(HostInfo(id="0" * 16, hostname="here", target=where, via=["r"], hub="r"))
    model.take(HostInfo(id="d" * 16, name="hub2", target=where, via=["h", "r"], hub="h", origin="https://hub2:8200"))
    model.take(HostInfo(id="a" * 16, name="a", target=where, via=["h", "r"], origin="https://a:8200"))
    say(model, "0", "live")
    say(model, "ad", "offline", "refused")
    found = {each.label: each for each in entries(model, 0, START, lambda name: None)}
    assert (found["a"].state, found["hub2"].state, found["here"].state) == ("blind", "blind", "live")
    assert [each.text for each in lost_hubs(model, 0)] == ["lost contact with hub2 and the 2 hosts behind it: refused"]
    shown = "\n".join(line.text for line in details(found["a"], 100, 7, DEFAULT_LOOK, now=0, labels=hub_labels(model)))
    assert "from https://a:8200" in shown
    assert "through hub2, here" in shown


def test_a_host_never_reached_that_may_be_off_is_calm_wherever_that_is_known_from() -> None:
    model = Model(catalogue())
    model.take(Status(host="", name="nas", state="offline", message="refused", expected_off=True, tags=["lab"],
                      via=["h"]))  # fmt: skip
    model.take(Status(host="", name="tv", state="offline", message="refused"))
    settings = HostSettings(name="tv", target="https://tv:8200", expected_off=True)
    found = entries(model, 0, START, {"tv": settings}.get)
    assert [(each.label, each.state, each.mark) for each in found] == [
        ("nas", "off", "unknown"),
        ("tv", "off", "unknown"),
    ]
    assert found[0].tags == ("lab",)
    assert troubles(found, None) == ()
    assert "critical" not in {severity for _, _, severity in counts(found)}


def test_details_say_no_more_than_the_first_line() -> None:
    model = Model(catalogue())
    script = Script(load=0.95, faults=(Fault(collector="smart", kind="timeout", message="no answer within 5 s"),))
    for second in range(20):
        model.take(script.frame(second), second)
    host = model.hosts[script.host]
    model.take(Status(host=script.host, state="live"))
    everything = findings(host.state)
    assert {each.severity for each in everything} >= {"warning", "info"}
    for each in everything[:-1]:
        model.take(AlertState(host=script.host, rule="r", key=each.key, status="acknowledged", message="seen"))
    (shown,) = entries(model, 19, START + 19, lambda name: None)
    assert [each.text for each in troubles([shown], None)] == [f"{shown.label}: smart: no answer within 5 s"]
    lines = details(shown, 200, 12, DEFAULT_LOOK, now=0, state=host.state, seen=list(host.alerts.values()))
    text = "\n".join(line.text for line in lines)
    assert "no answer within" in text
    assert not any(each.text in text for each in everything[:-1])
