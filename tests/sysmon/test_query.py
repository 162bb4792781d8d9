"""The process query language: what it means, what it refuses and what it says then."""

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sysmon._queryfields import ALIASES, FIELDS
from sysmon._regex import compile_bounded
from sysmon.errors import UsageError
from sysmon.frame import ProcessRow
from sysmon.query import Context, Query, QueryError, attempt, complete, parse

NGINX = ProcessRow(
    pid=123, ppid=1, started=1000.0, user="www", name="nginx", command="nginx: worker process", state="S",
    cpu_time=70.0, memory=2 << 30, threads=4, nice=5, cpu=0.35, read_rate=3e6, write_rate=0.0, container="web",
    unit="nginx.service",
)  # fmt: skip
CRON = ProcessRow(
    pid=7, ppid=1, started=10.0, user="root", name="cron", command="/usr/sbin/cron -f", state="D", cpu=0.0
)
KTHREAD = ProcessRow(pid=2, user="root", name="kthreadd", kernel=True)
ROWS = [NGINX, CRON, KTHREAD]
CONTEXT = Context(memory=8 << 30, boottime=8200.0, now=1_700_000_000_000)


def found(text: str) -> list[str]:
    return [row.name for row in parse(text).filter(ROWS, CONTEXT)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["nginx", "cron", "kthreadd"]),
        ("cpu>20 and user=www and not name~cron", ["nginx"]),
        ("cpu>20", ["nginx"]),
        ("cpu > 20 %", ["nginx"]),
        ("cpu>=35", ["nginx"]),
        ("cpu<1", ["cron"]),
        ("cpu!=0", ["nginx"]),
        ("mem>1GiB", ["nginx"]),
        ("mem > 1 GiB", ["nginx"]),
        ("memory>25%", []),
        ("memory>=25%", ["nginx"]),
        ("age>2h", ["cron", "kthreadd"]),
        ("age = 2 h", ["nginx"]),
        ("started<'2h ago'", ["cron", "kthreadd"]),
        ("io>2MiB", ["nginx"]),
        ("read>1MiB/s or write>1MiB/s", ["nginx"]),
        ("time>1m", ["nginx"]),
        ("state=D", ["cron"]),
        ("state=d or state=sleeping", ["nginx", "cron"]),
        ("state!=blocked", ["nginx", "kthreadd"]),
        ("kernel=yes", ["kthreadd"]),
        ("kernel!=yes", ["nginx", "cron"]),
        ("name=NGINX", ["nginx"]),
        ("name==nginx", ["nginx"]),
        ("name!=nginx", ["cron", "kthreadd"]),
        ("name~^n.*x$", ["nginx"]),
        ("name ~ (nginx|cron) user=root", ["cron"]),
        ("(name~(nginx|cron)) root", ["cron"]),
        ("name!~n", ["kthreadd"]),
        ("user!~root", ["nginx"]),
        ("WORKER", ["nginx"]),
        ("12", ["nginx"]),
        ("root cron", ["cron"]),
        ("root and !cron", ["kthreadd"]),
        ("!root", ["nginx"]),
        ("not (cron or nginx)", ["kthreadd"]),
        ("nginx || cron && root", ["nginx", "cron"]),
        ("nginx or cron and nginx", ["nginx"]),
        ('"worker process"', ["nginx"]),
        ('command="nginx: worker process"', ["nginx"]),
        ('"and"', []),
        ("container=web unit=nginx.service", ["nginx"]),
        ('container=""', ["cron", "kthreadd"]),
        ("pid=7", ["cron"]),
        ("ppid=1 nice>0", ["nginx"]),
        ("threads>=4", ["nginx"]),
        ("gpu>0", []),
        ("not gpu>0", ["nginx", "cron", "kthreadd"]),
        ("/usr/sbin", ["cron"]),
        (r"command~\bworker\b", ["nginx"]),
        (r"""command~'n\S+:\sworker'""", ["nginx"]),
        (r"""name='a\'b' or name="n\\" or cron""", ["cron"]),
    ],
)
def test_meaning(text: str, names: list[str]) -> None:
    assert found(text) == names


