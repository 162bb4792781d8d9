"""The overview: everything about one host that matters at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import Container, Grid

from tui.screens.base import HostScreen
from tui.widgets.overview_base import Shown, ViewPanel
from tui.widgets.overview_cpu import CpuPanel, PressurePanel
from tui.widgets.overview_disks import DisksPanel
from tui.widgets.overview_memory import MemoryPanel
from tui.widgets.overview_network import NetworkPanel
from tui.widgets.overview_processes import AlertsPanel, TopProcesses
from tui.widgets.overview_sensors import GpuPanel, SensorsPanel, gpus, has_sensors
from tui.widgets.overview_summary import Summary

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tui.model import View
    from tui.widgets.table import Table

_FEW = 3
"""Alerts and events that need no more than a few lines."""
_TELLING = ("denied", "timeout", "failed")
"""Kinds of faults that people should see; that a machine has no sensors is none of them."""
_LOOK_AGAIN = 60
"""Shows between two looks at which panels have anything to show."""


class OverviewScreen(HostScreen):
    """The first screen."""

    NAME: ClassVar[str] = "overview"
    TITLE_TEXT: ClassVar[str] = "Overview"
    TABLES: ClassVar[frozenset[str]] = frozenset({"processes"})
    GRAPHED: ClassVar[tuple[str, ...]] = (
        "cpu.utilization",
        "memory.utilization",
        "net.receive_rate",
        "net.transmit_rate",
        "disk.read_rate",
        "disk.write_rate",
        "pressure.cpu.some",
        "pressure.memory.some",
        "pressure.io.some",
        "pressure.irq.full",
        "temperature",
        "gpu.utilization",
    )
    CSS_PATH = "overview.tcss"

    def __init__(self) -> None:
        super().__init__()
        self._shows = 0
        self._for = ""
        self._missing = {"-no-sensors": False, "-no-gpu": False}

    def compose_body(self) -> ComposeResult:
        """All panels; the style sheet says where each is at which size."""
        yield Summary()
        with Grid(id="body"):
            yield CpuPanel()
            yield MemoryPanel()
            yield NetworkPanel()
            yield DisksPanel()
            with Container(id="side"):
                yield PressurePanel()
                yield SensorsPanel()
                yield GpuPanel()
                yield AlertsPanel()
            yield TopProcesses()

    def on_mount(self) -> None:
        """Find the panels once."""
        self._summary = self.query_one(Summary)
        panels = (CpuPanel, MemoryPanel, NetworkPanel, DisksPanel, PressurePanel, SensorsPanel, GpuPanel, AlertsPanel)
        self._panels: list[ViewPanel | TopProcesses] = [self.query_one(kind) for kind in panels]
        self._panels.append(self.query_one(TopProcesses))

    def show(self, view: View) -> None:
        """Draw every panel that is displayed."""
        shown = Shown(view)
        if self._shows % _LOOK_AGAIN == 0 or self._for != view.info.id:
            self._missing = {
                "-no-sensors": not (has_sensors(shown) or shown.fault("sensors", kinds=_TELLING)),
                "-no-gpu": not gpus(shown),
            }
            self._for = view.info.id
        self._shows += 1
        self._arrange(shown)
        if self.has_class("-tiny"):
            self._summary.show(shown)
            return
        for panel in self._panels:
            if panel.size:
                panel.show(shown)

    def _arrange(self, shown: Shown) -> None:
        """Give the room of panels that have nothing to show to others; a layout pass where something changed."""
        told = len(shown.view.alerts) + len(shown.view.events)
        few = told <= _FEW and all(self._missing.values())
        for name, on in {**self._missing, "-calm": not told, "-few": few}.items():
            if on != self.has_class(name):
                self.set_class(on, name)

    def on_table_row_selected(self, event: Table.RowSelected) -> None:
        """Enter on a process opens the processes, with the cursor on it."""
        event.stop()
        self.app.call_later(self.sysmon.open_at, "processes", event.key)

    def on_view_panel_opened(self, event: ViewPanel.Opened) -> None:
        """Enter on a panel, or a click, opens the screen that tells more, there where it tells it."""
        event.stop()
        self.app.call_later(self.sysmon.open_at, event.name, event.item)


SCREEN = OverviewScreen
