"""Fingerprints: of the key and not of the certificate, compared as text and as words."""

from __future__ import annotations

import datetime
import hashlib
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from remote.fingerprint import WORD_BITS, WORD_COUNT, parse_fingerprint, same, spki_fingerprint, validity, words
from remote.wordlist import WORDS
from sysmon.errors import MalformedInput, UsageError

KEYS: list[Any] = [
    ec.generate_private_key(ec.SECP256R1()),
    ed25519.Ed25519PrivateKey.generate(),
    rsa.generate_private_key(65537, 2048),
]


def certificate(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey, days: int = 5
) -> bytes:
    """A self-signed certificate in DER."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "web-1")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(start)
    made = made.not_valid_after(start + datetime.timedelta(days=days))
    signed = made.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)


DER = certificate(KEYS[0])


@pytest.mark.parametrize("key", KEYS, ids=["P-256", "Ed25519", "RSA"])
def test_it_is_the_digest_of_the_public_key_and_outlives_the_certificate(key: Any) -> None:
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    expected = "sha256:" + hashlib.sha256(public).hexdigest()
    assert spki_fingerprint(certificate(key)) == expected
    assert spki_fingerprint(certificate(key, days=900)) == expected


def test_an_old_certificate_without_a_version_is_read_too() -> None:
    # Version 1 has no [0] element: from the outside in, lengths of what holds it shrink by its five bytes.
    inner = DER.index(bytes.fromhex("a003020102"))
    tbs = DER[inner + 5 : inner + int.from_bytes(DER[inner - 2 : inner], "big")]
    body = b"\x30\x82" + len(tbs).to_bytes(2, "big") + tbs
    assert spki_fingerprint(b"\x30\x82" + len(body).to_bytes(2, "big") + body) == spki_fingerprint(DER)


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"\x30",
        b"-----BEGIN CERTIFICATE-----",
        DER[:-1],
        DER + b"\0",
        b"\x30\x80" + DER[4:] + b"\0\0",
        b"\x30\x83\0" + DER[2:],
        b"\x30\x82\xff\xff" + DER[4:],
        b"\x31" + DER[1:],
        bytes(100_000),
    ],
)
def test_what_is_not_one_certificate_in_its_one_form_is_refused(der: bytes) -> None:
    with pytest.raises(MalformedInput):
        spki_fingerprint(der)


def test_when_it_is_valid_is_read_before_and_after_2050() -> None:
    start = int(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC).timestamp() * 1000)
    assert validity(DER) == (start, start + 5 * 86_400_000)
    assert validity(certificate(KEYS[0], days=20_000)) == (start, start + 20_000 * 86_400_000)
    with pytest.raises(MalformedInput, match="time '20261301000000Z' is none"):
        validity(DER.replace(b"260101000000Z", b"261301000000Z"))
    with pytest.raises(MalformedInput):
        validity(DER[:-1])


@given(st.integers(0, len(DER) - 1), st.integers(0, 255))
def test_a_changed_byte_gives_an_error_or_what_a_full_parser_reads(at: int, byte: int) -> None:
    changed = DER[:at] + bytes([byte]) + DER[at + 1 :]
    try:
        found = spki_fingerprint(changed)
    except MalformedInput:
        return
    try:
        read = x509.load_der_x509_certificate(changed)
        public = read.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    except Exception:  # a stricter reader than ours; it would never have got through a handshake
        return
    assert found == "sha256:" + hashlib.sha256(public).hexdigest()


@given(st.binary(max_size=300))
def test_any_bytes_give_an_error_and_no_other(der: bytes) -> None:
    with pytest.raises(MalformedInput):
        spki_fingerprint(der)


@given(st.binary(min_size=32, max_size=32))
def test_words_are_the_first_bits(digest: bytes) -> None:
    shown = words("sha256:" + digest.hex()).split(" ")
    assert len(shown) == WORD_COUNT
    bits = "".join(f"{WORDS.index(word):011b}" for word in shown)
    assert bits == f"{int.from_bytes(digest, 'big'):0256b}"[:WORD_BITS]


def test_words_are_told_apart_by_four_letters() -> None:
    assert len(WORDS) == len({word[:4] for word in WORDS}) == 2048
    assert all(word.isascii() and word.islower() and 3 <= len(word) <= 8 for word in WORDS)
    assert WORD_BITS >= 64


def test_the_words_of_a_key_never_change() -> None:
    assert words("sha256:" + "00" * 32) == "abandon " * 7 + "abandon"
    assert words("sha256:f44db69c06fcfef56918d5a4d38735adbc09ce3ec2292bdc43f3508435452e0c") == (
        "violin horror poem assume soup kingdom piece boy"
    )


def test_it_is_read_as_other_programs_print_it() -> None:
    digits = hashlib.sha256(b"").hexdigest()
    spaced = ":".join(digits[at : at + 2] for at in range(0, 64, 2)).upper()
    assert parse_fingerprint(f" SHA256:{spaced}\n") == parse_fingerprint(digits) == f"sha256:{digits}"
    assert same(spaced, digits)
    assert not same(digits, digits[:-1] + "0")


@pytest.mark.parametrize(
    "text", ["", "sha256:", "sha256:" + "0" * 63, "sha1:" + "0" * 40, "0" * 65, "\x1b[31m", "é" * 500]
)
def test_what_is_none_is_refused_in_plain_letters(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not a fingerprint: 'sha256:' and 64 hex digits") as caught:
        parse_fingerprint(text)
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250
