"""Pressure stall information: for how long tasks waited for processor, memory, I/O or interrupts.

In a container with a control group of version 2 the pressure is the container's own, the host's is `host.pressure.*`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.base import Collector, Reading, malformed, read_file, whole_proc
from collectors.capacity import container_cgroup, host_values, of_host
from sysmon.catalogue import Formula, counter, derived
from sysmon.errors import Denied, MalformedInput, NoData, Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.base import Roots
    from sysmon.catalogue import Metric
    from sysmon.frame import Number

RESOURCES = ("cpu", "memory", "io", "irq")
"""What tasks can wait for, and the files of /proc/pressure."""

HINT = "needs Linux 4.20 with CONFIG_PSI; where that is built in but off, boot with psi=1"

_LARGEST = 1 << 63
_WORDS = {"cpu": "a processor", "memory": "memory", "io": "I/O", "irq": "interrupts"}


def parse_pressure(text: str, path: str) -> dict[str, float]:
    """Parses a pressure file into 'some' and 'full' -> seconds stalled in total.

    Raises:
        MalformedInput: neither line is there, or one has no total.

    Source: Documentation/accounting/psi.rst; totals are in microseconds.
    """
    found: dict[str, float] = {}
    for number, line in enumerate(text.split("\n"), 1):
        kind = line[:5]
        if kind not in ("some ", "full "):
            continue
        total = line.rpartition(" total=")[2].strip()
        if not total.isascii() or not total.isdecimal() or len(total) > 19 or int(total) >= _LARGEST:
            raise malformed(path, number, line, "a line of pressure with its total")
        found[kind[:4]] = int(total) / 1e6
    if not found:
        raise malformed(path, 1, text, "'some' or 'full' pressure")
    return found


def _metrics() -> tuple[Metric, ...]:
    made: list[Metric] = []
    for resource, kinds in (
        ("cpu", ("some", "full")),
        ("memory", ("some", "full")),
        ("io", ("some", "full")),
        ("irq", ("full",)),
    ):
        for kind in kinds:
            who = "some task" if kind == "some" else "every task that was not idle"
            name = f"pressure.{resource}.{kind}"
            made.append(
                counter(
                    f"{name}.time",
                    "seconds",
                    f"Time in which {who} waited for {_WORDS[resource]}",
                    f"pressure/{resource}",
                )
            )
            formula = Formula("rate", (f"{name}.time",), ceiling=1.0)
            made.append(derived(name, "ratio", f"Share of time in which {who} waited for {_WORDS[resource]}", formula))
    return tuple(made)


class PressureCollector(Collector):
    """Stall times from /proc/pressure."""

    name = "pressure"
    help = "Time lost to waiting for processor, memory, I/O and interrupts (PSI)"
    metrics = (*_metrics(), *of_host(_metrics()))

    def __init__(self, roots: Roots, options: Mapping[str, object] | None = None) -> None:
        super().__init__(roots, options)
        self._host = {resource: f"{roots.proc}/pressure/{resource}" for resource in RESOURCES}
        group = container_cgroup(roots)
        paths = {resource: group.pressure(resource) for resource in RESOURCES} if group is not None else {}
        self._group = {resource: path for resource, path in paths.items() if path is not None}

    def read(self) -> Reading:
        """Reads what the kernel has of the files.

        Raises:
            Unsupported: it has none. NoData: they are not mounted.
        """
        reading = Reading()
        host = self._read(self._host, reading, host=True)
        own = self._read(self._group, reading, host=False) if self._group else {}
        reading.values = own | host_values(host) if own else host
        if not reading.values and not reading.faults:
            if hint := whole_proc(self._host["cpu"]):
                raise NoData(f"{self.roots.proc}/pressure does not exist", hint)
            raise Unsupported("this kernel keeps no pressure stall information", HINT)
        return reading

    def _read(self, paths: dict[str, str], reading: Reading, *, host: bool) -> dict[str, Number]:
        values: dict[str, Number] = {}
        for resource, path in paths.items():
            try:
                found = parse_pressure(read_file(path), path)
            except (NoData, Unsupported):
                continue  # interrupts since Linux 6.1; with PSI off, opening or reading is refused
            except (Denied, MalformedInput) as error:
                reading.faults.append(self.fault(error))
                continue
            for kind, seconds in found.items():
                if kind == "full" and resource == "cpu" and host:
                    continue  # not defined for a whole machine; the kernel says 0
                values[f"pressure.{resource}.{kind}.time"] = seconds
        return values


COLLECTOR = PressureCollector
