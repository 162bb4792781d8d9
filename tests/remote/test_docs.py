"""docs/wire.md names what there is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from remote import wire
from remote.routes import Routes
from sysmon.clock import SystemClock
from tests.remote.support import make_feed

if TYPE_CHECKING:
    from pathlib import Path


def test_every_endpoint_and_event_is_documented(checkout: Path) -> None:
    text = (checkout / "docs" / "wire.md").read_text()
    named = re.findall(r"^\| `(/?[a-z0-9/]+)` \|", text, re.MULTILINE)
    paths = {route.path for route in Routes(make_feed(), None, SystemClock()).routes()}
    assert {name for name in named if name.startswith("/")} == paths
    events = {*wire._DECODERS, "frame", "state"}
    assert {name for name in named if not name.startswith("/")} == events


def test_its_numbers_are_those_of_the_code(checkout: Path) -> None:
    text = (checkout / "docs" / "wire.md").read_text()
    limits = make_feed().limits
    assert f"{limits.streams} streams may be open, and {limits.ranges} answers" in text
    assert f"at most {wire.MAX_RANGE}, without tables" in text
    assert f"every {wire.HEARTBEAT_SECONDS:g} seconds" in text
    assert f"within {limits.deadline:g} seconds" in text
    assert (limits.queue, limits.ring, limits.stall) == (1 << 20, 1 << 20, 30)
