"""Palettes: every style that screens draw with, for five themes and four colour depths."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from rich.color import Color, ColorSystem
from rich.style import Style

from tui.color import nearest_xterm, oklch
from tui.tones import DARK, TONES, Tones

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tui.glyphs import Severity

Depth = Literal["truecolor", "256", "16", "none"]
HueName = Literal[
    "cpu",
    "memory",
    "swap",
    "receive",
    "transmit",
    "disk_read",
    "disk_write",
    "temperature",
    "gpu",
    "pressure",
    "process",
]

GRADIENT_STEPS: Final = 24
"""Steps of a gradient where colours are plentiful."""

HUE_ANGLES: Final[Mapping[HueName, tuple[float, float]]] = {
    "cpu": (205, 0.115),
    "memory": (302, 0.145),
    "swap": (345, 0.125),
    "receive": (152, 0.135),
    "transmit": (268, 0.125),
    "disk_read": (122, 0.120),
    "disk_write": (62, 0.105),
    "temperature": (48, 0.130),
    "gpu": (135, 0.150),
    "pressure": (88, 0.110),
    "process": (235, 0.045),
}
"""OKLCH hue in degrees and chroma of each metric family. Red (about 25 degrees) is left to what is wrong."""

_FAMILIES: Final[tuple[tuple[str, HueName], ...]] = (
    ("net.transmit", "transmit"),
    ("net.", "receive"),
    ("disk.write", "disk_write"),
    ("disk.", "disk_read"),
    ("fs.", "disk_read"),
    ("swap.", "swap"),
    ("memory.", "memory"),
    ("pressure.", "pressure"),
    ("temperature", "temperature"),
    ("fan", "temperature"),
    ("battery.", "temperature"),
    ("gpu.", "gpu"),
    ("load.", "cpu"),
    ("cpu.", "cpu"),
)


_XTERM: Final[Mapping[str, int]] = {
    "#26354d": 24,
    "#1c2430": 236,
    "#3b171b": 52,
    "#2e2612": 58,
}
"""Dark backgrounds whose nearest xterm colour is a grey: those that say the same."""


def hue_of(metric: str) -> HueName:
    """Name the hue of a metric's family, so that a metric looks the same on every screen."""
    metric = metric.removeprefix("host.")
    return next((hue for prefix, hue in _FAMILIES if metric.startswith(prefix)), "process")


@dataclass(frozen=True, slots=True)
class Hue:
    """The colours of one metric family: `base` for text and meters, `gradient` from low to high."""

    name: str
    base: Style
    gradient: tuple[Style, ...]

    def at(self, fraction: float) -> Style:
        """The gradient's style at a fraction of 0-1; what lies outside is clamped."""
        last = len(self.gradient) - 1
        return self.gradient[min(last, max(0, int(fraction * (last + 1))))]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Palette:
    """Every style a screen is drawn with. Styles carry their background, except `selection` and `tagged`,
    which are laid over others (`style + palette.selection`). Two palettes are equal only if they are one object.
    """

    name: str
    dark: bool
    colorless: bool
    text: Style
    dim: Style
    faint: Style
    strong: Style
    title: Style
    border: Style
    border_focus: Style
    hotkey: Style
    header: Style
    header_sorted: Style
    track: Style
    gap: Style
    threshold: Style
    ok: Style
    info: Style
    warning: Style
    critical: Style
    unknown: Style
    banner_warning: Style
    banner_critical: Style
    tint_warning: Style
    tint_critical: Style
    selection: Style
    selection_blurred: Style
    tagged: Style
    match: Style
    hues: Mapping[HueName, Hue]

    def __repr__(self) -> str:
        return f"Palette({self.name})"

    def hue(self, name: HueName) -> Hue:
        """The colours of a metric family."""
        return self.hues[name]

    def hue_for(self, metric: str) -> Hue:
        """The colours of a metric by its name in the catalogue (`net.receive_rate`)."""
        return self.hues[hue_of(metric)]

    def severity(self, severity: Severity) -> Style:
        """The style of a severity; `Glyphs.severity` has the mark that goes with it."""
        return {
            "ok": self.ok,
            "info": self.info,
            "warning": self.warning,
            "critical": self.critical,
            "unknown": self.unknown,
        }[severity]


ANSI_NAME: Final = "sysmon-ansi"
MONO_NAME: Final = "sysmon-mono"
THEME_NAMES: Final = (*TONES, ANSI_NAME, MONO_NAME)
"""The themes in the order in which they are offered; the first is the default."""


@lru_cache(32)
def palette(name: str = "sysmon-dark", depth: Depth = "truecolor") -> Palette:
    """Build the palette of a theme for a colour depth; the same arguments give the same object.

    Args:
        name: one of THEME_NAMES; any other name gives the dark theme.
        depth: what the terminal can show. With 16 colours every coloured theme becomes `sysmon-ansi`; with none,
            `sysmon-mono`.
    """
    if name == MONO_NAME or depth == "none":
        return _mono()
    if name == ANSI_NAME or depth == "16":
        return _ansi()
    return _from_tones(TONES.get(name, DARK), depth)


