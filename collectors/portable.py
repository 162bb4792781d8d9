"""CPU, load, memory, sensors and users of macOS and FreeBSD, through psutil.

The names and units are those of Linux, as far as it goes. psutil is imported when a collector is made, so that Linux,
which reads its kernel's files directly, never pays for it.
"""

from __future__ import annotations

import os
import time
from typing import Any

from collectors._portable import SOURCE, Portable
from collectors.base import Reading
from sysmon.catalogue import counter, gauge
from sysmon.errors import NoData
from sysmon.frame import Number, SessionRow, Tables, clean_instance, clean_text, join_key


class PortableCpu(Portable):
    """Reads CPU times in all and per core."""

    name = "cpu"
    help = "CPU time by state and per core"
    metrics = (
        *(
            counter(f"cpu.time.{state}", "seconds", f"CPU time: {state}", SOURCE)
            for state in ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
        ),
        counter("cpu.time.busy", "seconds", "CPU time of a core in any state but idle", SOURCE, instance="core"),
        gauge("cpu.cores", "", "Logical processors", SOURCE),
        counter("cpu.context_switches", "", "Context switches", SOURCE),
        counter("cpu.interrupts", "", "Interrupts", SOURCE),
    )

    def read(self) -> Reading:
        """Reads once."""
        values: dict[str, Number] = {}
        cores = [_states(core) for core in self.call("cpu_times", percpu=True)]
        for state in {state for core in cores for state in core}:
            values[f"cpu.time.{state}"] = round(sum(core.get(state, 0.0) for core in cores), 6)
        for number, core in enumerate(cores):
            idle = core.get("idle", 0.0) + core.get("iowait", 0.0)
            values[join_key("cpu.time.busy", str(number))] = round(sum(core.values()) - idle, 6)
            values[join_key("cpu.time.idle", str(number))] = round(idle, 6)
        values["cpu.cores"] = len(cores)
        stats = self.call("cpu_stats")
        values["cpu.context_switches"] = stats.ctx_switches
        values["cpu.interrupts"] = stats.interrupts
        return Reading(values)


class PortableFrequency(Portable):
    """Reads the frequency of the processors."""

    name = "frequency"
    help = "frequency of the processors"
    interval = 5.0
    blocking = True
    metrics = (gauge("cpu.frequency", "hertz", "Present frequency", SOURCE, instance="core"),)

    def read(self) -> Reading:
        """Reads once."""
        cores = self.call("cpu_freq", percpu=True) or []
        values: dict[str, Number] = {
            join_key("cpu.frequency", str(number)): round(core.current * 1e6)
            for number, core in enumerate(cores)
            if core.current > 0
        }
        if not values:
            raise NoData("the platform tells no frequency")
        return Reading(values)


class PortableLoad(Portable):
    """Reads the load averages and how many processes there are."""

    name = "load"
    help = "load averages and number of processes"
    interval = 5.0
    metrics = (
        *(
            gauge(f"load.{span}", "", f"Load average over {span} min", "getloadavg(3)", precision=2)
            for span in (1, 5, 15)
        ),
        gauge("processes.count", "", "Processes", SOURCE),
    )

    def read(self) -> Reading:
        """Reads once."""
        values: dict[str, Number] = {}
        for span, value in zip((1, 5, 15), os.getloadavg(), strict=True):
            values[f"load.{span}"] = round(value, 2)
        values["processes.count"] = len(self.call("pids"))
        return Reading(values)


class PortableUptime(Portable):
    """Reads the time since boot."""

    name = "uptime"
    help = "time since boot"
    interval = 10.0
    metrics = (gauge("uptime", "seconds", "Time since boot, suspend included", SOURCE),)

    def read(self) -> Reading:
        """Reads once."""
        return Reading({"uptime": max(0, round(time.time() - self.call("boot_time")))})


