"""Keys, cleaning of foreign names, and the wire form of frames."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sysmon.catalogue import Catalogue, gauge
from sysmon.errors import UsageError
from sysmon.frame import Frame, clean_instance, clean_text, join_key, split_key


def test_keys_split_at_the_first_colon() -> None:
    assert split_key("fs.used:/mnt/a:b") == ("fs.used", "/mnt/a:b")
    assert split_key("load.1") == ("load.1", "")
    assert join_key("load.1") == "load.1"


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("eth0", "eth0"),
        ("/media/Sicherung ü", "/media/Sicherung ü"),
        (b"/mnt/\xff\xfe", "/mnt/%FF%FE"),
        ("a\x1b[31mb", "a%1B[31mb"),
        ("x\u202egpj", "x%E2%80%AEgpj"),
        ("tab\there\n", "tab%09here%0A"),
        ("a\u061cb\ufff9c", "a%D8%9Cb%EF%BF%B9c"),
        ("eth\U000e0041", "eth%F3%A0%81%81"),
    ],
)
def test_instances_are_made_harmless(raw: str | bytes, clean: str) -> None:
    assert clean_instance(raw) == clean


@given(st.binary(max_size=600))
def test_any_bytes_make_a_bounded_printable_instance(raw: bytes) -> None:
    made = clean_instance(raw)
    assert len(made.encode()) <= 255
    assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in made)


@given(st.text(max_size=100))
def test_texts_lose_what_could_steer_a_terminal(raw: str) -> None:
    assert not set(clean_text(raw)) & set("\x1b\x07\x9b\n\r\u202e\u2066\u200b")


def test_a_frame_survives_the_wire() -> None:
    frame = Frame(
        host="h", boot="b", run="r", seq=3, time=5, monotonic=7, readings={"a.b:c": 1, "d": 0.5}, reads={"x": 7}
    )
    back = msgspec.json.decode(msgspec.json.encode(frame), type=Frame)
    assert back == frame
    assert isinstance(back.readings["a.b:c"], int)


def test_an_unknown_metric_names_the_nearest() -> None:
    catalogue = Catalogue([gauge("memory.used", "bytes", ""), gauge("load.1", "", "", precision=2)])
    with pytest.raises(UsageError, match=r"did you mean 'memory\.used'"):
        catalogue.require("memory.usd")
    assert catalogue.rounded("load.1", 0.12345) == 0.12
    assert catalogue.rounded("memory.used", 5.0) == 5
