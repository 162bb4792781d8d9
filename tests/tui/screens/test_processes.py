"""The Processes screen as its users drive it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import pytest

from sysmon.frame import Fault, GpuRow, ProcessRow, Tables
from tests.tui.screens.processstage import HOUSEHOLD, FakeActions, process, stage
from tests.tui.widgets.spies import spy_layouts
from tui.glyphs import ASCII
from tui.keys import KEYS as APP_KEYS
from tui.keys import label
from tui.keys_processes import KEYS
from tui.screens.signal import SignalDialog
from tui.widgets.processdetails import wrapped
from tui.widgets.processlist import ProcessList
from tui.widgets.querybar import QueryInput, completed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


def changed(pid: int, **values: object) -> list[ProcessRow]:
    """The household, one of its processes otherwise."""
    return [msgspec.structs.replace(row, **values) if row.pid == pid else row for row in HOUSEHOLD]


# -- sorting


async def test_busiest_first_and_threads_of_the_kernel_hidden() -> None:
    async with stage() as on:
        assert on.pids == [30, 11, 20, 12, 10, 1]
        await on.press("K")
        assert 2 in on.pids
        assert "[kthreadd]" in on.text


@pytest.mark.parametrize(
    ("key", "first", "arrow"), [("M", 20, "MEM▼"), ("N", 1, "PID▲"), ("T", 20, "TIME▼"), ("P", 1, "CPU%▲")]
)
async def test_letters_sort(key: str, first: int, arrow: str) -> None:
    async with stage() as on:
        await on.press(key)
        # The column that it was sorted by already is reversed.
        assert on.pids[0] == first
        assert arrow in on.text


async def test_reverse_and_the_columns_beside() -> None:
    async with stage() as on:
        await on.press("I")
        assert on.pids[0] == 1
        await on.press("greater_than_sign")
        assert on.screen.listing.order.column == "memory"
        assert on.pids[0] == 20
        await on.press("less_than_sign", "less_than_sign", "less_than_sign")
        assert on.screen.listing.order.column == "user"


async def test_a_click_on_a_title_sorts() -> None:
    async with stage() as on:
        line = next(line for line in on.text.split("\n") if "COMMAND" in line)
        await on.pilot.click(ProcessList, offset=(line.index("USER"), 1))
        await on.pilot.pause()
        assert on.screen.listing.order.column == "user"
        assert on.items[0].row.user == "app"


async def test_the_cursor_stays_on_its_process_and_the_order_is_held_for_a_moment() -> None:
    async with stage() as on:
        await on.press("down", "down")
        assert on.cursor == 20
        before = on.pids
        await on.tick(changed(20, cpu=3.0))
        assert on.pids == before
        assert "order held" in on.text
        assert on.cursor == 20
        await on.tick(seconds=5)
        assert on.pids[0] == 20
        assert on.cursor == 20
        assert "order held" not in on.text


async def test_ticks_change_no_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage() as on:
        passes = spy_layouts(monkeypatch)
        await on.tick(changed(11, cpu=2.0))
        await on.press("down", "t")
        await on.tick()
        assert passes == []


# -- cells


async def test_cells_say_what_is_known_and_only_that() -> None:
    rows = [
        process(7, cpu=None, memory=8 << 30, read_rate=2048.0, write_rate=None, nice=-5, threads=12, cpu_time=7384.0),
        process(8, cpu=12.0, name="a[bold]b", command="a[bold]b [red]x[/red]"),
    ]
    async with stage(rows) as on:
        line = next(line for line in on.text.split("\n") if "p7" in line)
        cells = line.split()
        assert [each for each in cells if each in ("–", "8.0G", "50.0", "2.0K", "-5", "12", "2h03m")] == [
            "–", "8.0G", "50.0", "2h03m", "2.0K", "–", "12", "-5",
        ]  # fmt: skip
        assert "1200" in on.text
        # Names of processes are no markup.
        assert "a[bold]b [red]x[/red]" in on.text


async def test_of_the_whole_machine_is_labelled() -> None:
    async with stage() as on:
        await on.press("C")
        assert "CPU/8" in on.text
        assert "11.2" in on.text
        await on.press("C")
        assert "90.0" in on.text


async def test_what_started_just_now_is_marked_for_a_moment() -> None:
    async with stage() as on:
        booted = on.screen.view
        assert booted is not None
        assert booted.state.frame is not None
        now = booted.state.frame.monotonic / 1e9
        await on.tick([*HOUSEHOLD, process(40, started=now)])
        assert [item.row.pid for item in on.items if item.new] == [40]
        await on.tick(seconds=10)
        assert not any(item.new for item in on.items)


async def test_a_column_for_gpus_where_any_process_uses_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage(size=(200, 50)) as on:
        assert " GPU" not in on.text
        original = on.script.tables

        def tables(second: int) -> Tables:
            made = original(second)
            made.gpus = [GpuRow(name="0", processes=[(20, 3 << 30), (30, None)])]
            return made

        monkeypatch.setattr(on.script, "tables", tables)
        await on.tick()
        assert " GPU" in on.text
        assert "3.0G" in next(line for line in on.text.split("\n") if "postgres -D" in line)


# -- tree and groups


async def test_the_tree_folds_and_unfolds() -> None:
    async with stage() as on:
        await on.press("t")
        assert on.pids == [1, 30, 10, 11, 12, 20]
        await on.go_to(10)
        await on.press("left")
        assert on.pids == [1, 30, 10, 20]
        folded = on.items[2]
        assert folded.row.cpu == pytest.approx(0.41)
        assert "nginx  +2" in on.text
        await on.press("left")
        assert on.cursor == 1
        await on.go_to(10)
        await on.press("right")
        assert 11 in on.pids
        await on.press("E")
        assert on.pids == [1]
        await on.press("E", "f5")
        assert on.pids[0] == 30


async def test_a_click_on_the_mark_of_a_branch_folds_it() -> None:
    async with stage() as on:
        await on.press("t")
        line = next(y for y, line in enumerate(on.text.split("\n")) if "nginx: master" in line)
        column = on.text.split("\n")[line].index("▾", 50)
        await on.pilot.click(offset=(column, line))
        await on.pilot.pause()
        assert on.pids == [1, 30, 10, 20]
        line = next(y for y, line in enumerate(on.text.split("\n")) if "nginx  +2" in line)
        await on.pilot.click(offset=(column, line))
        await on.pilot.pause()
        assert 11 in on.pids
        # Beside it a click is a click: it moves the cursor and folds nothing.
        await on.pilot.click(offset=(column + 6, line))
        await on.pilot.pause()
        assert 11 in on.pids


async def test_groups_cycle_and_unfold() -> None:
    async with stage() as on:
        await on.press("o")
        assert [item.group for item in on.items] == ["web", "nginx.service", "no unit"]
        assert "by unit" in on.text
        await on.press("down", "enter")
        assert on.pids == [0, 0, 11, 12, 10, 0]
        await on.press("down", "left")
        assert on.items[on.screen.table.cursor_index].group == "nginx.service"
        await on.press("o")
        assert [item.group for item in on.items] == ["web", "this host"]
        await on.press("o")
        assert {item.group for item in on.items} == {"app", "www", "postgres", "root"}
        await on.press("o")
        assert on.pids[0] == 30


# -- filter


async def test_a_filter_counts_while_it_is_typed_and_stays_until_it_is_dropped() -> None:
    async with stage() as on:
        await on.press("slash")
        await on.write("user=www")
        assert on.pids == [11, 12]
        assert "2 of 6" in on.text
        await on.write(" and cpu>")
        # No query yet: the last good one counts, and what is missing is said.
        assert on.pids == [11, 12]
        assert "cpu> wants a value" in on.text
        await on.press("enter")
        assert isinstance(on.app.focused, QueryInput)
        await on.write("20")
        await on.press("enter")
        assert on.pids == [11]
        assert on.screen.table.has_focus
        assert "user=www and cpu>20" in on.text.split("\n")[2]
        await on.press("escape")
        assert len(on.pids) == 6


async def test_the_beginning_of_a_joining_word_is_no_word_to_look_for() -> None:
    async with stage() as on:
        await on.press("slash")
        for text in ("nginx", " ", "a", "n"):
            await on.write(text)
            assert on.pids == [11, 12, 10], text
        await on.press("enter")
        assert on.pids == []
        assert "none of 6 processes" in on.text


async def test_escape_leaves_the_filter_as_it_was() -> None:
    async with stage() as on:
        await on.press("f4")
        await on.write("nginx")
        await on.press("enter", "slash", "ctrl+u")
        assert len(on.pids) == 6
        await on.write("postgres")
        assert on.pids == [20]
        await on.press("escape")
        assert on.pids == [11, 12, 10]


async def test_tab_completes_and_up_recalls() -> None:
    async with stage() as on:
        await on.press("slash")
        field = on.screen.query_one(QueryInput)
        await on.write("us")
        await on.press("tab")
        assert field.value == "user"
        await on.write("=w")
        await on.press("tab")
        assert field.value == "user=www"
        await on.press("enter", "slash", "ctrl+u")
        await on.write("node")
        await on.press("enter", "slash", "ctrl+u", "up")
        assert field.value == "node"
        await on.press("up", "up")
        assert field.value == "user=www"
        await on.press("down", "down")
        assert field.value == ""


def test_a_candidate_takes_the_place_of_the_word_before_the_cursor() -> None:
    assert completed("cpu>20 and us", 13, "user") == ("cpu>20 and user", 15)
    assert completed("user=w and x", 6, "www") == ("user=www and x", 8)
    assert completed("", 0, "name") == ("name", 4)


async def test_a_filtered_tree_keeps_ancestors() -> None:
    async with stage() as on:
        await on.press("t", "slash")
        await on.write("user=www")
        await on.press("enter")
        assert [(item.row.pid, item.dim) for item in on.items] == [(1, True), (10, True), (11, False), (12, False)]
        assert "2 of 6" in on.text
        await on.press("left")
        assert len(on.pids) == 4


async def test_in_a_filtered_tree_only_what_matches_or_was_moved_to_is_signalled() -> None:
    async with stage(actions=FakeActions()) as on:
        await on.press("t", "slash")
        await on.write("user=www and cpu>20")
        await on.press("enter")
        assert on.pids == [1, 10, 11]
        assert on.cursor == 11, "not the ancestor above it"
        await on.press("x")
        assert isinstance(on.app.screen, SignalDialog)
        await on.press("escape")
        # What matched no longer does, but stays above what does: nobody has chosen it as such.
        await on.tick([*HOUSEHOLD[:3], process(11, 10, user="www"), process(13, 11, user="www", cpu=0.5)])
        assert [(item.row.pid, item.dim) for item in on.items][-2:] == [(11, True), (13, False)]
        assert on.cursor == 11
        await on.press("x")
        assert on.app.screen_stack[-1] is on.screen
        assert "p11 (11) does not match the filter" in on.text
        await on.press("down", "up")
        assert on.cursor == 11
        await on.press("x")
        assert isinstance(on.app.screen, SignalDialog), "it was moved to"


# -- follow


async def test_following_keeps_to_the_process_and_tells_its_end() -> None:
    rows = [*HOUSEHOLD, *(process(pid, cpu=0.5) for pid in range(100, 180))]
    async with stage(rows, size=(120, 24)) as on:
        await on.go_to(12)
        await on.press("F")
        assert "following nginx 12" in on.text
        await on.tick([row if row.pid != 12 else msgspec.structs.replace(row, cpu=5.0) for row in rows])
        assert on.pids[0] == 12
        assert on.cursor == 12
        await on.press("M")
        assert on.cursor == 12
        assert "nginx: worker" in on.text
        await on.press("slash")
        await on.write("postgres")
        await on.press("enter")
        assert on.pids == [12, 20] or on.pids == [20, 12]
        assert on.cursor == 12
        await on.tick([row for row in rows if row.pid != 12])
        await on.tick(seconds=3)
        assert "nginx 12 ended 3 s ago" in on.text
        assert on.cursor == 12
        await on.press("down" if on.pids[0] == 12 else "up")
        assert on.screen.listing.followed is None
        assert on.pids == [20]


# -- details


async def test_details_beside_the_list_follow_the_cursor() -> None:
    async with stage(size=(200, 50)) as on:
        await on.go_to(11)
        await on.press("enter")
        text = on.text
        for words in ("nginx 11", "parents", "systemd", "not permitted, or not counted", "nginx.service"):
            assert words in text, words
        assert on.screen.table.has_focus
        await on.press("down")
        detail = on.screen.details.detail
        assert detail is not None
        assert detail.row.pid == on.cursor
        await on.press("escape")
        assert not on.screen.details.display


async def test_details_over_the_list_keep_to_their_process_and_its_course() -> None:
    async with stage(size=(80, 24)) as on:
        for used in (0.1, 0.5, 1.5):
            await on.tick(changed(20, cpu=used))
        await on.go_to(20)
        await on.press("enter")
        assert "COMMAND" not in on.text
        assert on.screen.details.has_focus
        detail = on.screen.details.detail
        assert detail is not None
        assert detail.points == [0.2, 0.1, 0.5, 1.5]
        assert "top: 200 %" in on.text
        await on.tick([row for row in HOUSEHOLD if row.pid != 20])
        assert "ended" in on.text
        await on.press("end")
        assert "parents" in on.text
        await on.press("enter")
        assert on.screen.table.display
        assert on.screen.table.has_focus


async def test_details_list_children_and_wrap_the_command() -> None:
    rows = changed(10, command="nginx " + "--option " * 40)
    async with stage(rows, size=(160, 60)) as on:
        await on.go_to(10)
        await on.press("enter")
        assert "children  2" in on.text
        assert on.text.count("--option --option") >= 6


def test_long_words_are_broken_and_wide_ones_counted() -> None:
    assert wrapped("aaaa bbbb cccc", 9) == ["aaaa bbbb", "cccc"]
    assert wrapped("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]
    assert wrapped("日本語日本語", 5) == ["日本", "語日", "本語"]
    assert wrapped("anything", 0) == []
    assert wrapped("日", 1) == []


# -- the past, faults, hosts


async def test_the_past_says_which_moment_and_how_few() -> None:
    actions = FakeActions()
    async with stage(history=True, actions=actions) as on:
        await on.press("left_square_bracket")
        await on.until(lambda: on.screen.view is not None and on.screen.view.status.state == "replay")
        await on.until(lambda: "as of" in on.text)
        assert "top 7 by cpu, memory, I/O" in on.text
        await on.press("x")
        assert actions.calls == []
        assert "this is the past" in on.text
        await on.press("enter")
        assert on.screen.details.detail is not None
        assert on.screen.details.detail.points == []


async def test_nothing_yet_and_faults_are_said() -> None:
    async with stage(start=False) as on:
        assert "collecting" in on.text
        on.script.faults = (Fault("processes", "denied", "/proc may not be listed by this user", "run as root"),)
        await on.tick([])
        assert "/proc may not be listed by this user; run as root" in on.text
        on.script.faults = (Fault("processes", "denied", "processes of other users are hidden"),)
        await on.tick(HOUSEHOLD)
        assert "processes of other users are hidden" in on.text
        assert "nginx" in on.text
        on.script.faults = (Fault("processes", "denied", "I/O of some processes may not be read"),)
        await on.tick(HOUSEHOLD)
        assert "nginx" in on.text
        assert "may not be read" not in on.text, "so it is for every ordinary user, for ever"


@pytest.mark.parametrize("size", [(80, 24), (60, 15), (40, 12), (200, 50), (300, 80), (20, 5)])
async def test_sizes(size: tuple[int, int]) -> None:
    async with stage(size=size) as on:
        for keys in ((), ("enter",), ("escape", "t"), ("o",), ("slash",)):
            await on.press(*keys)
            assert all(len(line) <= size[0] for line in on.text.split("\n") if line.isascii())
        if size[0] >= 40:
            assert "CPU%" in on.text
            assert "COMMAND" in on.text


async def test_columns_come_with_the_width() -> None:
    async with stage(size=(60, 15)) as on:
        assert not {"read", "owner"} & set(on.screen.table.placed_columns)
        await on.pilot.resize_terminal(220, 50)
        await on.pilot.pause()
        assert {"read", "write", "threads", "nice", "started", "owner", "trail"} <= set(on.screen.table.placed_columns)
        await on.pilot.resize_terminal(80, 24)
        await on.pilot.pause()
        assert {"user", "state", "share", "time"} <= set(on.screen.table.placed_columns)


async def test_ascii_is_ascii() -> None:
    async with stage(glyphs=ASCII, size=(200, 50)) as on:
        await on.tick(changed(10, cpu=None, read_rate=None))
        for keys in ((), ("t", "enter"), ("escape", "o", "enter")):
            await on.press(*keys)
            rows = on.text.split("\n")[2:-3]
            assert all(line.isascii() for line in rows), [line for line in rows if not line.isascii()]


async def test_without_colour() -> None:
    async with stage(theme="sysmon-mono", size=(80, 24)) as on:
        await on.press("t", "down")
        assert on.cursor == 30
        assert "CPU%▼" in on.text


def test_every_key_is_documented(checkout: Path) -> None:
    text = (checkout / "docs" / "processes.md").read_text("utf-8")
    documented = set(re.findall(r"`([^`]+)`", text))
    missing = [key.id for key in KEYS if not {label(each) for each in key.keys} <= documented]
    assert missing == []


def test_no_key_is_bound_twice() -> None:
    ours = [name for key in KEYS for name in key.keys]
    taken = {name for key in APP_KEYS for name in key.keys} - {"escape"}
    table = {name for binding in ProcessList.BINDINGS for name in binding.key.split(",")}  # type: ignore[union-attr]
    assert len(set(ours)) == len(ours)
    assert not set(ours) & taken
    assert not set(ours) & table
