"""What sort of thing a device is, guessed from what it calls itself, who made it and what it does. Pure.

A guess, for the eye: a user's own word goes before it. The first of these that says something stands: the name, a
vendor that makes one sort of thing, the services, a vendor that mostly does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sysmon.frame import ServiceRow

CATEGORIES: Final = (
    *("phone", "tablet", "computer", "television", "printer", "camera", "speaker", "console", "server"),
    *("router", "appliance"),
)
"""What `category_of` may say; beside '' for what it cannot tell."""


def _words(*words: str) -> re.Pattern[str]:
    # A word of its own, digits may follow: 'tv' in Living-Room-TV2, not in 'motive'.
    return re.compile(rf"(?<![a-z])(?:{'|'.join(words)})(?![a-z])")


NAMES: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("printer", _words("printer", "drucker", "laserjet", "officejet", "deskjet", "envy", "ecotank", "pixma", "mfp")),
    ("printer", re.compile(r"^(?:npi|brn|brw|epson|hp)[0-9a-f]{6,12}$|^(?:canon|kyocera|lexmark|xerox)")),
    ("camera", _words("camera", "cam", "ipcam", "webcam", "doorbell", "ring", "nvr", "arlo", "reolink", "kamera")),
    ("console", _words("playstation", "ps[345]", "xbox", "xboxone", "nintendo", "switch", "steamdeck", "wii")),
    ("television", _words("tv", "appletv", "googletv", "androidtv", "firetv", "smarttv", "webos", "bravia", "roku")),
    ("television", _words("chromecast", "fernseher", "shield", "kodi", "libreelec", "lgwebostv", "aft[a-z]+", "vizio")),
    (
        "speaker",
        _words("sonos", "sonoszp", "echo", "homepod", "speaker", "soundbar", "nest-audio", "nest-mini", "bose"),
    ),
    ("speaker", _words("alexa", "squeezebox", "denon", "heos", "google-home(?:-mini)?", "receiver", "volumio")),
    ("tablet", _words("ipad", "tablet", "galaxy-tab", "kindle", "tab-[as]")),
    ("phone", _words("iphone", "phone", "pixel", "oneplus", "galaxy", "android", "redmi", "xperia", "fairphone", "sm")),
    ("phone", _words("handy", "smartphone", "huawei", "honor", "poco", "moto", "nokia", "mi-?[0-9]+[a-z]*")),
    (
        "router",
        _words("openwrt", "router", "gateway", "fritz", "access-?point", "ap", "repeater", "unifi", "eap", "mesh"),
    ),
    ("server", _words("nas", "server", "diskstation", "synology", "qnap", "truenas", "proxmox", "pve", "esxi", "k8s")),
    (
        "server",
        _words("raspberrypi", "raspberry", "rpi", "homeassistant", "hass", "pihole", "pi-hole", "docker", "srv"),
    ),
    ("appliance", _words("esp", "esp32", "esp8266", "shelly[a-z0-9]*", "tasmota", "hue", "bulb", "plug", "thermostat")),
    (
        "appliance",
        _words("tado", "nest", "roomba", "irobot", "vacuum", "washer", "dryer", "fridge", "dishwasher", "oven"),
    ),
    (
        "appliance",
        _words("tasmota[a-z0-9]*", "sonoff", "wled", "meter", "inverter", "wallbox", "lamp", "tuya", "wlan0"),
    ),
    (
        "computer",
        _words("macbook", "macbookpro", "macbookair", "imac", "mac", "macmini", "laptop", "notebook", "desktop"),
    ),
    (
        "computer",
        _words("pc", "thinkpad", "windows", "win1[01]", "surface", "latitude", "xps", "elitebook", "workstation"),
    ),
    ("computer", _words("ubuntu", "debian", "fedora", "archlinux", "linux", "chromebook", "hackintosh", "nuc")),
)
"""Patterns over the name in lower case, the more special ones first."""

VENDORS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("printer", re.compile(r"^(?:brother|seiko epson|epson|canon|kyocera|lexmark|xerox|ricoh|oki |konica)")),
    ("camera", re.compile(r"hikvision|dahua|axis communications|reolink|arlo|foscam|mobotix|^ring\b|wyze|eufy")),
    ("console", re.compile(r"^nintendo|sony interactive|sony computer ent|^valve\b")),
    ("television", re.compile(r"^roku|vizio|^tcl |hisense|^tpvision|^tp vision|skyworth|^vestel")),
    ("speaker", re.compile(r"^sonos|^bose\b|slim devices|^d&m holdings|^denon|bang & olufsen|^harman")),
    ("server", re.compile(r"^synology|^qnap|raspberry pi|super ?micro|^vmware|^proxmox|^hetzner|asustor")),
    ("router", re.compile(r"^avm\b|ubiquiti|mikrotik|routerboard|^tp-link|^netgear|^zyxel|^aruba|ruckus|^eero|^cisco")),
    (
        "router",
        re.compile(r"^arris|sagemcom|technicolor|^linksys|^d-link|^juniper|^fortinet|^sercomm|^askey|^arcadyan"),
    ),
    (
        "appliance",
        re.compile(r"^espressif|^tuya|^shelly|allterco|philips lighting|signify|^irobot|^ecobee|^tado|^netatmo"),
    ),
    ("appliance", re.compile(r"^miele|^bosch|^bsh |^whirlpool|^nest labs|^belkin|^itead|^sma solar|^fronius|roborock")),
)
"""Patterns over the vendor in lower case, of those that make one sort of thing."""

MOSTLY: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    (
        "phone",
        re.compile(r"^oneplus|^xiaomi|^huawei device|^guangdong oppo|^vivo mobile|^motorola mobility|^honor\b|^hmd"),
    ),
    ("phone", re.compile(r"^apple\b|^samsung electronics|^samsung\b|^google\b|^fairphone|^realme|^nothing tech")),
    ("television", re.compile(r"^lg electronics|^lg innotek|^sony\b|^panasonic|^philips\b|^sharp\b")),
    ("speaker", re.compile(r"^amazon")),
    (
        "computer",
        re.compile(r"^intel\b|^dell\b|^lenovo|^hewlett|^hp\b|^asus|^micro-star|^giga-byte|^microsoft|^acer\b"),
    ),
    (
        "computer",
        re.compile(r"^liteon|^azurewave|^hon hai|^rivet|^framework|^lcfc|^wistron|^compal|^quanta|^pegatron|^asrock"),
    ),
)
"""Patterns over the vendor, of those that make mostly one sort."""

PHONES: Final = frozenset({"APNS", "Apple Push", "GCM", "FCM", "Google Push", "TCP/5223", "TCP/5228", "XMPP"})
"""Services that phones keep a connection of."""
STREAMS: Final = frozenset({"RTSP", "RTMP"})
CONSOLES: Final = frozenset({"Xbox Live", "PlayStation Network", "UDP/3074", "TCP/3074", "Steam"})
SERVES: Final = frozenset({"NFS", "SMB", "iSCSI", "BitTorrent", "Usenet", "rsync"})
PRINTS: Final = frozenset({"IPP", "LPD", "JetDirect", "TCP/9100", "TCP/631", "TCP/515"})
TINY: Final = frozenset({"MQTT", "MQTTS", "TCP/1883", "TCP/8883", "CoAP", "NTP", "DNS", "ICMP", "IPv6-ICMP"})


def category_of(name: str, vendor: str = "", services: Iterable[ServiceRow] = (), *, private: bool = False) -> str:
    """Guesses what sort of thing a device is.

    Args:
        name: what the network calls it.
        vendor: of its MAC.
        services: what it did, with bytes.
        private: whether its MAC is made up, as phones make theirs up.

    Returns:
        One of `CATEGORIES`, or ''.
    """
    return (
        _first(NAMES, name.lower().replace("_", "-").replace(" ", "-").replace("'", ""))
        or _first(VENDORS, vendor.lower())
        or _by_services(list(services), private=private)
        or _first(MOSTLY, vendor.lower())
    )


def _first(table: tuple[tuple[str, re.Pattern[str]], ...], text: str) -> str:
    return next((category for category, pattern in table if pattern.search(text)), "") if text else ""


def _by_services(services: list[ServiceRow], *, private: bool) -> str:
    used = {each.name for each in services if each.received + each.sent}
    received, sent = sum(each.received for each in services), sum(each.sent for each in services)
    if used & PRINTS and not used - PRINTS - TINY:
        return "printer"
    if used & CONSOLES:
        return "console" if "Steam" not in used & CONSOLES else "computer"
    if used & STREAMS and sent > 4 * received:
        return "camera"
    if used & SERVES and sent > received:
        return "server"
    if used & PHONES:
        return "phone"
    if used & {"MQTT", "MQTTS", "TCP/1883", "TCP/8883"} and not used - TINY - {"HTTP", "HTTPS"}:
        return "appliance"
    return "phone" if private and used & {"QUIC", "HTTPS"} and "SSH" not in used else ""
