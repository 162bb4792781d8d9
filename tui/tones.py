"""The neutral colours of the coloured themes, and how bright each theme lights its hues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Tones:
    """The neutral colours of a theme as '#rrggbb', and how its hues are lit."""

    name: str
    dark: bool
    background: str
    surface: str
    text: str
    dim: str
    faint: str
    strong: str
    border: str
    border_focus: str
    hotkey: str
    selection: str
    selection_blurred: str
    gap: str
    threshold: str
    ok: str
    warning: str
    critical: str
    on_banner: str
    tint_warning: str
    tint_critical: str
    base_lightness: float
    low: tuple[float, float]
    high: tuple[float, float]
    """Lightness and share of chroma at the gradient's ends."""


DARK: Final = Tones(
    name="sysmon-dark",
    dark=True,
    background="#0e1117",
    surface="#161b22",
    text="#c5cdd8",
    dim="#7d8795",
    faint="#4a5361",
    strong="#f0f3f8",
    border="#333c4a",
    border_focus="#7aa7e8",
    hotkey="#e8b45c",
    selection="#26354d",
    selection_blurred="#1c2430",
    gap="#232b36",
    threshold="#7d6a35",
    ok="#67c587",
    warning="#efc14a",
    critical="#ff5d5d",
    on_banner="#0e1117",
    tint_warning="#2e2612",
    tint_critical="#3b171b",
    base_lightness=0.79,
    low=(0.46, 0.78),
    high=(0.91, 0.85),
)
LIGHT: Final = Tones(
    name="sysmon-light",
    dark=False,
    background="#fbfbf8",
    surface="#f0f1ee",
    text="#2b323b",
    dim="#69727d",
    faint="#a3abb4",
    strong="#0b0f14",
    border="#c6ccd2",
    border_focus="#2f6fc4",
    hotkey="#a85b00",
    selection="#cfe0f7",
    selection_blurred="#e4e9ef",
    gap="#e3e5e4",
    threshold="#c9a24c",
    ok="#1c7f41",
    warning="#9a6500",
    critical="#c81e2b",
    on_banner="#ffffff",
    tint_warning="#fdf0cf",
    tint_critical="#fde0e0",
    base_lightness=0.50,
    low=(0.76, 0.72),
    high=(0.40, 1.0),
)
CONTRAST: Final = Tones(
    name="sysmon-contrast",
    dark=True,
    background="#000000",
    surface="#101010",
    text="#ffffff",
    dim="#c4c4c4",
    faint="#8c8c8c",
    strong="#ffffff",
    border="#9a9a9a",
    border_focus="#ffff00",
    hotkey="#ffff00",
    selection="#0047b8",
    selection_blurred="#333333",
    gap="#3a3a3a",
    threshold="#b39600",
    ok="#4dff88",
    warning="#ffd500",
    critical="#ff6e6e",
    on_banner="#000000",
    tint_warning="#3d3200",
    tint_critical="#4d0000",
    base_lightness=0.86,
    low=(0.66, 1.1),
    high=(0.95, 0.7),
)
TONES: Final[Mapping[str, Tones]] = {tones.name: tones for tones in (DARK, LIGHT, CONTRAST)}
