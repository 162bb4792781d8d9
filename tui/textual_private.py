"""Every name of Textual's that is not public and that the terminal side uses, with the reason.

Checked against Textual 8.2. Where one is missing or behaves otherwise, the callers fall back to Textual's own output:
an `AttributeError` raised here is such a sign, not a crash.

| name | why |
|---|---|
| `App._display` (overridden) | the one place where a composed update becomes bytes |
| `App._running`, `_closed`, `_batch_count`, `_driver` | when Textual itself would write nothing |
| `App._sync_available` | whether the terminal said that it knows mode 2026 |
| `App._filters` | Textual's filter for NO_COLOR turns the terminal's own colours into black on black |
| `App._previous_cursor_position` | kept right, so that Textual's own output can take over at any time |
| `_compositor.LayoutUpdate`, `ChopsUpdate` | the two kinds of update: all of a region, or spans of lines |
| `LinuxDriver` (subclassed), its `_file`, `_writer_thread`, `_auto_restart`, `_mouse_pixels`, … | see `tui.driver` |
| `XTermParser` | turns what is read into events, as Textual's own input thread does |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.app import App
    from textual.driver import Driver

    from tui.celldiff import CellDiff


def feed(diff: CellDiff, update: object) -> bool:
    """Put a composed update into a diff, resizing it to the update's screen.

    Args:
        diff: takes the pieces.
        update: what Textual's compositor made.

    Returns:
        Whether this was an update of a known kind; otherwise the diff is as it was.
    """
    from textual._compositor import ChopsUpdate, LayoutUpdate

    put = diff.put
    if isinstance(update, LayoutUpdate):
        region = update.region
        if region.x == region.y == 0 and (diff.width, diff.height) != (region.width, region.height):
            diff.resize(region.width, region.height)
        for y, strips in enumerate(update.strips, region.y):
            x = region.x
            for strip in strips:
                put(y, x, strip)
                x += strip.cell_length
        return True
    if isinstance(update, ChopsUpdate):
        chops, chop_ends = update.chops, update.chop_ends
        size = (chop_ends[0][-1] if chop_ends else 0, len(chops))
        if (diff.width, diff.height) != size:
            diff.resize(*size)
        for y, x1, x2 in update.spans:
            for end, (x, chop) in zip(chop_ends[y], chops[y].items(), strict=False):
                if chop is None or x >= x2 or end <= x1:
                    continue
                # As Textual does: a chop that begins before the span is written from its own beginning.
                put(y, x, chop if end <= x2 else chop.crop(0, x2 - x))
        return True
    return False


def driver_of(app: App[Any]) -> Driver | None:
    """The driver, if Textual itself would write to it now."""
    if app._running and not app._closed and not app._batch_count and not app.is_headless:
        return app._driver
    return None


def sync_marks(app: App[Any]) -> tuple[str, str]:
    """What to put before and after a frame so that the terminal shows it at once (mode 2026), as Textual does."""
    from textual._ansi_sequences import SYNC_END, SYNC_START

    return (SYNC_START, SYNC_END) if app._sync_available else ("", "")


def resting_cursor(app: App[Any]) -> tuple[int, int]:
    """Where the hidden cursor rests after a frame: input methods open their window there."""
    position = app.screen.outer_size.clamp_offset(app.cursor_position)
    app._previous_cursor_position = position
    return position.x, position.y


def strip_colors(app: App[Any]) -> None:
    """Honours NO_COLOR by leaving colours out, where Textual would turn them into greys of its own choice."""
    from textual.filter import Monochrome, NoColor

    app._filters = [NoColor() if isinstance(each, Monochrome) else each for each in app._filters]


def write_queue_is_empty(driver: Driver) -> bool:
    """Whether a driver's writer thread, if it has one, has nothing left to fetch."""
    thread = getattr(driver, "_writer_thread", None)
    return thread is None or bool(thread._queue.empty())
