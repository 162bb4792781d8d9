"""docs/wire.md names what there is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from remote import wire
from remote.push import batch, outbox, pushed, report, slices
from remote.push import pusher as push
from remote.server.permits import WRITES
from remote.server.routes import Routes
from sysmon.clock import SystemClock
from tests.remote.support import make_feed

if TYPE_CHECKING:
    from pathlib import Path


def test_every_endpoint_and_event_is_documented(checkout: Path) -> None:
    text = (checkout / "docs" / "wire.md").read_text()
    named = re.findall(r"^\| `(/?[a-z0-9/-]+)` \|", text, re.MULTILINE)
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


def test_what_is_said_of_pushing_is_what_the_code_does(checkout: Path) -> None:
    text = (checkout / "docs" / "push.md").read_text()
    wired = (checkout / "docs" / "wire.md").read_text()
    assert f"the newest frames, at most {push.LIVE}" in text
    assert f"slices of {slices.SLICE} frames and\n  {slices.PLAIN >> 10} KiB at most" in text
    assert f"{1 / push.PAUSE:.0f} a second" == "5 a second"
    assert f"up to {slices.MAX_PROCESSES:,} of them" in text
    assert f"the newest {outbox.RING_BYTES >> 20} MiB" in text
    assert f"{batch.MAX_BODY >> 20} MiB per report, {batch.MAX_PLAIN >> 20} MiB decompressed" in text
    assert f"at most {batch.MAX_BODY >> 20} MiB, {batch.MAX_PLAIN >> 20} MiB decompressed" in wired
    assert f"{batch.MAX_FRAMES} frames per report, {pushed.RATE:.0f} frames a second" in text
    assert f"behind {report.WAITING} others" in text
    assert pushed.marks(10.0) == (30.0, 60.0, 120.0)
    assert f"after {push.REFUSED.first / 2:.0f} to {push.REFUSED.first / 2 + push.REFUSED.most:.0f} seconds" in text
    assert WRITES[batch.PATH] == ("report", batch.MAX_BODY)
    members = set(batch.Report.__struct_fields__) | {"acknowledged", "server", "held", "since"}
    assert all(f'"{member}"' in wired for member in members)
    assert all(f"`{member}`" in wired for member in ("refused", "problem", "wanted"))
