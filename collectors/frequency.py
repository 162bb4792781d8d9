"""How fast each core runs now.

Asking wakes sleeping cores and, on some kernels, waits for them: so it is asked seldom, and off the loop.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from collectors.base import Collector, Reading, malformed, read_file
from sysmon.catalogue import gauge
from sysmon.errors import CollectorError, NoData

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.base import Roots

GRAIN = 1_000_000
"""Hertz that readings are rounded to."""

_HIGHEST = 1e12


def parse_frequency(text: str, path: str) -> int:
    """Parses scaling_cur_freq (kHz) into hertz.

    Raises:
        MalformedInput: not a number, or no frequency of a processor.
    """
    stripped = text.strip()
    if not stripped.isascii() or not stripped.isdecimal() or len(stripped) > 9 or not int(stripped):
        raise malformed(path, 1, stripped, "a frequency in kHz")
    return int(stripped) * 1000


def parse_cpuinfo(text: str, path: str = "/proc/cpuinfo") -> dict[int, float]:
    """Finds the frequency of each core in /proc/cpuinfo, in hertz; none on architectures that do not tell.

    Raises:
        MalformedInput: a frequency or a processor's number is none.
    """
    found: dict[int, float] = {}
    core = -1
    for number, line in enumerate(text.split("\n"), 1):
        if not line.startswith(("processor", "cpu MHz", "clock")):
            continue
        name, _, value = line.partition(":")
        name, value = name.strip(), value.strip()
        try:
            if name == "processor":
                core = int(value) if value.isascii() and value.isdecimal() and len(value) <= 6 else -1
            elif name in ("cpu MHz", "clock") and core >= 0:
                hertz = float(value.removesuffix("MHz")) * 1e6
                if not math.isfinite(hertz) or not 0 <= hertz < _HIGHEST:
                    raise ValueError
                if hertz:
                    found[core] = hertz
        except ValueError:
            raise malformed(path, number, line, "a frequency in MHz") from None
    return found


class FrequencyCollector(Collector):
    """Frequency per core from cpufreq, else from /proc/cpuinfo."""

    name = "frequency"
    help = "How fast each core runs"
    interval = 5.0
    blocking = True
    metrics = (
        gauge("cpu.frequency", "hertz", "How fast a core runs now", "cpufreq, else /proc/cpuinfo", instance="core"),
    )

    def __init__(self, roots: Roots, options: Mapping[str, object] | None = None) -> None:
        super().__init__(roots, options)
        self._folder = f"{roots.sys}/devices/system/cpu"
        self._cpuinfo = f"{roots.proc}/cpuinfo"

    def read(self) -> Reading:
        """Reads every online core's frequency.

        Raises:
            NoData: neither file tells one.
        """
        reading = Reading()
        try:
            names = [name for name in os.listdir(self._folder) if name[:3] == "cpu" and name[3:].isdecimal()]
        except OSError:
            names = []
        for name in names:
            path = f"{self._folder}/{name}/cpufreq/scaling_cur_freq"
            try:
                hertz = parse_frequency(read_file(path), path)
            except CollectorError:
                continue  # offline, or without cpufreq
            reading.values[f"cpu.frequency:{int(name[3:])}"] = round(hertz / GRAIN) * GRAIN
        if not reading.values:
            for core, found in parse_cpuinfo(read_file(self._cpuinfo), self._cpuinfo).items():
                reading.values[f"cpu.frequency:{core}"] = round(found / GRAIN) * GRAIN
        if not reading.values:
            raise NoData("neither cpufreq nor /proc/cpuinfo tells how fast the processors run")
        return reading


COLLECTOR = FrequencyCollector
