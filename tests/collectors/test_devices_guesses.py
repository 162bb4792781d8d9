"""Vendors of MACs, and what sort of thing a device is."""

import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors._router.category import CATEGORIES, MOSTLY, NAMES, VENDORS, category_of
from collectors._router.oui import FILE, Registry, packed, vendor_of
from sysmon.frame import ServiceRow, clean_text

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("mac", "vendor"),
    [
        ("00:03:93:12:34:56", "Apple"),
        ("b8:27:eb:12:34:56", "Raspberry Pi Foundation"),
        ("24:0a:c4:12:34:56", "Espressif"),
        ("00:11:32:12:34:56", "Synology"),
        ("00:00:0c:12:34:56", "Cisco Systems"),
        # Blocks that are handed on in parts, and such as nobody has.
        ("00:50:c2:12:34:56", ""),
        ("fc:ff:fc:12:34:56", ""),
        # Made up by the device.
        ("02:03:93:12:34:56", ""),
        ("192.168.1.7", ""),
        ("", ""),
    ],
)
def test_vendors(mac: str, vendor: str) -> None:
    assert vendor_of(mac) == vendor


def test_the_registry_is_whole_and_small() -> None:
    data = FILE.read_bytes()
    assert len(zlib.compress(data)) <= 400_000
    registry = Registry(FILE)
    assert len(registry) > 30_000
    names = {registry.find(registry._prefix(index)) for index in range(0, len(registry), 37)}
    assert "" not in names and all(name == clean_text(name, 30) for name in names)


@given(st.dictionaries(st.integers(0, (1 << 24) - 1), st.sampled_from([f"name {n}" for n in range(300)] + ["é"])))
def test_what_is_packed_is_found(tmp_path_factory: pytest.TempPathFactory, holders: dict[int, str]) -> None:
    path = tmp_path_factory.mktemp("oui") / "oui.bin"
    path.write_bytes(packed(holders))
    registry = Registry(path)
    assert {prefix: registry.find(prefix) for prefix in holders} == holders
    for prefix in (0, 1, 0xFFFFFF, *(each ^ 1 for each in holders)):
        assert registry.find(prefix) == holders.get(prefix, "")


@pytest.mark.parametrize("cut", [3, 20, 400_000, -1])
def test_a_registry_that_is_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    (tmp_path / "oui.bin").write_bytes(FILE.read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"cut off|not of this form"):
        Registry(tmp_path / "oui.bin")


def test_looking_vendors_up_costs_little_memory() -> None:
    program = (
        "import resource, random\n"
        "from collectors._router.oui import vendor_of\n"
        "def used():\n"
        "    rows = open('/proc/self/smaps_rollup').read().split()\n"
        "    return int(rows[rows.index('Pss:') + 1])\n"
        "before = used()\n"
        "draw = random.Random(1)\n"
        "macs = [f'00:{draw.randrange(256):02x}:{draw.randrange(256):02x}:00:00:01' for _ in range(300)]\n"
        "assert sum(bool(vendor_of(mac)) for mac in macs) > 20\n"
        "assert vendor_of('00:03:93:00:00:00') == 'Apple'\n"
        "print(used() - before)\n"
    )
    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("the kernel does not tell what memory is used")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) <= 2048


def use(*names: str, received: int = 1000, sent: int = 100) -> list[ServiceRow]:
    return [ServiceRow(name, received, sent, 1) for name in names]


@pytest.mark.parametrize(
    ("name", "vendor", "services", "category"),
    [
        ("Living-Room-TV", "", [], "television"),
        ("Annas iPhone", "", [], "phone"),
        ("Anna's iPad", "Apple", [], "tablet"),
        ("MacBook-Pro-2", "Apple", [], "computer"),
        ("android-1234567890", "", [], "phone"),
        ("Galaxy-S21", "Samsung Electronics", [], "phone"),
        ("BRW0080927AB1C2", "Hon Hai Precision", [], "printer"),
        ("HP-LaserJet-400", "Hewlett Packard", [], "printer"),
        ("DESKTOP-1ABCDEF", "Intel", [], "computer"),
        ("nas", "", [], "server"),
        ("diskstation", "Synology", [], "server"),
        ("front-door-cam", "", [], "camera"),
        ("PS5-123", "", [], "console"),
        ("SonosZP", "Sonos", [], "speaker"),
        ("shellyplug-s-12AB", "Espressif", [], "appliance"),
        ("ESP_1A2B3C", "Espressif", [], "appliance"),
        ("OpenWrt", "", [], "router"),
        ("Chromecast-Ultra", "Google", [], "television"),
        ("", "Nintendo", [], "console"),
        ("", "Hangzhou Hikvision Digital", [], "camera"),
        ("", "AVM Audiovisuelles Marketing", [], "router"),
        ("", "Apple", [], "phone"),
        ("", "Intel", [], "computer"),
        ("", "", use("IPP", "DNS"), "printer"),
        ("", "", use("HTTPS", "UDP/3074"), "console"),
        ("", "", use("RTSP", received=10, sent=900), "camera"),
        ("", "", use("SMB", "HTTPS", received=10, sent=900), "server"),
        ("", "", use("MQTT", "DNS", "NTP"), "appliance"),
        ("", "", use("TCP/5223", "HTTPS"), "phone"),
        # Nothing that tells.
        ("", "", use("HTTPS", "DNS"), ""),
        ("motive", "", [], ""),
        ("host-17", "Some Other Maker", use("HTTPS"), ""),
        ("", "", [], ""),
    ],
)
def test_guesses(name: str, vendor: str, services: list[ServiceRow], category: str) -> None:
    assert category_of(name, vendor, services) == category


def test_a_made_up_mac_with_web_traffic_is_a_phones() -> None:
    assert category_of("", "", use("QUIC", "HTTPS"), private=True) == "phone"
    assert category_of("", "", use("HTTPS", "SSH"), private=True) == ""
    assert category_of("", "", [], private=True) == ""


def test_tables_speak_of_categories_that_there_are() -> None:
    assert {each for table in (NAMES, VENDORS, MOSTLY) for each, _ in table} <= set(CATEGORIES)


@given(st.text(max_size=70), st.text(max_size=30))
def test_any_text_is_a_category_or_none(name: str, vendor: str) -> None:
    assert category_of(name, vendor) in ("", *CATEGORIES)
