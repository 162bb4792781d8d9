"""What the table of devices says where it has nothing to show, and what its sources can and cannot tell. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sysmon.devicesources import LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sysmon.config import Config
    from sysmon.frame import DeviceRow
    from tui.devicerows import Device
    from tui.model import HostModel, Model, View

_STATES: Final = ("stale", "offline")


def source_label(row: DeviceRow) -> str:
    """What counts a device's bytes, with the layer: `nlbwmon L3`."""
    return f"{row.source} {row.layer}".strip()


def limits(row: DeviceRow) -> str:
    """What the numbers of a device are, and what they leave out."""
    return LIMITS.get(row.source, f"as {row.source} counts them")


def sources(rows: Iterable[DeviceRow]) -> list[str]:
    """The sources that count some of the devices, in the order of their names."""
    return sorted({source_label(row) for row in rows if row.source})


def is_router(host: HostModel, config: Config) -> bool:
    """Whether a host is, or was seen to be, asked for the devices behind it."""
    info = host.info
    if any(each.router and each.name == info.name for each in config.hosts.values()):
        return True
    state = host.state
    told = state.tables.devices is not None or "devices" in state.reads or "devices" in state.intervals
    return told or any(fault.collector == "devices" and fault.kind != "unsupported" for fault in state.faults)


def routers(model: Model, config: Config) -> list[HostModel]:
    """The hosts whose devices can be shown, by name."""
    found = [host for host in model.hosts.values() if is_router(host, config)]
    return sorted(found, key=lambda host: host.info.label)


def why_empty(view: View, model: Model, config: Config, key: str, *, reading: bool, problem: str) -> list[str]:
    """Why there are no devices, and what would help, a line each.

    Args:
        view: the moment shown.
        model, config: all hosts, heard of and configured.
        key: of the action that shows another router.
        reading: whether the history is being asked.
        problem: why it could not be.
    """
    info = view.info
    host = model.hosts.get(info.id)
    if host is not None and is_router(host, config):
        return _of_router(view, reading=reading, problem=problem)
    others = [each for each in routers(model, config) if each.info.id != info.id]
    if others:
        named = ", ".join(each.info.label for each in others[:4]) + (", ..." if len(others) > 4 else "")
        return [f"{info.label} is no router; {named} {'is' if len(others) == 1 else 'are'}", f"{key} shows its devices"]
    waiting = [each for each in config.hosts.values() if each.router]
    if waiting:
        lines = []
        for each in waiting[:4]:
            status = next((status for status in model.unreached.values() if status.name == each.name), None)
            words = status.message or status.state if status is not None else "not heard of yet"
            lines.append(f"router {each.name} ({each.target}): {words}")
        return lines
    return no_router(config)


def no_router(config: Config) -> list[str]:
    """What is to be written to have a router asked."""
    place = str(config.source) if config.source is not None else "config.toml (`sysmon config path`)"
    return [
        "no router is configured; to see who uses the line, add to",
        place,
        "",
        "[routers.home]",
        'target = "ssh://root@192.168.1.1"',
        "",
        "or run: sysmon hosts add home ssh://root@192.168.1.1 --router",
    ]


def _of_router(view: View, *, reading: bool, problem: str) -> list[str]:
    label = view.info.label
    if view.status.state == "replay":
        if problem:
            return [f"the devices of {label} cannot be read: {problem}"]
        return ["reading" if reading else f"no device of {label} was known by then"]
    faults = [fault for fault in view.state.faults if fault.collector == "devices"]
    if view.status.state in _STATES:
        return [f"router {label} is {view.status.state}", view.status.message]
    if faults:
        return [line for fault in faults[:2] for line in (fault.message, fault.hint) if line]
    if problem:
        return [f"the devices of {label} cannot be read: {problem}"]
    if view.state.tables.devices is None:
        return [f"waiting for the first look at the devices of {label}", "it is taken every 30 s"]
    return [f"{label} has no device in its neighbours, leases or counters"]


def note_of(view: View, rows: Sequence[Device]) -> str:
    """What is not whole about the devices shown: a fault, or rates that still wait; '' where nothing is."""
    if view.status.state == "replay":
        return "" if view.state.tables.devices is not None else "names and addresses are those last known"
    faults = [fault for fault in view.state.faults if fault.collector == "devices"]
    if faults:
        return faults[0].message
    if view.status.state in _STATES:
        return f"router is {view.status.state}"
    if rows and not any(row.row.source for row in rows):
        return "nothing there counts bytes by device"
    if view.state.tables.devices is not None and all(row.rate is None for row in rows):
        return "rates come with the second look"
    return ""
