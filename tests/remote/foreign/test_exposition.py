"""The text that Prometheus reads: what is valid is read as meant, what is not is refused, whatever it is."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.foreign import exposition
from remote.foreign.exposition import Sample, escape_help, escape_label, parse, write_number
from sysmon.errors import MalformedInput
from sysmon.frame import clean_text

PAGE = Path(__file__).parents[2] / "fixtures" / "exporters" / "node_exporter-1.5.0.txt"

names = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,20}", fullmatch=True)
label_names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,10}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
values = st.one_of(st.integers(-(2**70), 2**70), st.floats())
series = st.lists(
    st.tuples(names, st.dictionaries(label_names, texts, max_size=4), values, st.none() | st.integers(0, 10**15)),
    max_size=20,
    unique_by=lambda one: (one[0], frozenset(one[1].items())),
)


def written(value: str) -> str:
    """Escapes as the format says, and nothing else."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def one(text: str) -> Sample:
    """The only sample of a page."""
    (found,) = parse(text).samples
    return found


@given(series)
def test_what_is_written_is_read(lines: list[tuple[str, dict[str, str], float, int | None]]) -> None:
    text = "".join(
        name
        + "{"
        + ",".join(f'{key}="{written(label)}"' for key, label in labels.items())
        + "} "
        + write_number(value)
        + ("" if stamp is None else f" {stamp}")
        + "\n"
        for name, labels, value, stamp in lines
    )
    found = parse(text).samples
    assert [(each.name, each.labels) for each in found] == [(name, labels) for name, labels, _, _ in lines]
    for each, (_, _, value, stamp) in zip(found, lines, strict=True):
        assert each.value == value or (math.isnan(each.value) and math.isnan(value))
        assert each.timestamp == (None if stamp is None else stamp / 1000)


@given(st.text(), st.booleans())
def test_anything_else_is_refused_in_words(text: str, openmetrics: bool) -> None:
    try:
        parse(text, openmetrics=openmetrics)
    except MalformedInput as error:
        assert error.message


@given(st.binary())
def test_bytes_that_are_no_text_are_refused(data: bytes) -> None:
    try:
        parse(data)
    except MalformedInput as error:
        assert error.message


@given(st.data())
def test_a_page_cut_anywhere_never_gives_a_wrong_number(data: st.DataObject) -> None:
    text = PAGE.read_text()
    whole = {(each.name, tuple(each.labels.items())): each.value for each in parse(text).samples}
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    try:
        found = parse(cut).samples
    except MalformedInput:
        return
    assert all(whole[each.name, tuple(each.labels.items())] == each.value for each in found)


def test_a_real_page() -> None:
    page = parse(PAGE.read_bytes(), grouped=True)
    values = {each.name: each.value for each in page.samples}
    assert values["node_load1"] == 0.22
    assert page.types["node_load1"] == "gauge"
    assert page.helps["node_load1"] == "1m load average."
    assert len(page.samples) > 500


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a 1\n", 1),
        ("a\t-1.5e3 \n", -1500.0),
        ("a{} .5\n", 0.5),
        ("a +Inf\n", math.inf),
        ("a -inf\n", -math.inf),
        ('  a { x = "y" , } 3 1234\n', 3),
        ("a{}3\n", 3),
        ("a 18446744073709551617\n", 18446744073709551617),
    ],
)
def test_numbers(text: str, value: float) -> None:
    assert one(text).value == value


def test_not_a_number_is_one_value() -> None:
    assert math.isnan(one("a NaN\n").value)


def test_escapes_and_order_of_labels() -> None:
    sample = one('a{path="C:\\\\DIR\\"x\\"\\n",b="{},="} 1\n')
    assert sample.labels == {"path": 'C:\\DIR"x"\n', "b": "{},="}


def test_comments_types_and_helps() -> None:
    page = parse("# just words\n#\n#HELPER\n# HELP a of \\\\ and \\n\n# TYPE a counter\na 1\n# TYPE b gauge\n\nb 2\n")
    assert page.helps == {"a": "of \\ and \n"}
    assert page.types == {"a": "counter", "b": "gauge"}


