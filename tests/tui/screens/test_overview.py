"""The overview as text: what stands where, at which size, with and without what a host may lack."""

from __future__ import annotations

import pytest

from sysmon.frame import Fault, InterfaceRow, ProcessRow, Tables
from sysmon.records import AlertState, Event
from tests.tui.scripted import START, Script, catalogue, make_app, rig, view
from tests.tui.support import show, text_of, until
from tui.glyphs import ASCII
from tui.screens.overview import OverviewScreen
from tui.theme import DEFAULT_LOOK, look
from tui.widgets.overview_base import Shown, ratio_text, wrapped
from tui.widgets.overview_cpu import cpu_temperature, pressure_line, state_line
from tui.widgets.overview_disks import disk_line, mount_line
from tui.widgets.overview_memory import memory_parts
from tui.widgets.overview_network import idle, interface_line, interfaces, troubles
from tui.widgets.overview_processes import alert_line, busiest, event_line, top_row

pytestmark = pytest.mark.anyio


async def lines_at(width: int, height: int, script: Script | None = None, seconds: int = 90) -> list[str]:
    """The screen of a host after some seconds."""
    given = rig(script or Script())
    app = make_app(given.services)
    async with app.run_test(size=(width, height)) as pilot:
        await show(pilot, given, seconds)
        await pilot.pause()
        return text_of(app)


async def test_at_80x24_every_main_panel_has_its_place() -> None:
    lines = await lines_at(80, 24)
    assert lines[0].startswith(" db-1 · up 12d 17h · Debian 12")
    assert "LIVE" in lines[0]
    assert "/srv is 97 % full" in lines[1]
    assert lines[2].startswith("╭─┐cpu┌─")
    assert lines[2].rstrip().endswith("°C┌─╮")
    assert lines[3].startswith("│ 100%")
    assert "  0 " in lines[3]
    assert "user" in lines[6]
    assert "load" in lines[7]
    assert lines[9].startswith("╭─┐memory┌")
    assert "┐³network┌" in lines[9]
    assert "RAM" in lines[10]
    assert lines[16].startswith("╭─┐disks┌")
    assert "┐⁴processes┌" in lines[16]
    assert "CPU%" in lines[17]
    assert sum(" postgres " in line or " nginx " in line or " python3 " in line for line in lines[18:22]) >= 3
    assert lines[23].startswith(" 1 Overview  3 Network  4 Processes  9 History  0 Alerts ")
    assert all(len(line) <= 80 for line in lines)


async def test_at_120x40_the_right_column_tells_what_is_going_on() -> None:
    lines = await lines_at(120, 40, seconds=91)
    text = "\n".join(lines)
    for title in ("cpu", "memory", "network", "disks", "pressure", "sensors", "gpu", "processes", "alerts"):
        assert f"{title}┌" in text, title
    assert "NVIDIA RTX A5000" in text
    assert "k10temp Tctl" in text
    assert "no alerts" in text
    assert "eth1" in text
    assert "err/s" in text
    assert "1 idle: veth3fa21c" in text
    assert "inodes 93%" in text
    heads = [line.find("┐memory┌") for line in lines if "┐memory┌" in line] + [
        line.find("┐pressure┌") for line in lines if "┐pressure┌" in line
    ]
    assert heads[0] == heads[1], "the right column begins at one place"


@pytest.mark.parametrize("size", [(200, 50), (300, 80)])
async def test_large_screens_show_all_panels(size: tuple[int, int]) -> None:
    text = "\n".join(await lines_at(*size))
    for word in ("user", "switches", "forks", "zram", "huge", "swap", "some / full", "free", "gpu0", "rpm", "BAT0"):
        assert word in text, word


async def test_a_host_without_gpu_and_sensors_gives_their_room_away() -> None:
    lines = await lines_at(120, 40, Script(gpus=0, sensors=False))
    text = "\n".join(lines)
    assert "gpu┌" not in text
    assert "sensors┌" not in text
    title = next(line for line in lines if "processes┌" in line)
    assert len(title) == 120, "the processes take the whole width"
    assert (title[0], title[-1]) == ("╭", "╮")
    assert title.count("╭") == 1


