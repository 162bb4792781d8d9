"""Sensors: names that tell parts apart, values that cannot be, batteries, and devices left asleep."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors._supplies import read_supplies
from collectors.base import Roots
from collectors.sensors import SensorsCollector, celsius, value_of
from sysmon.errors import NoData


class Machine:
    """A made-up /sys."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, path: str, text: object) -> None:
        file = self.root / "sys" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")

    def link(self, path: str, target: str) -> None:
        file = self.root / "sys" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        (self.root / "sys" / target).mkdir(parents=True, exist_ok=True)
        file.symlink_to(os.path.relpath(self.root / "sys" / target, file.parent))

    def chip(self, number: int, name: str, device: str = "", **files: object) -> str:
        folder = f"class/hwmon/hwmon{number}"
        self.put(f"{folder}/name", name)
        if device:
            self.link(f"{folder}/device", device)
        for file, value in files.items():
            self.put(f"{folder}/{file}", value)
        return folder

    def collector(self, **options: object) -> SensorsCollector:
        return SensorsCollector(Roots(self.root, live=False), options)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_quiet_machine(fixtures: Path) -> None:
    values = SensorsCollector(Roots(fixtures / "vm-quiet", live=False)).read().values
    # The thermal zone is the same sensor as the chip acpitz; f75375 keeps its files where old drivers do.
    temperatures = {key: value for key, value in values.items() if key.startswith("temperature:")}
    assert temperatures == {
        "temperature:acpitz/temp1": 51.3,
        "temperature:nvme/Composite": 49.9,
        "temperature:lm75/temp1": 45.0,
    }
    assert values["temperature.critical:nvme/Composite"] == 99.8
    assert values["fan.speed:f75375/fan1"] == 1500
    assert values["battery.charge:BAT0"] == pytest.approx(0.9156)
    assert values["battery.power:BAT0"] == 9.0
    assert values["battery.remaining:BAT0"] == pytest.approx(41.2 / 9 * 3600, rel=0.01)
    assert values["power.online:ACAD"] == 0


def test_two_disks_with_the_same_label_are_told_apart(machine: Machine) -> None:
    for index in (0, 1):
        machine.chip(index, "nvme", f"devices/pci/nvme/nvme{index}", temp1_input=40000 + index, temp1_label="Composite")
    machine.chip(2, "drivetemp", "devices/ata/0:0:0:0", temp1_input=33000)
    machine.put("devices/ata/0:0:0:0/block/sda/size", 1)
    values = machine.collector().read().values
    assert set(values) == {
        "temperature:nvme0/Composite",
        "temperature:nvme1/Composite",
        "temperature:sda/temp1",
    }


def test_two_packages_and_two_equal_labels(machine: Machine) -> None:
    for index in (0, 1):
        machine.chip(
            index,
            "coretemp",
            f"devices/platform/coretemp.{index}",
            temp1_input=50000,
            temp1_label=f"Package id {index}",
            temp2_input=51000,
            temp2_label="Core 0",
            temp3_input=52000,
            temp3_label="Core 0",
        )
    assert set(machine.collector().read().values) == {
        *(f"temperature:coretemp.{index}/Package id {index}" for index in (0, 1)),
        *(f"temperature:coretemp.{index}/Core 0" for index in (0, 1)),
        *(f"temperature:coretemp.{index}/Core 0 #2" for index in (0, 1)),
    }


@pytest.mark.parametrize("raw", [-128000, -50000, 127000, 127875, 128000, 200000, 255000, 65261850])
def test_temperatures_that_cannot_be(raw: int) -> None:
    assert celsius(raw) is None


@given(st.integers())
def test_any_number_is_possible_or_nothing(raw: int) -> None:
    degrees = value_of("temp", raw)
    assert degrees is None or -50 < degrees < 200
    turns = value_of("fan", raw)
    assert turns is None or 0 <= turns < 60_000


def test_a_sensor_that_turns_impossible_is_a_fault(machine: Machine) -> None:
    folder = machine.chip(0, "nct6775", temp1_input=41000, temp2_input=-128000, temp3_input=0, fan1_input=900)
    collector = machine.collector()
    reading = collector.read()
    assert set(reading.values) == {"temperature:nct6775/temp1", "fan.speed:nct6775/fan1"}
    assert not reading.faults, "what never was right is not there"
    machine.put(f"{folder}/temp1_input", 255000)
    reading = collector.read()
    assert "temperature:nct6775/temp1" not in reading.values
    assert [fault.kind for fault in reading.faults] == ["failed"]
    assert "255000" in reading.faults[0].message
    machine.put(f"{folder}/temp1_input", 0)
    assert collector.read().values["temperature:nct6775/temp1"] == 0, "one that worked is believed"
    (machine.root / "sys" / folder / "temp1_input").unlink()
    assert [fault.kind for fault in collector.read().faults] == ["no_data"]


