"""What metrics are called in node_exporter: one table, read in both directions.

`remote.foreign.nodeexporter` reads node_exporters by it, `remote.foreign.openmetrics` writes by it,
docs/others.md shows it. Here are those whose values are the same on both sides; what must be
worked out is in those modules.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

CPU_STATES: Final = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
"""Modes of `node_cpu_seconds_total` that are states of `cpu.time.STATE`."""
IDLE_STATES: Final = frozenset({"idle", "iowait"})
"""Those in which a core does nothing."""
PAGE: Final = 4096
"""Bytes of a page on x86; elsewhere an exporter does not tell, and counts of pages stay unread."""
X86: Final = frozenset({"x86_64", "i386", "i486", "i586", "i686"})
"""Machines whose pages have `PAGE` bytes."""


class Name(NamedTuple):
    """One metric on both sides.

    Attributes:
        ours: name in the catalogue.
        theirs: name of node_exporter's samples.
        label: theirs that holds our instance, '' where there is none.
        scale: what their value is multiplied with to give ours.
        typed: False where node_exporter declares no type, so that its name need not end as its kind wants.
    """

    ours: str
    theirs: str
    label: str = ""
    scale: float = 1
    typed: bool = True


def _memory(ours: str, theirs: str) -> Name:
    return Name(ours, f"node_memory_{theirs}_bytes")


def _net(ours: str, theirs: str) -> Name:
    return Name(f"net.{ours}", f"node_network_{theirs}_total", "device")


def _disk(ours: str, theirs: str) -> Name:
    return Name(f"disk.{ours}", f"node_disk_{theirs}", "device")


def _netstat(ours: str, theirs: str) -> Name:
    return Name(ours, f"node_netstat_{theirs}", typed=False)


NAMES: Final[tuple[Name, ...]] = (
    Name("cpu.context_switches", "node_context_switches_total"),
    Name("cpu.interrupts", "node_intr_total"),
    Name("cpu.frequency", "node_cpu_scaling_frequency_hertz", "cpu"),
    Name("processes.created", "node_forks_total"),
    Name("processes.running", "node_procs_running"),
    Name("processes.blocked", "node_procs_blocked"),
    Name("processes.count", "node_processes_pids"),
    Name("processes.threads", "node_processes_threads"),
    Name("boot.time", "node_boot_time_seconds"),
    Name("load.1", "node_load1"),
    Name("load.5", "node_load5"),
    Name("load.15", "node_load15"),
    _memory("memory.total", "MemTotal"),
    _memory("memory.free", "MemFree"),
    _memory("memory.available", "MemAvailable"),
    _memory("memory.buffers", "Buffers"),
    _memory("memory.cached", "Cached"),
    _memory("memory.shared", "Shmem"),
    _memory("memory.slab", "Slab"),
    _memory("memory.slab.reclaimable", "SReclaimable"),
    _memory("memory.anonymous", "AnonPages"),
    _memory("memory.page_tables", "PageTables"),
    _memory("memory.dirty", "Dirty"),
    _memory("memory.writeback", "Writeback"),
    _memory("memory.committed", "Committed_AS"),
    _memory("swap.total", "SwapTotal"),
    _memory("swap.free", "SwapFree"),
    _memory("swap.cached", "SwapCached"),
    _memory("swap.zswap.used", "Zswap"),
    _memory("swap.zswap.stored", "Zswapped"),
    Name("memory.arc", "node_zfs_arc_size", typed=False),
    Name("swap.in", "node_vmstat_pswpin", scale=PAGE, typed=False),
    Name("swap.out", "node_vmstat_pswpout", scale=PAGE, typed=False),
    Name("memory.major_faults", "node_vmstat_pgmajfault", typed=False),
    Name("memory.oom_kills", "node_vmstat_oom_kill", typed=False),
    Name("pressure.cpu.some.time", "node_pressure_cpu_waiting_seconds_total"),
    Name("pressure.memory.some.time", "node_pressure_memory_waiting_seconds_total"),
    Name("pressure.memory.full.time", "node_pressure_memory_stalled_seconds_total"),
    Name("pressure.io.some.time", "node_pressure_io_waiting_seconds_total"),
    Name("pressure.io.full.time", "node_pressure_io_stalled_seconds_total"),
    Name("pressure.irq.full.time", "node_pressure_irq_stalled_seconds_total"),
    _net("receive", "receive_bytes"),
    _net("receive.packets", "receive_packets"),
    _net("receive.errors", "receive_errs"),
    _net("receive.drops", "receive_drop"),
    _net("receive.multicast", "receive_multicast"),
    _net("transmit", "transmit_bytes"),
    _net("transmit.packets", "transmit_packets"),
    _net("transmit.errors", "transmit_errs"),
    _net("transmit.drops", "transmit_drop"),
    _net("transmit.collisions", "transmit_colls"),
    Name("net.link_speed", "node_network_speed_bytes", "device"),
    _disk("read", "read_bytes_total"),
    _disk("write", "written_bytes_total"),
    _disk("read.operations", "reads_completed_total"),
    _disk("write.operations", "writes_completed_total"),
    _disk("read.time", "read_time_seconds_total"),
    _disk("write.time", "write_time_seconds_total"),
    _disk("busy.time", "io_time_seconds_total"),
    _disk("queue.time", "io_time_weighted_seconds_total"),
    _disk("in_flight", "io_now"),
    Name("fs.size", "node_filesystem_size_bytes", "mountpoint"),
    Name("fs.free", "node_filesystem_free_bytes", "mountpoint"),
    Name("fs.available", "node_filesystem_avail_bytes", "mountpoint"),
    Name("fs.inodes.total", "node_filesystem_files", "mountpoint"),
    _netstat("tcp.opens.active", "Tcp_ActiveOpens"),
    _netstat("tcp.opens.passive", "Tcp_PassiveOpens"),
    _netstat("tcp.failed_attempts", "Tcp_AttemptFails"),
    _netstat("tcp.resets", "Tcp_EstabResets"),
    _netstat("tcp.receive.segments", "Tcp_InSegs"),
    _netstat("tcp.transmit.segments", "Tcp_OutSegs"),
    _netstat("tcp.retransmits", "Tcp_RetransSegs"),
    _netstat("tcp.receive.errors", "Tcp_InErrs"),
    _netstat("tcp.listen.overflows", "TcpExt_ListenOverflows"),
    _netstat("tcp.listen.drops", "TcpExt_ListenDrops"),
    _netstat("udp.receive.datagrams", "Udp_InDatagrams"),
    _netstat("udp.transmit.datagrams", "Udp_OutDatagrams"),
    _netstat("udp.receive.errors", "Udp_InErrors"),
    _netstat("udp.no_port", "Udp_NoPorts"),
    Name("sockets.used", "node_sockstat_sockets_used"),
    Name("sockets.tcp", "node_tcp_connection_states", "state"),
    Name("sockets.tcp.orphan", "node_sockstat_TCP_orphan"),
    Name("sockets.tcp.memory", "node_sockstat_TCP_mem_bytes"),
    Name("battery.charge", "node_power_supply_capacity", "power_supply", scale=0.01),
    Name("battery.cycles", "node_power_supply_cyclecount", "power_supply"),
    Name("power.online", "node_power_supply_online", "power_supply"),
)
"""Metrics with the same value on both sides, but for a factor."""

SENSORS: Final[dict[str, str]] = {
    "node_hwmon_temp_celsius": "temperature",
    "node_hwmon_temp_max_celsius": "temperature.high",
    "node_hwmon_temp_crit_celsius": "temperature.critical",
    "node_hwmon_fan_rpm": "fan.speed",
    "node_hwmon_power_average_watt": "power.draw",
}
"""Theirs, with labels `chip` and `sensor`, and ours with the instance CHIP/SENSOR."""

WORKED_OUT: Final[dict[str, str]] = {
    "cpu.time.STATE": "node_cpu_seconds_total, its `cpu`s added up",
    "cpu.time.busy:N, cpu.time.idle:N": "node_cpu_seconds_total of one `cpu`, read only",
    "cpu.cores": "how many `cpu`s node_cpu_seconds_total has",
    "memory.used": "node_memory_MemTotal_bytes less node_memory_MemAvailable_bytes",
    "memory.hugepages.total, memory.hugepages.free": "node_memory_HugePages_* times node_memory_Hugepagesize_bytes",
    "swap.used": "node_memory_SwapTotal_bytes less node_memory_SwapFree_bytes",
    "fs.used": "node_filesystem_size_bytes less node_filesystem_free_bytes",
    "fs.inodes.used": "node_filesystem_files less node_filesystem_files_free",
    "sockets.udp": "node_sockstat_UDP_inuse and node_sockstat_UDP6_inuse",
    "temperature": "node_hwmon_temp_celsius, node_thermal_zone_temp",
    "uptime": "node_time_seconds less node_boot_time_seconds",
    "power.energy": "node_rapl_*_joules_total, read only",
}
"""What takes more than a name, for people."""


def table() -> str:
    """Returns the table of docs/others.md: our metrics, and the samples of node_exporter that they are."""
    rows = {name.ours: (_described(name), name.theirs) for name in NAMES}
    sensors = {ours: f"{theirs}, by `chip` and `sensor`" for theirs, ours in SENSORS.items()}
    lines = ["| sysmon | node_exporter |", "|---|---|"]
    lines += [f"| `{ours}{instance}` | `{theirs}` |" for ours, (instance, theirs) in sorted(rows.items())]
    lines += [f"| `{ours}:CHIP/SENSOR` | {_quoted(theirs)} |" for ours, theirs in sorted(sensors.items())]
    lines += [f"| `{ours}` | {_quoted(theirs)} |" for ours, theirs in WORKED_OUT.items()]
    return "\n".join(lines) + "\n"


def _described(name: Name) -> str:
    return f":{name.label.upper()}" if name.label else ""


def _quoted(text: str) -> str:
    """Marks the names in a text as code."""
    return re.sub(r"node_[A-Za-z0-9_*]+", lambda match: f"`{match[0]}`", text)