@pytest.mark.parametrize(
    "text",
    [
        "a 1",  # cut off
        "a\n",
        "a 1_000\n",
        "a 0x1p3\n",
        "a \u0661\n",
        "a infinite\n",
        "a 1 2 3\n",
        "a 1\r\n",
        "1a 1\n",
        "a-b 1\n",
        'a{x="\\t"} 1\n',
        'a{x="y} 1\n',
        'a{x="y"\n',
        'a{x="y" z="w"} 1\n',
        'a{x="y",,} 1\n',
        'a{x="y",x="z"} 1\n',
        'a{x:y="z"} 1\n',
        "a 1\na 2\n",
        'a{x="1",y="2"} 1\na{y="2",x="1"} 2\n',
        "# TYPE a sparkline\n",
        "# TYPE a\n",
        "# TYPE a gauge\n# TYPE a gauge\n",
        "# HELP a x\n# HELP a y\n",
        "a 1\n# TYPE a gauge\n",
        "a" * (exposition.MAX_LINE + 1) + " 1\n",
    ],
)
def test_what_is_not_the_format(text: str) -> None:
    with pytest.raises(MalformedInput, match=r"line \d|cut off"):
        parse(text)


def test_families_stand_together_where_asked() -> None:
    text = 'a 1\nb 1\na{x="y"} 1\n'
    assert len(parse(text).samples) == 3
    with pytest.raises(MalformedInput, match=r"line 3: lines of one name are not together"):
        parse(text, grouped=True)


def test_histograms_are_one_family() -> None:
    text = '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n'
    assert len(parse(text, grouped=True).samples) == 4
    assert len(parse(text + "# EOF\n", openmetrics=True).samples) == 4


def test_openmetrics() -> None:
    text = (
        '# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds "quoted" \\"\n'
        'a_seconds_total{x="y"} 1.5 1700000000.25 # {trace_id="abc"} 0.5 1700000000.2\n'
        '# TYPE i info\ni_info{v="1"} 1\n# EOF\n'
    )
    page = parse(text, openmetrics=True)
    assert page.samples[0] == Sample("a_seconds_total", {"x": "y"}, 1.5, 1700000000.25)
    assert page.types == {"a_seconds": "counter", "i": "info"}


@pytest.mark.parametrize(
    "text",
    [
        "a 1\n",
        "# EOF\n",
        "# words\n# EOF\n",
        "a  1\n# EOF\n",
        "\n# EOF\n",
        "# TYPE a counter\na 1\n# EOF\n",
        "# TYPE a counter\na_total -1\n# EOF\n",
        "# TYPE a counter\na_total NaN\n# EOF\n",
        "# TYPE a untyped\n# EOF\n",
        "# TYPE a gauge\na 1 # {} 1\n# EOF\n",
        "# UNIT a_bytes seconds\n# EOF\n",
        "# EOF\na 1\n",
    ],
)
def test_what_is_not_openmetrics(text: str) -> None:
    if text == "# EOF\n":
        assert parse(text, openmetrics=True).samples == []
        return
    with pytest.raises(MalformedInput):
        parse(text, openmetrics=True)


def test_bounds() -> None:
    with pytest.raises(MalformedInput, match="longer than"):
        parse("#" * (exposition.MAX_PAGE + 1))
    many = "".join(f'a{{x="{number}"}} 1\n' for number in range(12_000))
    assert len(parse(many).samples) == 12_000
    with pytest.raises(MalformedInput, match="line 10001: more samples"):
        parse(many, max_samples=10_000)
    assert parse(many, wanted=lambda name: name == "b").samples == []


@pytest.mark.parametrize(
    "line",
    [
        "a" + " " * 60_000 + "x",
        "a " + "1" * 60_000 + "x",
        "a{" + " " * 60_000 + "x",
        "a{" + 'x="y",' * 9_000 + "!",
        'a{x="' + '\\"' * 30_000,
        "a 1" + " " * 60_000 + "x",
        "# HELP " + " " * 60_000 + "-",
    ],
)
def test_lines_made_to_be_slow_are_not(line: str) -> None:
    # Time that grew with the square of the length would run into the test's own deadline.
    for openmetrics in (False, True):
        for _ in range(20):
            with pytest.raises(MalformedInput):
                parse(line + "\n", openmetrics=openmetrics)


@given(texts)
def test_labels_and_helps_survive_their_escapes(text: str) -> None:
    label = escape_label(text)
    found = one(f'a{{x="{label}"}} 1\n').labels["x"]
    harmless = text.isprintable() and clean_text(text) == text
    assert found == (text if harmless else found)
    assert "\n" not in label and "\x1b" not in label and "\u202e" not in label
    for openmetrics in (False, True):
        words = escape_help(text, openmetrics=openmetrics)
        page = parse(f"# HELP a {words}\n" + ("# EOF\n" if openmetrics else ""), openmetrics=openmetrics)
        if harmless and (openmetrics or '"' not in text):
            assert page.helps["a"] == text
