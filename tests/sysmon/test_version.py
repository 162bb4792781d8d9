"""The version is the installed distribution's, found without importlib.metadata."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from typing import TYPE_CHECKING

from sysmon.version import version

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_installed_version_is_found_without_reading_it() -> None:
    code = "import sys; from sysmon.version import version; print(version(), 'importlib.metadata' in sys.modules)"
    # -I: the tree itself is not on the path.
    answer = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    assert answer.split() == [metadata.version("sysmon"), "False"]


def test_a_tree_that_was_never_installed_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "absent")])
    assert version() == "0"


def test_the_first_on_the_path_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sysmon-7.1.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert version() == "7.1"
