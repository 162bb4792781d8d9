"""What the collectors for macOS and FreeBSD have in common: psutil, and a fault where a platform lacks a call."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from collectors.base import Collector, Roots
from sysmon.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PLATFORMS = ("darwin", "freebsd")
"""Where these collectors stand in for those that read /proc and /sys."""

SOURCE = "psutil"
"""Where their numbers come from, in the catalogue."""


class Portable(Collector):
    """Base of the collectors that read through psutil, which is imported when one is made: Linux never pays for it."""

    name = "portable"
    platforms = PLATFORMS

    def __init__(self, roots: Roots, options: Mapping[str, object] | None = None) -> None:
        super().__init__(roots, options)
        try:
            self.psutil: Any = importlib.import_module("psutil")
        except ImportError as error:
            raise Unsupported(
                "psutil cannot be imported", "install sysmon again: psutil is one of its parts"
            ) from error

    def call(self, name: str, *arguments: object, **named: object) -> Any:
        """Calls a function of psutil.

        Raises:
            Unsupported: this platform has no such function, or it is refused.
        """
        function: Callable[..., Any] | None = getattr(self.psutil, name, None)
        if function is None:
            raise Unsupported(f"psutil has no {name} on this platform")
        try:
            return function(*arguments, **named)
        except (OSError, NotImplementedError, RuntimeError, self.psutil.Error) as error:
            raise Unsupported(f"psutil.{name}: {error}") from error
