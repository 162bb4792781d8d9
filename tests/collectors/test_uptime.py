from hypothesis import given

from collectors.uptime import UptimeCollector, parse_uptime
from sysmon.errors import MalformedInput
from tests.collectors.hostile import mangled
from tests.collectors.trees import FIXTURES, known, tree

TEXT = (FIXTURES / "vm-quiet/proc/uptime").read_text()


def test_reads_seconds_since_boot() -> None:
    reading = UptimeCollector(tree("vm-quiet")).read()
    known(UptimeCollector, reading)
    assert reading.values["uptime"] == float(TEXT.split()[0])


@given(mangled(TEXT))
def test_any_text_gives_seconds_or_malformed_input(text: str) -> None:
    try:
        assert parse_uptime(text) >= 0
    except MalformedInput:
        pass
