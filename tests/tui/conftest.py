"""What tests of the screen share: Textual's pilot looks more often whether the app has settled."""

import pytest


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has `pilot.pause` look every 6 ms, not 20, whether the process works; the share that counts as idle stays."""
    monkeypatch.setattr("textual._wait.SLEEP_GRANULARITY", 0.006)
    monkeypatch.setattr("textual._wait.SLEEP_IDLE", 0.006 / 20)