async def test_sensors_that_may_not_be_read_say_so() -> None:
    script = Script(gpus=0, sensors=False)
    script.faults = (Fault("sensors", "denied", "hwmon may not be read by this user"),)
    assert "hwmon may not be read" in "\n".join(await lines_at(120, 40, script))


async def test_alerts_take_their_room_when_there_are_some() -> None:
    given = rig(Script(gpus=0))
    app = make_app(given.services)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, given, 5)
        await pilot.pause()
        calm = app.screen.query_one("#alerts").size.height
        for number in range(5):
            given.source.push(Event(id=str(number), time=START * 1000, host=given.script.host, kind="boot"))
        given.push(6)
        await pilot.pause()
        given.push(7)
        await until(pilot, lambda: app.screen.query_one("#alerts").size.height > calm)
        assert calm == 3


@pytest.mark.parametrize("size", [(40, 12), (60, 20), (80, 24), (120, 40)])
async def test_help_and_quit_are_always_in_sight(size: tuple[int, int]) -> None:
    given = rig()
    app = make_app(given.services)
    async with app.run_test(size=size) as pilot:
        await show(pilot, given, 3)
        for key in ("1", "4", "Z"):
            await pilot.press(key)
            await pilot.pause()
            line = text_of(app)[-1]
            assert "?" in line
            assert " q" in line, line
        assert "Live" in line or size[0] < 60, "away from the present, the way back comes first"


async def test_many_cores_become_a_heat_map() -> None:
    text = "\n".join(await lines_at(120, 40, Script(cores=64), seconds=4))
    assert DEFAULT_LOOK.glyphs.heat_cell in text


async def test_a_tiny_terminal_gets_lines() -> None:
    lines = await lines_at(40, 12)
    assert lines[1].startswith("cpu  ")
    assert any(line.startswith("net ") for line in lines)
    assert any("postgres" in line for line in lines)


async def test_nothing_is_made_up_where_readings_are_missing() -> None:
    script = Script(missing=frozenset({"cpu", "memory", "disks", "filesystems", "network", "swap"}), gpus=0)
    script.faults = (Fault("cpu", "denied", "/proc/stat may not be read by this user"),)
    text = "\n".join(await lines_at(120, 40, script, seconds=4))
    assert "/proc/stat may not be read by this user" in text
    assert "no memory readings" in text
    assert "no network interfaces" in text


async def test_what_is_graphed_is_in_the_catalogue() -> None:
    known = catalogue()
    assert [name for name in OverviewScreen.GRAPHED if name not in known] == []


# -- the pieces


def shown(seconds: int = 60, script: Script | None = None) -> Shown:
    """A view with its values."""
    return Shown(view(script, seconds))


def test_memory_adds_up_to_its_total() -> None:
    given = shown()
    parts = memory_parts(given, DEFAULT_LOOK)
    free = given.values["memory.free"]
    assert sum(amount for _, amount, _ in parts) + free == pytest.approx(given.values["memory.total"])
    assert [name for name, _, _ in parts] == ["used", "ARC", "cache"]


def test_the_hottest_processor_sensor_counts() -> None:
    given = shown()
    assert cpu_temperature(given) == given.values["temperature:k10temp/Tctl"]
    assert cpu_temperature(shown(script=Script(sensors=False))) is None


def test_interfaces_are_in_order_of_interest() -> None:
    given = shown()
    rows = interfaces(given)
    assert [row.name for row in rows] == ["eth0", "docker0", "eth1", "wg0", "veth3fa21c", "lo"]
    assert [row.name for row in rows if idle(given, row)] == ["veth3fa21c"]
    assert troubles(given, "eth0") == ""