class PortableMemory(Portable):
    """Reads memory and swap."""

    name = "memory"
    help = "memory and swap"
    metrics = (
        gauge("memory.total", "bytes", "Memory in all", SOURCE),
        gauge("memory.available", "bytes", "Memory that programs can have without swapping", SOURCE),
        gauge("memory.used", "bytes", "Memory in use: total less available", SOURCE),
        gauge("memory.free", "bytes", "Memory used for nothing", SOURCE),
        gauge("swap.total", "bytes", "Swap in all", SOURCE),
        gauge("swap.used", "bytes", "Swap in use", SOURCE),
    )

    def read(self) -> Reading:
        """Reads once."""
        memory, swap = self.call("virtual_memory"), self.call("swap_memory")
        return Reading(
            {
                "memory.total": memory.total,
                "memory.available": memory.available,
                "memory.used": memory.total - memory.available,
                "memory.free": memory.free,
                "swap.total": swap.total,
                "swap.used": swap.used,
            }
        )


class PortableSensors(Portable):
    """Reads temperatures, fans and the battery."""

    name = "sensors"
    help = "temperatures, fans and battery"
    interval = 5.0
    blocking = True
    metrics = (
        gauge("temperature", "celsius", "Temperature", SOURCE, precision=1, instance="sensor"),
        gauge("fan.speed", "rpm", "Speed of a fan", SOURCE, instance="sensor"),
        gauge("battery.charge", "ratio", "Charge", SOURCE, precision=3, instance="battery"),
        gauge("battery.remaining", "seconds", "Time left on the battery", SOURCE, instance="battery"),
        gauge("power.online", "", "Whether outside power is there: 1 or 0", SOURCE, instance="supply"),
    )

    def read(self) -> Reading:
        """Reads once."""
        values: dict[str, Number] = {}
        for function, metric, low, high in (
            ("sensors_temperatures", "temperature", -40.0, 150.0),
            ("sensors_fans", "fan.speed", 0.0, 50_000.0),
        ):
            if not hasattr(self.psutil, function):
                continue
            for chip, sensors in self.call(function).items():
                for number, sensor in enumerate(sensors):
                    label = clean_instance(f"{chip}/{sensor.label or number}")
                    # Sensors that are not connected show values no machine survives.
                    if sensor.current is not None and low < sensor.current < high:
                        values[join_key(metric, label)] = round(sensor.current, 1 if metric == "temperature" else 0)
        battery = self.call("sensors_battery") if hasattr(self.psutil, "sensors_battery") else None
        if battery is not None:
            values["battery.charge:BAT0"] = round(min(100.0, max(0.0, battery.percent)) / 100, 3)
            if battery.secsleft is not None and battery.secsleft > 0 and not battery.power_plugged:
                values["battery.remaining:BAT0"] = int(battery.secsleft)
            if battery.power_plugged is not None:
                values["power.online:AC"] = int(battery.power_plugged)
        if not values:
            raise NoData("the platform tells of no sensors")
        return Reading(values)


class PortableSessions(Portable):
    """Reads who is logged in."""

    name = "sessions"
    help = "logged-in users"
    interval = 30.0
    blocking = True
    metrics = (
        gauge("users.count", "", "Users who are logged in", SOURCE),
        gauge("users.sessions", "", "Sessions of users", SOURCE),
    )

    def read(self) -> Reading:
        """Reads once."""
        rows = [
            SessionRow(
                user=clean_text(user.name, 64),
                terminal=clean_text(user.terminal or "", 64),
                origin=clean_text(user.host or "", 255),
                since=user.started,
            )
            for user in self.call("users")
        ]
        return Reading(
            {"users.count": len({row.user for row in rows}), "users.sessions": len(rows)}, Tables(sessions=rows)
        )


COLLECTORS = (
    PortableCpu,
    PortableFrequency,
    PortableLoad,
    PortableUptime,
    PortableMemory,
    PortableSensors,
    PortableSessions,
)


def _states(times: Any) -> dict[str, float]:
    """Returns the seconds of one core by state (guest time is inside user); what a platform lacks is left out."""
    known = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    return {state: float(getattr(times, state)) for state in known if hasattr(times, state)}
