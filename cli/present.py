"""What is known now of interfaces and devices: from the agent or recorder of this machine, else by looking itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

import msgspec

from sysmon.devices import Device, DeviceAnswer, present
from sysmon.errors import SysmonError
from sysmon.records import HostInfo, Status

if TYPE_CHECKING:
    from cli.context import Context

PAGE = 2_000
"""Devices asked for at once."""
MOST = 50_000
"""Devices taken from a recorder at most."""


class Present(NamedTuple):
    """What is known now.

    Attributes:
        own: id of this machine.
        devices: host id -> its interfaces and the devices behind it, without a past.
        who: who told: 'agent (pid 12) at unix:///…', or '' where this process looked itself.
        problem: why rates are absent, or ''.
        hosts: whom the recorder knows. `statuses`: how fresh they are.
    """

    own: str
    devices: dict[str, list[Device]]
    who: str
    problem: str
    hosts: dict[str, HostInfo]
    statuses: list[Status]

    def of(self, host: str, kind: str) -> list[Device]:
        """Returns those of one kind of one host."""
        return [each for each in self.devices.get(host, ()) if each.kind == kind]


class _Hosts(msgspec.Struct):
    hosts: list[HostInfo]
    statuses: list[Status] = []


async def look(context: Context, *, rates: bool = True) -> Present:
    """Returns what is known now.

    Args:
        context: where a recorder would be.
        rates: whether it is worth a second where nobody has them yet.
    """
    from cli.local import own_host
    from cli.neighbours import Neighbours

    own = own_host(context)
    neighbours = Neighbours(context.places, context.config.agent.port, own)
    found = await neighbours.find()
    problem = ""
    if found is not None:
        try:
            known = msgspec.json.decode(await neighbours.ask(found, "/v1/hosts"), type=_Hosts)
            devices: dict[str, list[Device]] = {}
            offset, total = 0, 1
            while offset < min(total, MOST):
                query = urlencode({"kind": "all", "totals": "no", "limit": PAGE, "offset": offset})
                answer = msgspec.json.decode(await neighbours.ask(found, f"/v1/devices?{query}"), type=DeviceAnswer)
                for each in answer.devices:
                    devices.setdefault(each.host, []).append(each)
                total, offset = answer.total, offset + PAGE
            who = f"{found.recorder or 'sysmon'} at {found.address}"
            return Present(own, devices, who, "", {info.id: info for info in known.hosts}, known.statuses)
        except (OSError, TimeoutError, ValueError, EOFError, RecursionError) as error:
            why = str(error) or type(error).__name__
            problem = f"{found.recorder or 'the sysmon'} at {found.address} does not tell: {why}"
    try:
        return Present(own, {own: await _sampled(context, own, 1.0 if rates else 0.0)}, "", problem, {}, [])
    except SysmonError as error:
        return Present(own, {}, "", str(error), {}, [])


async def _sampled(context: Context, own: str, spacing: float) -> list[Device]:
    """Reads this machine's interfaces twice, and nothing else."""
    from cli.local import make_runner

    runner = make_runner(context, only=("network",))
    state = await runner.once(spacing)
    return present(own, state, ("interface",))