def test_errors_are_told_in_the_interfaces_line() -> None:
    given = shown(58)
    given.values["net.errors:eth1"] = 312.0
    row = next(row for row in interfaces(given) if row.name == "eth1")
    text = interface_line(given, row, 60, DEFAULT_LOOK).text
    assert "312 err/s" in text
    assert len(text) == 60
    down = InterfaceRow(name="eth9", kind="ethernet")
    assert "down" in interface_line(given, down, 60, DEFAULT_LOOK).text
    assert "–" in interface_line(given, down, 60, DEFAULT_LOOK).text


def test_a_full_filesystem_is_red_and_a_missing_value_a_dash() -> None:
    given = shown()
    line = mount_line(given, "/srv", 60, 10, DEFAULT_LOOK)
    assert DEFAULT_LOOK.palette.critical in [segment.style for segment in line]
    assert "97%" in line.text
    given.values.pop("fs.utilization:/srv")
    assert "–" in mount_line(given, "/srv", 60, 10, DEFAULT_LOOK).text


@pytest.mark.parametrize("width", [12, 20, 30, 45, 60, 100, 160])
def test_lines_have_their_width(width: int) -> None:
    given = shown()
    for glyphs in (DEFAULT_LOOK, look("sysmon-light", glyphs=ASCII)):
        assert mount_line(given, "/var/lib/postgresql", width, 10, glyphs).cell_length == width
        assert disk_line(given, "sda", width, 6, glyphs).cell_length == width
        assert state_line(given, width, glyphs).cell_length == width
        assert pressure_line(given, "io", "I/O", width, glyphs).cell_length == width
        for row in interfaces(given):
            assert interface_line(given, row, width, glyphs).cell_length == width


def test_ratios_are_short() -> None:
    assert [ratio_text(value, DEFAULT_LOOK) for value in (None, 0.0, 0.0003, 0.004, 0.0994, 0.0996, 0.5, 1.0)] == [
        "–", "0%", "0%", "0.4%", "9.9%", "10%", "50%", "100%",
    ]  # fmt: skip


def test_the_busiest_come_first_and_idle_ones_by_memory() -> None:
    rows = view(seconds=30).processes
    best = busiest(rows, 5)
    assert [row.cpu for row in best] == sorted((row.cpu for row in rows), key=lambda cpu: -(cpu or 0))[:5]
    idle_rows = [ProcessRow(pid=pid, memory=memory) for pid, memory in ((1, 10), (2, 30), (3, 20))]
    assert [row.pid for row in busiest(idle_rows, 3)] == [2, 3, 1]
    # One tick of the kernel's clock is no work: who gets it changes every second.
    ticking = [ProcessRow(pid=pid, memory=memory, cpu=cpu) for pid, memory, cpu in ((1, 10, 0.01), (2, 30, 0.0))]
    assert [row.pid for row in busiest([*ticking, ProcessRow(pid=3, memory=1, cpu=0.02)], 3)] == [3, 2, 1]


def test_a_process_without_a_rate_has_a_dash() -> None:
    row = view(seconds=1).processes[0]
    assert top_row(row, "–").cpu == "–"


def test_alerts_and_events_say_since_when() -> None:
    now = (START + 7200) * 1000
    alert = AlertState(host="h", rule="disk-full", key="fs.utilization:/srv", status="pending", severity="warning",
                       started=now - 90_000, message="/srv is 91 % full")  # fmt: skip
    text = alert_line(alert, now, 50, DEFAULT_LOOK).text
    assert "/srv is 91 % full" in text
    assert text.endswith("pending 1m")
    event = Event(id="1", time=now - 60_000, host="h", kind="boot", message="started")
    assert "started" in event_line(event, now, 50, DEFAULT_LOOK).text


def test_sentences_are_wrapped() -> None:
    assert wrapped("one two three", 7, 5) == ["one two", "three"]
    assert wrapped("one two three", 7, 1) == ["one two"]
    assert wrapped("", 7, 1) == [""]


def test_disks_that_lie_on_others_are_not_added_up() -> None:
    given = shown()
    given.view.state.tables = Tables()
    assert Shown(given.view).instances("disk.read") == ["nvme0n1", "sda"]
