"""What tests of several commands need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli import months

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def made_month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the history of a month, which no test changes: each takes a copy."""
    folder = tmp_path_factory.mktemp("made")
    months.make(folder / "history.db")
    return folder
