"""How fresh a host is held to be: by its source's word, else by the age of its frames."""

from __future__ import annotations

from sysmon.frame import Frame
from sysmon.records import HostInfo, Status
from tests.tui.scripted import catalogue
from tui.model import Model

SECOND = 1_000_000_000


def test_a_host_whose_frames_come_ten_at_once_is_as_fresh_as_its_source_says() -> None:
    model = Model(catalogue())
    model.take(HostInfo(id="a1"))
    frame = Frame(host="a1", boot="b", run="r", seq=1, time=1000, monotonic=1, full=True, intervals={"load": 1.0})
    model.take(frame, 100 * SECOND)
    host = model.hosts["a1"]
    assert host.liveness(109 * SECOND) == ("late", 9.0), "nobody has said anything: this host's own collectors"
    model.take(Status(host="a1", state="live"))
    assert host.liveness(109 * SECOND) == ("live", 9.0)
    model.take(Status(host="a1", state="late"))
    assert host.liveness(101 * SECOND) == ("late", 1.0)