def test_unknown_values_fulfil_no_comparison() -> None:
    assert found("cpu<1 or cpu>=0") == ["nginx", "cron"]
    assert [row.name for row in parse("age>0s or mem>1% or started>2001-01-01").filter(ROWS)] == []


@pytest.mark.parametrize(
    ("text", "position", "message", "hint"),
    [
        ("cpu>20 and foo=1", 11, "'foo' is not a field", "fields are"),
        ("usr=1", 0, "'usr' is not a field", "did you mean 'user'?"),
        ("user>www", 4, "user cannot be compared by >", "= != ~ !~"),
        ("pid~1", 3, "pid cannot be compared by ~", "> >="),
        ("cpu>fast", 4, "'fast' is not a value", "cpu>20"),
        ("mem>1XiB", 4, "'1XiB' is not a value", "memory>1GiB"),
        ("age>soon", 4, "'soon' is not a duration", "age>2h"),
        ("started>soon", 8, "'soon' is not a moment", "started>03:12"),
        ("state=quick", 6, "'quick' is not a state", "state=running"),
        ("kernel=perhaps", 7, "neither yes nor no", "kernel=no"),
        ("name~[a", 5, "not a regular expression: unterminated character set", "backslash"),
        ("name~(a+)+$", 9, "a repeat inside a repeat", "outer repeat"),
        ("cpu>20)", 6, "')' is not wanted here", "parenthesis"),
        ("a and or b", 6, "'or' joins two terms", "quotes"),
        (">20", 0, "'>' is not wanted here", "field"),
        ("cpu>)", 4, "a value is wanted here", ""),
        ('""', 0, "nothing is looked for", "word"),
    ],
)
def test_mistakes(text: str, position: int, message: str, hint: str) -> None:
    with pytest.raises(QueryError) as raised:
        parse(text)
    error = raised.value
    assert (error.position, error.incomplete) == (position, False)
    assert error.message.startswith(f"filter:{position + 1}: ")
    assert message in error.message
    assert hint in error.hint


@pytest.mark.parametrize("text", ["cpu>", "cpu>20 and", "cpu > ", "(cpu>20", "not", 'name="a', "a or", "(", "!"])
def test_a_text_still_being_typed_is_only_incomplete(text: str) -> None:
    error = attempt(text)
    assert isinstance(error, QueryError)
    assert isinstance(error, UsageError)
    assert error.incomplete


def test_each_step_of_typing_gives_a_query_or_an_error() -> None:
    text = "cpu>20 and user=www and not name~(cron|at)d"
    assert all(isinstance(attempt(text[:end]), Query | QueryError) for end in range(len(text) + 1))
    assert isinstance(attempt(text), Query)


@given(st.one_of(st.text(max_size=60), st.text("cpu>name~=!()<\"'\\ andor1%GiB*+[|]?{}.^$", max_size=40)))
def test_any_text_is_a_query_or_a_usage_error(text: str) -> None:
    try:
        query = parse(text)
    except UsageError as error:
        assert error.message
    else:
        assert query.filter(ROWS, CONTEXT) == [row for row in ROWS if query.matches(row, CONTEXT)]


@given(
    st.sampled_from(["age", "cpu", "mem", "started", "time", "io", "pid"]),
    st.text("0123456789.e+-:% dhmsGiB", max_size=30),
)
def test_any_value_is_a_number_or_a_usage_error(field: str, value: str) -> None:
    result = attempt(f'{field}>"{value}"')
    if isinstance(result, Query):
        result.filter(ROWS, CONTEXT)


