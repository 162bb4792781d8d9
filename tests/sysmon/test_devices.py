"""What is told of devices now and of what the history knows of them."""

from __future__ import annotations

from collectors.registry import catalogue
from sysmon.derive import State
from sysmon.devices import present, told
from sysmon.frame import DeviceRow, Tables
from sysmon.records import KnownDevice
from tests.remote.support import frame

ROUTER = "b" * 16


def test_one_that_is_there_was_seen_at_the_last_look() -> None:
    state = State(catalogue())
    rows = [DeviceRow(key="a", online=True), DeviceRow(key="b")]
    look = frame(1, host=ROUTER)
    state.apply(
        frame(
            1,
            host=ROUTER,
            readings={"device.receive:a": 5, "device.transmit:a": 6},
            reads={"devices": look.monotonic},
            tables=Tables(devices=rows),
        )
    )
    later = frame(8, host=ROUTER)
    state.apply(later)
    assert later.time > look.time
    here = {each.name: each for each in present(ROUTER, state, ("device",))}
    assert (here["a"].last, here["b"].last) == (look.time, None)
    # What is kept is older by up to some minutes.
    kept = KnownDevice(host=ROUTER, key="a", row=rows[0], first=look.time - 900_000, last=look.time - 200_000)
    assert (told(kept, here["a"]).first, told(kept, here["a"]).last) == (kept.first, look.time)
    assert told(kept, None).last == kept.last