def _from_tones(tones: Tones, depth: Depth) -> Palette:
    def color(code: str) -> Color:
        return Color.parse(code) if depth == "truecolor" else Color.from_ansi(_XTERM.get(code) or nearest_xterm(code))

    # Textual paints its own widgets' background through Rich's downgrade: panels must land on the same colour.
    back = Color.parse(tones.background)
    if depth != "truecolor":
        back = back.downgrade(ColorSystem.EIGHT_BIT)

    def style(code: str, *, bold: bool = False) -> Style:
        return Style.from_color(color(code), back) + Style(bold=bold)

    def hue(name: HueName) -> Hue:
        angle, chroma = HUE_ANGLES[name]
        steps: list[Style] = []
        for step in range(GRADIENT_STEPS):
            share = step / (GRADIENT_STEPS - 1)
            # Chroma swells in the middle: ends that are dark or pale cannot carry as much of it.
            swell = 1.0 - (2 * share - 1) ** 2
            lightness = tones.low[0] + (tones.high[0] - tones.low[0]) * share
            part = tones.low[1] + (tones.high[1] - tones.low[1]) * share
            steps.append(style(oklch(lightness, chroma * (part + 0.15 * swell), angle)))
        return Hue(name, style(oklch(tones.base_lightness, chroma, angle)), tuple(steps))

    def overlay(code: str) -> Style:
        return Style.from_color(None, color(code))

    def banner(code: str) -> Style:
        return Style.from_color(color(tones.on_banner), color(code)) + Style(bold=True)

    return Palette(
        name=tones.name,
        dark=tones.dark,
        colorless=False,
        text=style(tones.text),
        dim=style(tones.dim),
        faint=style(tones.faint),
        strong=style(tones.strong, bold=True),
        title=style(tones.strong, bold=True),
        border=style(tones.border),
        border_focus=style(tones.border_focus),
        hotkey=style(tones.hotkey),
        header=style(tones.dim),
        header_sorted=style(tones.strong, bold=True),
        track=style(tones.border),
        gap=style(tones.gap),
        threshold=style(tones.threshold),
        ok=style(tones.ok),
        info=style(tones.border_focus),
        warning=style(tones.warning),
        critical=style(tones.critical, bold=True),
        unknown=style(tones.dim),
        banner_warning=banner(tones.warning),
        banner_critical=banner(tones.critical),
        tint_warning=Style.from_color(color(tones.strong), color(tones.tint_warning)),
        tint_critical=Style.from_color(color(tones.strong), color(tones.tint_critical)),
        selection=overlay(tones.selection),
        selection_blurred=overlay(tones.selection_blurred),
        tagged=Style.from_color(color(tones.hotkey)),
        match=Style(underline=True, bold=True),
        hues={name: hue(name) for name in HUE_ANGLES},
    )


_ANSI_HUES: Final[Mapping[HueName, tuple[str, ...]]] = {
    "cpu": ("cyan", "cyan", "bright_cyan"),
    "memory": ("magenta", "magenta", "bright_magenta"),
    "swap": ("bright_magenta",),
    "receive": ("green", "green", "bright_green"),
    "transmit": ("blue", "bright_blue", "bright_blue"),
    "disk_read": ("green", "green", "bright_green"),
    "disk_write": ("yellow", "yellow", "bright_yellow"),
    "temperature": ("yellow", "yellow", "bright_yellow"),
    "gpu": ("green", "green", "bright_green"),
    "pressure": ("yellow", "yellow", "bright_yellow"),
    "process": ("default",),
}


def _ansi() -> Palette:
    def style(color: str, *, bold: bool | None = None) -> Style:
        return Style(color=color, bgcolor="default", bold=bold)

    return Palette(
        name=ANSI_NAME,
        dark=True,
        colorless=False,
        text=style("default"),
        dim=style("bright_black"),
        faint=style("bright_black"),
        strong=style("default", bold=True),
        title=style("default", bold=True),
        border=style("bright_black"),
        border_focus=style("cyan"),
        hotkey=style("yellow"),
        header=style("bright_black"),
        header_sorted=style("default", bold=True),
        track=style("bright_black"),
        gap=style("bright_black"),
        threshold=style("yellow"),
        ok=style("green"),
        info=style("cyan"),
        warning=style("yellow", bold=True),
        critical=style("red", bold=True),
        unknown=style("bright_black"),
        banner_warning=Style(color="black", bgcolor="yellow"),
        banner_critical=Style(color="bright_white", bgcolor="red", bold=True),
        tint_warning=style("yellow", bold=True),
        tint_critical=style("red", bold=True),
        # One colour for the whole line: reversing each cell's own colour would make a patchwork.
        selection=Style(color="black", bgcolor="cyan", bold=False, dim=False),
        selection_blurred=Style(color="bright_white", bgcolor="bright_black"),
        tagged=Style(color="yellow", bold=True),
        match=Style(underline=True, bold=True),
        hues={
            name: Hue(name, style(colors[0]), tuple(style(color) for color in colors))
            for name, colors in _ANSI_HUES.items()
        },
    )


def _mono() -> Palette:
    def style(*, bold: bool = False, dim: bool = False, reverse: bool = False, underline: bool = False) -> Style:
        return Style(color="default", bgcolor="default", bold=bold, dim=dim, reverse=reverse, underline=underline)

    plain, dim, bold = style(), style(dim=True), style(bold=True)
    return Palette(
        name=MONO_NAME,
        dark=True,
        colorless=True,
        text=plain,
        dim=dim,
        faint=dim,
        strong=bold,
        title=bold,
        border=dim,
        border_focus=bold,
        hotkey=bold,
        header=style(underline=True),
        header_sorted=style(bold=True, underline=True),
        track=dim,
        gap=dim,
        threshold=dim,
        ok=plain,
        info=plain,
        warning=bold,
        critical=style(bold=True, reverse=True),
        unknown=dim,
        banner_warning=style(reverse=True),
        banner_critical=style(bold=True, reverse=True),
        tint_warning=bold,
        tint_critical=bold,
        selection=Style(reverse=True, dim=False),
        selection_blurred=Style(underline=True),
        tagged=Style(bold=True),
        match=Style(underline=True, bold=True),
        hues={name: Hue(name, plain, (plain,)) for name in HUE_ANGLES},
    )