@pytest.mark.parametrize("text", ["(" * 5000, "!" * 1999, "not " * 499 + "a", "(" * 60 + "a" + ")" * 60, "a" * 3000])
def test_depth_and_length_are_bounded(text: str) -> None:
    with pytest.raises(QueryError):
        parse(text)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$", "(a?){30}a{30}", "a?" * 30 + "a" * 30, "(a|a)" * 40 + "$",
                                     r"(a*)\1", "(?=a)a", "a*a*a*a*a*$", "(?x)#[\n(a+)+$", "(?#[)(a+)+$", "((a*))*",
                                     "(a{1,9}){1,9}$"])  # fmt: skip
def test_expressions_that_can_take_for_ever_are_refused(pattern: str) -> None:
    with pytest.raises(QueryError):
        parse('command~"' + pattern + '"')


@given(st.text("ab()|*+?{}1,29[]^$.\\", max_size=14))
def test_no_accepted_expression_takes_long_on_a_hostile_text(pattern: str) -> None:
    query = attempt(f"command~{pattern}") if pattern else parse("a")
    if isinstance(query, Query):
        began = time.process_time()
        query.matches(ProcessRow(pid=1, command="ab" * 1000 + "a" * 2000 + "!"), CONTEXT)
        assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("pattern", "searched"), [("abc", 4096), ("a.*b", 4096), ("a.*b.*c", 322), ("a.*b.*c.*d", 76), ("x?a.*b", 4096)]
)
def test_the_more_repeats_the_less_is_searched(pattern: str, searched: int) -> None:
    assert compile_bounded(pattern)[1] == searched


def test_an_equal_text_is_an_equal_query_and_the_empty_one_is_false() -> None:
    assert parse("cpu>1") == parse("cpu>1") != parse("cpu>2")
    assert parse("cpu>1") and not parse("  ")
    assert len({parse("a"), parse("a")}) == 1


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("", "name"),
        ("c", "command"),
        ("co", "command"),
        ("cpu", "cpu>"),
        ("cpu>20 a", "and"),
        ("cpu>20 and us", "user"),
        ("state=ru", "running"),
        ("user=w", "www"),
        ("kernel=", "yes"),
        ("unit=", '"a b"'),
    ],
)
def test_completion_begins_with(text: str, first: str) -> None:
    assert complete(text, values={"user": ["www"], "unit": ["a b"]})[0] == first


def test_completion_looks_only_before_the_cursor() -> None:
    assert "cpu" in complete("cp and user=www", 2)
    assert complete("foo=b") == []


@given(st.text('cpuname =>~()"and', max_size=20), st.integers(-3, 30))
def test_completion_of_any_text(text: str, cursor: int) -> None:
    assert all(complete(text, cursor))


def test_the_page_for_users_names_each_field_as_it_is(checkout: Path) -> None:
    page = (checkout / "docs" / "queries.md").read_text("utf-8")
    for field in FIELDS.values():
        others = ", ".join(f"`{alias}`" for alias, name in ALIASES.items() if name == field.name)
        assert f"| `{field.name}`{f' ({others})' if others else ''} | {field.help} |" in page
    listed = re.findall(
        r"^\| `(\w+)`(?: \([^)]*\))? \| [^|]* \|$", page.split("## Fields")[1].split("States:")[0], re.M
    )
    assert listed == list(FIELDS)


def test_the_examples_of_the_page_are_queries(checkout: Path) -> None:
    page = (checkout / "docs" / "queries.md").read_text("utf-8")
    examples = [line.strip() for line in page.splitlines() if line.startswith("    ")]
    for row in re.findall(r"^\| (.*) \| .* \|$", page.split("## Operators")[0], re.M):
        examples += re.findall(r"`([^`]+)`", row)
    assert len(examples) > 10
    for example in examples:
        assert parse(example)


def test_each_sample_and_example_of_a_field_is_one_of_its_values() -> None:
    for field in FIELDS.values():
        for value in (field.sample, *field.examples):
            assert parse(f"{field.name}{field.operators[0]}{value}").filter(ROWS, CONTEXT) is not None
