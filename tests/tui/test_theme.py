"""Themes, palettes and glyphs: complete, legible, and no colour where none is wanted."""

from dataclasses import fields
from itertools import pairwise

import pytest
from rich.cells import cell_len
from rich.color import ColorType
from rich.style import Style
from textual.app import App

from tui.color import nearest_xterm, oklab, oklch, parse_hex
from tui.glyphs import ASCII, BLOCK, UNICODE, Border, Glyphs
from tui.palette import HUE_ANGLES, THEME_NAMES, Depth, Palette, hue_of, palette
from tui.theme import install, look, look_of, set_glyphs, textual_themes
from tui.tones import TONES, Tones

OVERLAYS = {"selection", "selection_blurred", "tagged", "match"}


def styles(colors: Palette) -> dict[str, Style]:
    """Every style of a palette that is drawn by itself."""
    found = {
        field.name: value
        for field in fields(colors)
        if field.name not in OVERLAYS and isinstance(value := getattr(colors, field.name), Style)
    }
    for name, hue in colors.hues.items():
        found[name] = hue.base
        found.update({f"{name} {step}": style for step, style in enumerate(hue.gradient)})
    return found


@pytest.mark.parametrize("depth", ["truecolor", "256", "16", "none"])
@pytest.mark.parametrize("name", THEME_NAMES)
def test_every_style_has_its_background_and_the_depth_is_kept(name: str, depth: Depth) -> None:
    colors = palette(name, depth)
    kinds = {"truecolor": ColorType.TRUECOLOR, "256": ColorType.EIGHT_BIT, "16": ColorType.STANDARD}
    allowed = {ColorType.DEFAULT, ColorType.STANDARD}
    if depth == "none" or name == "sysmon-mono":
        allowed = {ColorType.DEFAULT}
    elif name in TONES and depth != "16":
        # Rich may name an xterm colour by its number among the first 16.
        allowed = {kinds[depth], ColorType.STANDARD} if depth == "256" else {kinds[depth]}
    for what, style in styles(colors).items():
        assert style.color is not None and style.bgcolor is not None, what
        assert {style.color.type, style.bgcolor.type} <= allowed, what
    assert set(colors.hues) == set(HUE_ANGLES)


def luminance(color: str) -> float:
    """Relative luminance as WCAG defines it."""
    parts = [part / 255 for part in parse_hex(color)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio as WCAG defines it."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("tones", TONES.values(), ids=lambda tones: tones.name)
def test_text_can_be_read_on_its_background(tones: Tones) -> None:
    for color in (tones.text, tones.strong, tones.warning, tones.critical, tones.ok, tones.hotkey):
        assert contrast(color, tones.background) >= 4.5, color
    assert contrast(tones.dim, tones.background) >= 4.0
    assert contrast(tones.text, tones.selection) >= 4.5
    assert contrast(tones.strong, tones.tint_critical) >= 4.5
    for name, (angle, chroma) in HUE_ANGLES.items():
        assert contrast(oklch(tones.base_lightness, chroma, angle), tones.background) >= 4.0, name
    if tones.name == "sysmon-contrast":
        assert contrast(tones.text, tones.background) >= 15 and contrast(tones.dim, tones.background) >= 7


@pytest.mark.parametrize("name", TONES)
def test_gradients_rise_steadily_away_from_the_background(name: str) -> None:
    for hue in palette(name).hues.values():
        lightness = [
            oklab(style.color.triplet)[0]
            for style in hue.gradient
            if style.color is not None and style.color.triplet is not None
        ]
        assert len(lightness) == len(hue.gradient)
        steps = [b - a for a, b in pairwise(lightness)]
        assert all(step > 0 for step in steps) or all(step < 0 for step in steps), hue.name


@pytest.mark.parametrize("name", TONES)
def test_gradients_survive_256_colours(name: str) -> None:
    for hue in palette(name, "256").hues.values():
        assert len({style.color for style in hue.gradient}) >= 3, hue.name


def test_hues_do_not_come_near_red() -> None:
    assert all(min(abs(angle - 25), 360 - abs(angle - 25)) >= 20 for angle, _ in HUE_ANGLES.values())


def test_a_metric_keeps_its_hue() -> None:
    metrics = ("cpu.utilization", "host.cpu.utilization", "net.receive_rate", "net.transmit_rate", "disk.write_rate")
    assert [hue_of(metric) for metric in metrics] == ["cpu", "cpu", "receive", "transmit", "disk_write"]
    assert hue_of("swap.used") == "swap"
    assert hue_of("unheard.of") == "process"
    colors = palette()
    assert colors.hue_for("memory.used") is colors.hue("memory")


def test_nearest_xterm_finds_exact_colours() -> None:
    assert (nearest_xterm("#ff0000"), nearest_xterm("#5f87af"), nearest_xterm("#ffffff")) == (196, 67, 231)


@pytest.mark.parametrize("glyphs", [UNICODE, BLOCK, ASCII], ids=lambda glyphs: glyphs.name)
def test_glyphs_take_the_cells_they_claim(glyphs: Glyphs) -> None:
    wide = {"name", "graph", "tree_branch", "tree_last", "tree_pipe", "tree_space", "superscripts"}
    for field in fields(glyphs):
        value = getattr(glyphs, field.name)
        pieces = [getattr(value, each.name) for each in fields(value)] if isinstance(value, Border) else value
        pieces = [pieces] if isinstance(pieces, str) else pieces
        if field.name not in wide:
            assert all(cell_len(piece) == 1 for piece in pieces), field.name
        if glyphs is ASCII:
            assert all(piece.isascii() for piece in pieces), field.name
    assert len({cell_len(piece) for piece in (glyphs.tree_branch, glyphs.tree_last, glyphs.tree_pipe)}) == 1


@pytest.mark.anyio
async def test_an_app_finds_its_look_by_its_theme() -> None:
    app: App[None] = App()
    install(app, theme="sysmon-light", glyphs=ASCII)
    async with app.run_test():
        assert look_of(app) is look("sysmon-light", "truecolor", ASCII)
        for theme in textual_themes():
            app.theme = theme.name
            assert look_of(app).palette.name == theme.name
        set_glyphs(app, UNICODE)
        assert look_of(app).glyphs is UNICODE


@pytest.mark.anyio
async def test_no_color_takes_all_colours_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app: App[None] = App()
    install(app)
    async with app.run_test():
        assert app.theme == "sysmon-mono"
        assert look_of(app).palette.colorless