def test_a_fault_file_is_believed(machine: Machine) -> None:
    machine.chip(0, "x", temp1_input=41000, temp1_fault=1, temp2_input=41000, temp2_fault=0)
    assert set(machine.collector().read().values) == {"temperature:x/temp2"}


def test_a_device_that_sleeps_is_not_read(machine: Machine) -> None:
    machine.chip(0, "amdgpu", "devices/pci/0000:03:00.0", temp1_input=41000, power1_average=25_500_000)
    status = "devices/pci/0000:03:00.0/power/runtime_status"
    machine.put(status, "active")
    collector = machine.collector()
    assert collector.read().values == {"temperature:amdgpu/temp1": 41.0, "power.draw:amdgpu/power1": 25.5}
    machine.put(status, "suspended")
    reading = collector.read()
    assert reading.values == {}
    assert {fault.kind for fault in reading.faults} == {"no_data"}


def test_thermal_zones_that_hwmon_does_not_show(machine: Machine) -> None:
    machine.chip(0, "coretemp", temp1_input=50000)
    for index, (kind, degrees) in enumerate([("x86_pkg_temp", 50000), ("gpu-thermal", 43000), ("gpu-thermal", 44000)]):
        zone = f"class/thermal/thermal_zone{index}"
        machine.put(f"{zone}/type", kind)
        machine.put(f"{zone}/temp", degrees)
    machine.put("class/thermal/thermal_zone1/trip_point_0_type", "critical")
    machine.put("class/thermal/thermal_zone1/trip_point_0_temp", 105000)
    assert machine.collector().read().values == {
        "temperature:coretemp/temp1": 50.0,
        "temperature:gpu-thermal/zone1": 43.0,
        "temperature.critical:gpu-thermal/zone1": 105.0,
        "temperature:gpu-thermal/zone2": 44.0,
    }


def test_a_chip_that_comes_is_found(machine: Machine) -> None:
    machine.chip(0, "a", temp1_input=41000)
    collector = machine.collector(exclude=["b/temp2"])
    collector.read()
    machine.chip(1, "b", temp1_input=42000, temp2_input=43000)
    assert set(collector.read().values) == {"temperature:a/temp1", "temperature:b/temp1"}


def test_nothing_to_measure(machine: Machine) -> None:
    with pytest.raises(NoData):
        machine.collector().read()


def supply(machine: Machine, name: str, **files: object) -> dict[str, float]:
    for file, value in files.items():
        machine.put(f"class/power_supply/{name}/{file}", value)
    found = read_supplies(str(machine.root / "sys"))
    return {key.removesuffix(f":{name}"): value for key, value in found.items()}


def test_a_battery_told_as_charge(machine: Machine) -> None:
    values = supply(
        machine,
        "BAT1",
        type="Battery",
        present=1,
        status="Charging",
        charge_now=1_500_000,
        charge_full=3_000_000,
        charge_full_design=4_000_000,
        current_now=-500_000,
        voltage_now=12_000_000,
        cycle_count=210,
    )
    assert values == {
        "battery.charge": 0.5,
        "battery.health": 0.75,
        "battery.cycles": 210,
        "battery.power": -6.0,
        "battery.time_to_full": 10800,
    }


def test_a_battery_that_knows_percent_only(machine: Machine) -> None:
    assert supply(machine, "BAT0", type="Battery", capacity=41, status="Discharging") == {"battery.charge": 0.41}


def test_no_battery_in_its_place_and_other_peoples_batteries(machine: Machine) -> None:
    assert supply(machine, "BAT0", type="Battery", present=0, capacity=0) == {}
    assert supply(machine, "hidpp_battery_0", type="Battery", scope="Device", capacity=80) == {}
    found = read_supplies(str(machine.root / "sys"), peripherals=True)
    assert found == {"battery.charge:hidpp_battery_0": 0.8}


def test_energy_of_the_processor(machine: Machine) -> None:
    for zone, name, energy in [
        ("intel-rapl:0", "package-0", 5_000_000),
        ("intel-rapl:0:0", "core", 2_000_000),
        ("intel-rapl-mmio:0", "package-0", 9_000_000),
    ]:
        machine.put(f"class/powercap/{zone}/name", name)
        machine.put(f"class/powercap/{zone}/energy_uj", energy)
    values = machine.collector().read().values
    assert values == {"power.energy:package-0": 5.0, "power.energy:package-0/core": 2.0}
