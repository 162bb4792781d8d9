"""Contact lost and found again, each told once."""

from __future__ import annotations

from cli.contact import Contact
from sysmon.records import Status


def test_contact_is_lost_once_and_found_once() -> None:
    contact = Contact()
    told = []
    for second, state in enumerate(["connecting", "offline", "live", "late", "stale", "offline", "offline", "live"]):
        event = contact.take(Status(host="h", state=state, message="refused"), second * 1000)  # type: ignore[arg-type]
        if event is not None:
            told.append((second, event.kind, event.message))
    assert told == [
        (5, "host.down", "lost contact: refused"),
        (7, "host.up", "in contact again after 2.0 s"),
    ]


def test_a_target_that_was_never_heard_of_is_not_a_host_that_went() -> None:
    contact = Contact()
    assert contact.take(Status(host="", state="offline"), 1) is None
    assert contact.take(Status(host="h", state="offline"), 2) is None
