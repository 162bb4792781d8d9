"""A router with its LAN, and a host whose connections are known, made up of arithmetic; and the past of both."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from sysmon.config import HostSettings, ScreenSettings
from sysmon.errors import StoreError
from sysmon.frame import (
    ConnectionRow,
    DeviceRow,
    InterfaceRow,
    Number,
    ServiceRow,
    Tables,
    TalkerRow,
    join_key,
    split_key,
)
from sysmon.records import Evidence, KnownDevice, Usage
from sysmon.zones import span_of, zone_of
from tests.tui.scripted import START, Rig, Script, ScriptedHistory, make_app, rig, wave
from tests.tui.support import show, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.pilot import Pilot

    from sysmon.config import CapSettings
    from sysmon.frame import Fault
    from tui.glyphs import Glyphs

DAY = 86_400_000
NAMES = (
    ("Living-room TV", "Samsung Electronics Co.,Ltd", "television"), ("mira-phone", "Apple, Inc.", "phone"),
    ("work-laptop", "Dell Inc.", "computer"), ("nas", "Synology Incorporated", "storage"),
    ("日本語のタブレット", "HUAWEI TECHNOLOGIES CO.,LTD", "tablet"), ("", "Espressif Inc.", ""),
    ("printer\ufffd[2J", "Brother Industries", "printer"), ("a-very-long-host-name-that-nobody-would-type.lan", "", ""),
    ("xbox", "Microsoft Corporation", "console"), ("doorbell", "Ring LLC", "camera"), ("", "", ""),
    ("mira-phone", "Apple, Inc.", "phone"), ("thermostat", "Nest Labs Inc.", "thing"), ("📺 box", "Roku, Inc", ""),
    ("guest-1", "Intel Corporate", "computer"),
)  # fmt: skip


class Gateway(Script):
    """A router; its devices are looked at every second, so that tests need not wait.

    `count`: how many devices; `looks`: from which second on they were looked at.
    """

    count = 15
    counted = True

    def device_key(self, index: int) -> str:
        """The MAC of a device; of the eleventh it is not known."""
        if index == 10:
            return "192.168.1.110"
        return f"02:aa:bb:{index >> 16 & 255:02x}:{index >> 8 & 255:02x}:{index & 255:02x}"

    def device(self, index: int) -> DeviceRow:
        """One device."""
        name, vendor, category = NAMES[index % len(NAMES)]
        key = self.device_key(index)
        return DeviceRow(
            key=key, mac=key if ":" in key else "",
            addresses=[f"192.168.{1 + index // 150}.{100 + index % 150}", f"fd00::{index:x}"] if index % 3 else
            [f"192.168.{1 + index // 150}.{100 + index % 150}"],
            name=name if index < len(NAMES) or not name else f"{name}-{index}", name_from="lease" if name else "",
            vendor=vendor, category=category, source="nlbwmon" if self.counted else "", layer="L3" if self.counted else
            "", online=index % 5 != 4, network="home-5G" if index % 4 == 1 else "",
            signal=-48.0 - 3 * index if index % 4 == 1 and index < 15 else None,
            services=[
                ServiceRow("HTTPS", 4 << 30, 300 << 20, 1830), ServiceRow("QUIC", 2 << 30, 100 << 20, 240),
                ServiceRow("DNS", 3 << 20, 2 << 20, 9120), ServiceRow("tcp 8123", 1 << 20, 5 << 20, 12),
            ] if index < 3 and self.counted else [],
        )  # fmt: skip

    def readings(self, second: int) -> dict[str, Number]:
        """With the counters of the devices."""
        values = super().readings(second)
        for index in range(self.count if self.counted else 0):
            key = self.device_key(index)
            high = 4e6 / (1 + index) ** 1.5
            values[f"device.receive:{key}"] = int(high * second + high * 5 * (1 + math.sin(second / 9 + index)))
            values[f"device.transmit:{key}"] = int(high * second / 7)
            values[f"device.connections:{key}"] = max(0, 60 - 4 * index)
        return values

    def interface_rows(self) -> list[InterfaceRow]:
        """A line to the world, a bridge of two ports, and Wi-Fi."""
        return [
            InterfaceRow(name="wan", kind="ethernet", up=True, default_route=True, speed=125_000_000, mtu=1500,
                         physical=True, state="up", addresses=["203.0.113.7/24"]),
            InterfaceRow(name="br-lan", kind="bridge", up=True, mtu=1500, lower=["lan1", "wlan0"], state="up"),
            InterfaceRow(name="lan1", kind="ethernet", up=True, physical=True, master="br-lan", state="up", mtu=1500),
            InterfaceRow(name="lan2", kind="ethernet", up=False, physical=True, state="lowerlayerdown", mtu=1500),
            InterfaceRow(name="wlan0", kind="wifi", up=True, physical=True, network="home-5G", state="up", mtu=1500,
                         master="br-lan"),
            InterfaceRow(name="lo", kind="loopback", up=True, mtu=65536, state="unknown"),
        ]  # fmt: skip

    def tables(self, second: int) -> Tables:
        """With its devices."""
        found = [self.device(index) for index in range(self.count)]
        return msgspec.structs.replace(super().tables(second), devices=found)


class Talking(Script):
    """A host whose connections are known."""

    def talkers(self, second: int) -> list[TalkerRow]:
        """Who uses the line, with counters."""
        named = (
            ("rsync", "backup", "backup.service", ""), ("nginx", "www-data", "nginx.service", ""),
            ("postgres", "postgres", "", "web-db-1"), ("firefox with a rather long name", "mira", "", ""),
        )  # fmt: skip
        rows = [
            TalkerRow(key=f"process:{800 + index}", kind="process", pid=1 + 37 * index, started=10.0 + index,
                      name=name, user=user, unit=unit, container=container, connections=4 + index,
                      received=int(wave(second, 60, 1e6, 2e6) * 100 + second * 9e5 / (1 + index)),
                      sent=second * 200_000 * index, retransmitted=second * 9000 * (index == 1))
            for index, (name, user, unit, container) in enumerate(named)
        ]  # fmt: skip
        return [
            TalkerRow(key="other", kind="other", received=second * 2_000_000, sent=second * 900_000), *rows,
            TalkerRow(key="owner:33:nginx.service", kind="owner", user="www-data", unit="nginx.service", connections=9,
                      received=second * 3000, sent=second * 8000),
            TalkerRow(key="short:to:443", kind="short", name="443", received=second * 700, sent=second * 300),
        ]  # fmt: skip

    def connections(self, second: int) -> list[ConnectionRow]:
        """Its connections, with counters."""
        rows = [
            ConnectionRow(
                id=1000 + index, state="ESTABLISHED", local="192.0.2.10", local_port=40_000 + index,
                remote=f"198.51.100.{index}" if index % 3 else f"2001:db8:85a3::8a2e:370:{index:x}", remote_port=443,
                pid=1 + 37 * index if index % 4 else None, started=10.0 + index if index % 4 else None,
                name=("rsync", "nginx", "postgres", "firefox")[index % 4] if index % 4 else "",
                user=("backup", "www-data")[index % 2], unit="nginx.service" if index % 2 else "",
                received=second * 100_000 * index, sent=second * 20_000, retransmitted=second * 900 * (index == 2),
                rtt=0.0004 * (1 + index) ** 3,
            )
            for index in range(12)
        ]  # fmt: skip
        quic = ConnectionRow(id=99, protocol="udp", state="UNCONN", local="0.0.0.0", local_port=5353, user="avahi")
        return [*rows, quic]

    def tables(self, second: int) -> Tables:
        """With talkers and connections."""
        return msgspec.structs.replace(
            super().tables(second), talkers=self.talkers(second), connections=self.connections(second)
        )


class Ledger(ScriptedHistory):
    """A past with usage: of interfaces and devices by the hour, since 200 days.

    Attributes:
        fails: every read of usage fails.
        known: how many devices it knows; the last of them was not there for days.
        asked: (step, keys) of every question for usage.
    """

    fails = False
    known = 15
    cuts: tuple[int, ...] = ()
    aliases: dict[str, str]
    asked: list[tuple[str, tuple[str, ...]]]
    since = 70

    def names(self) -> list[str]:
        """The counters it has."""
        script = self.script
        keys = [
            join_key(metric, row.name) for row in script.interface_rows() for metric in ("net.receive", "net.transmit")
        ]
        if isinstance(script, Gateway):
            keys += [
                join_key(metric, script.device_key(index))
                for index in range(min(self.known, 300))
                for metric in ("device.receive", "device.transmit")
            ]
        return keys

    async def usage(self, host: str, start: int, end: int, step: str, keys: Sequence[str] = ()) -> list[Usage]:
        """So many bytes an hour, more in the evening; two days are missing, and one counter began anew."""
        self.asked = [*getattr(self, "asked", []), (step, tuple(keys))]
        await self._wait("usage")
        if self.fails:
            raise StoreError("the disk is on fire")
        zone = zone_of(self.script.info.timezone)
        now = START * 1000
        wanted = [key for key in self.names() if not keys or key in keys]
        at, found = max(start, now - self.since * DAY), []
        while at < min(end, now + 300_000):
            first, after = span_of(at, step, zone)
            hours = max(1, (min(after, now) - first) // 3_600_000)
            hour = first // 3_600_000 % 24
            evening = 1 + 3 * math.exp(-(((hour - 20) / 3) ** 2)) if step in ("hour", "fiveminute") else 1.6
            day = (now - first) // DAY
            if not (step == "day" and day in (8, 9)):
                for key in wanted:
                    metric, name = split_key(key)
                    weight = sum(map(ord, name)) % 17 + 1
                    size = 2e7 * weight * evening * hours * (1 + 0.5 * math.sin(first / DAY))
                    size /= 12 if step == "fiveminute" else 1
                    size /= 6 if metric.endswith("transmit") else 1
                    found.append(
                        Usage(host=host, key=key, start=first, end=after, bytes=int(size), at_least=name == "lan1",
                              estimated=name == "wlan0")
                    )  # fmt: skip
            at = after
        return found

    async def devices(self, host: str) -> list[KnownDevice]:
        """Those of the router, one with a name of the user's."""
        await self._wait("devices")
        script = self.script
        if not isinstance(script, Gateway):
            return []
        now = START * 1000
        aliases = getattr(self, "aliases", {2: "Mira's laptop"})
        return [
            KnownDevice(
                host=host, key=script.device_key(index), row=script.device(index), first=now - (100 - index % 90) * DAY,
                last=now - (index % 5 == 4) * (index * 7_000_000), alias=aliases.get(index, ""),
                category="media" if index == 0 else "",
            )
            for index in range(self.known)
        ]  # fmt: skip

    async def resets(self, host: str) -> list[int]:
        """When counting began anew."""
        return [*self.cuts]

    async def evidence(self, host: str, time: int) -> Evidence | None:
        """Who used the network then, with rates."""
        await self._wait("evidence")
        script = self.script
        second = time // 1000 - START - 12
        if not isinstance(script, Talking):
            return None
        rows = [
            msgspec.structs.replace(row, receive_rate=1000.0 * (index + 1), transmit_rate=10.0)
            for index, row in enumerate(script.talkers(max(1, second)))
        ]
        return Evidence(host=host, time=time - 12_000, processes=[], talkers=rows)


