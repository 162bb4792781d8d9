"""What tests of the screen share: Textual's pilot looks more often whether the app has settled, and styles that were
parsed for one app serve the next.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from textual.css.stylesheet import Stylesheet


@pytest.fixture(autouse=True, scope="session")
def _parsed_once() -> Iterator[None]:
    """Keeps what Textual parsed of its and our styles: that is a quarter of the time of a short test."""
    known: dict[tuple[object, ...], Any] = {}
    parse = Stylesheet._parse_rules

    def parsed(self: Stylesheet, css: str, read_from: Any, *more: Any, **named: Any) -> Any:
        key = (css, read_from, more, *sorted(named.items()), *sorted(self._variables.items()))
        if key not in known:
            known[key] = parse(self, css, read_from, *more, **named)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "_parse_rules", parsed)
        yield


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has `pilot.pause` look every 6 ms, not 20, whether the process works; the share that counts as idle stays."""
    monkeypatch.setattr("textual._wait.SLEEP_GRANULARITY", 0.006)
    monkeypatch.setattr("textual._wait.SLEEP_IDLE", 0.006 / 20)
