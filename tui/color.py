"""Colour arithmetic for themes: OKLCH mixing, gamut clipping and the nearest xterm-256 colour."""

from __future__ import annotations

import math
from functools import lru_cache

RGB = tuple[int, int, int]


def parse_hex(color: str) -> RGB:
    """Split '#rrggbb' into three integers of 0-255."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def to_hex(rgb: RGB) -> str:
    """Write three integers of 0-255 as '#rrggbb'."""
    return f"#{rgb[0]:02x}{rgb[1]:02x}{rgb[2]:02x}"


def oklch(lightness: float, chroma: float, hue: float) -> str:
    """Convert an OKLCH colour to '#rrggbb', lowering chroma until sRGB can show it.

    Args:
        lightness: perceived lightness, 0 (black) to 1 (white).
        chroma: colourfulness, 0 (grey) to about 0.32.
        hue: angle in degrees.

    Source: Bjoern Ottosson, "A perceptual color space for image processing".
    """
    while True:
        red, green, blue = _linear(lightness, chroma, math.radians(hue))
        if chroma <= 0.001 or all(-0.001 <= part <= 1.001 for part in (red, green, blue)):
            return to_hex((_encode(red), _encode(green), _encode(blue)))
        chroma *= 0.96


def _linear(lightness: float, chroma: float, angle: float) -> tuple[float, float, float]:
    a, b = chroma * math.cos(angle), chroma * math.sin(angle)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _encode(part: float) -> int:
    part = min(1.0, max(0.0, part))
    part = 12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055
    return round(part * 255)


def oklab(rgb: RGB) -> tuple[float, float, float]:
    """Convert sRGB of 0-255 to OKLab (lightness, a, b), where distance is perceived difference."""
    red, green, blue = (_decode(part / 255) for part in rgb)
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _decode(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


_CUBE = (0, 95, 135, 175, 215, 255)


def _cube_rgb(number: int) -> RGB:
    if number >= 232:
        grey = 8 + (number - 232) * 10
        return grey, grey, grey
    number -= 16
    return _CUBE[number // 36], _CUBE[number // 6 % 6], _CUBE[number % 6]


@lru_cache(1)
def _xterm_table() -> list[tuple[float, float, float]]:
    return [oklab(_cube_rgb(number)) for number in range(16, 256)]


@lru_cache(1024)
def nearest_xterm(color: str) -> int:
    """Return the number (16-255) of the xterm colour that looks most like '#rrggbb'.

    Chroma weighs more than lightness, so that a dark step of a gradient keeps its hue and does not fall to grey.
    """
    lightness, a, b = oklab(parse_hex(color))
    best, best_distance = 16, math.inf
    for number, (other, other_a, other_b) in enumerate(_xterm_table(), 16):
        distance = (lightness - other) ** 2 + 2.2 * ((a - other_a) ** 2 + (b - other_b) ** 2)
        if distance < best_distance:
            best, best_distance = number, distance
    return best