class Silent(Gateway):
    """A router whose devices were not looked at yet."""

    def tables(self, second: int) -> Tables:
        """Without devices."""
        return Script.tables(self, second)

    def readings(self, second: int) -> dict[str, Number]:
        """Without devices."""
        return Script.readings(self, second)


def staged(
    script: Script,
    history: ScriptedHistory | None = None,
    *,
    routers: Sequence[str] = (),
    caps: dict[str, CapSettings] | None = None,
    faults: Sequence[Fault] = (),
) -> Rig:
    """A host whose Network screen is the first.

    Args:
        script: the host.
        history: its past.
        routers: names of configured routers.
        caps: `[caps.NAME]`.
        faults: of every frame.
    """
    script.faults = (*script.faults, *faults)
    given = rig(script, history=history, screen=ScreenSettings(start="network"))
    given.services.local = script.host
    hosts = {name: HostSettings(name=name, target=f"ssh://root@{name}", router=True) for name in routers}
    given.services.config = msgspec.structs.replace(given.services.config, hosts=hosts, caps=caps or {})
    return given


async def press(pilot: Pilot[int], *keys: str) -> None:
    """Presses keys and lets the screen settle."""
    await pilot.press(*keys)
    for _ in range(2):
        await pilot.pause()


async def drawn(
    script: Script,
    *keys: str,
    size: tuple[int, int] = (120, 40),
    seconds: int = 4,
    history: Ledger | None = None,
    glyphs: Glyphs | None = None,
    theme: str = "sysmon-dark",
    **more: Any,
) -> list[str]:
    """The lines of the Network screen of a host after some keys."""
    given = staged(script, history or Ledger(script, range(60)), **more)
    app = make_app(given.services, glyphs=glyphs, theme_name=theme)
    async with app.run_test(size=size) as pilot:
        await show(pilot, given, seconds)
        await press(pilot, *keys)
        return text_of(app)
