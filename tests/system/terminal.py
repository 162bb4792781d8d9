"""The real screen in a terminal of its own, each with folders of its own."""

from __future__ import annotations

import os
import termios
import time
from typing import TYPE_CHECKING, Self

from tests.tui.pty_app import PtyApp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Screen(PtyApp):
    """`sysmon` in a pseudo-terminal.

    Args:
        folder: its home, state, runtime and configuration; screens that share it share a history.
        arguments: of the command line.
        width: columns.
        height: lines.
        config: text of its config.toml; None leaves the one that is there.
        ignore_hangup: it starts with SIGHUP ignored, as under nohup.
        environment: additions to the environment.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        width: int = 120,
        height: int = 40,
        config: str | None = None,
        ignore_hangup: bool = False,
        environment: dict[str, str] | None = None,
    ) -> None:
        super().__init__(
            "-m",
            "sysmon",
            *arguments,
            width=width,
            height=height,
            ignore_hangup=ignore_hangup,
            environment=folders(folder, config) | {"LC_ALL": "C.UTF-8"} | (environment or {}),
        )

    def __enter__(self) -> Self:
        return self

    @property
    def text(self) -> str:
        """What stands on the screen."""
        return "\n".join(self.screen.display)

    def wait_shown(self, *texts: str) -> None:
        """Reads until all the texts stand on the screen together."""
        self.wait_until(lambda: all(text in self.text for text in texts), f"{texts}")

    def wait_gone(self, text: str) -> None:
        """Reads until a text no longer stands on the screen."""
        self.wait_until(lambda: text not in self.text, f"the end of '{text}'")

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
        """Reads until a condition holds; fails with what stands on the screen."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come:\n{self.text}"
            self.read()

    def quit(self) -> int:
        """Types q; returns the exit status, which is 0 unless it says why not."""
        self.write(b"q")
        status = self.wait()
        if status:
            print(self.output[self.output.rfind(b"\x1b[?1049l") :].decode("utf-8", "replace"))
        return status

    def assert_whole(self) -> None:
        """The terminal is as it was before the screen: modes, main screen, cursor, no mouse, no paste brackets."""
        assert termios.tcgetattr(self.slave) == self.modes_before
        for mode in (b"1049", b"1000", b"1003", b"1006", b"2004"):
            entered, left = self.output.rfind(b"\x1b[?" + mode + b"h"), self.output.rfind(b"\x1b[?" + mode + b"l")
            assert left > entered or entered == -1, mode
        assert self.output.rfind(b"\x1b[?25h") > self.output.rfind(b"\x1b[?25l")
        assert b"Traceback" not in self.output


def folders(folder: Path, config: str | None = None) -> dict[str, str]:
    """Makes the folders of one user; returns the environment that names them."""
    (folder / "run").mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "config.toml"
    if config is not None or not path.exists():
        path.write_text(config or "")
    return {
        **{name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "LANG", "LC_ALL")},
        "SYSMON_DB": str(folder / "history.db"),
        "SYSMON_CONFIG": str(path),
        "XDG_STATE_HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder / "run"),
        "HOME": str(folder),
    }
