"""A key's fingerprint: SHA-256 of the public key in a certificate, as text and as words that people compare.

It names the key, not the certificate: a certificate renewed with the same key keeps it. The certificate is taken apart
here, and not by a library, because every screen and hub does it once per connection. Only DER in its one allowed form
is taken: what OpenSSL read of the same bytes cannot be another key.
"""

from __future__ import annotations

import datetime
import hmac
import re
from hashlib import sha256

from sysmon.errors import MalformedInput, UsageError

WORD_COUNT = 8
"""Words shown of a fingerprint."""
WORD_BITS = 11 * WORD_COUNT
"""Bits of a fingerprint that the words show: who wants another key with the same words tries 2 to that power keys."""
MAX_CERTIFICATE = 64 << 10
"""Bytes of a certificate at most."""

_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")
_SEQUENCE, _INTEGER, _BITS, _VERSION = 0x30, 0x02, 0x03, 0xA0
_UTC_TIME, _TIMES = 0x17, (0x17, 0x18)


def spki_fingerprint(certificate_der: bytes) -> str:
    """Returns `sha256:<64 hex digits>` of a certificate's public key.

    The digest is over the DER of SubjectPublicKeyInfo (RFC 5280 §4.1), as in RFC 7469; the same as of
    `openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | sha256sum`.

    Raises:
        MalformedInput: not one X.509 certificate in DER.
    """
    if len(certificate_der) > MAX_CERTIFICATE:
        raise MalformedInput(f"a certificate of {len(certificate_der)} bytes is larger than {MAX_CERTIFICATE}")
    return "sha256:" + sha256(_parts(certificate_der)[1]).hexdigest()


def validity(certificate_der: bytes) -> tuple[int, int]:
    """Returns from when until when a certificate is valid, in Unix milliseconds.

    Raises:
        MalformedInput: not one X.509 certificate in DER.
    """
    if len(certificate_der) > MAX_CERTIFICATE:
        raise MalformedInput(f"a certificate of {len(certificate_der)} bytes is larger than {MAX_CERTIFICATE}")
    der = _parts(certificate_der)[0]
    at, end, _ = _element(der, 0, len(der), _SEQUENCE)
    moments = []
    for _ in range(2):
        kind = der[at] if at < end else 0
        begin, after, at = _element(der, at, end, kind if kind in _TIMES else _UTC_TIME)
        text = der[begin:after].decode("ascii", "replace")
        if kind == _UTC_TIME:  # RFC 5280 §4.1.2.5.1: two digits of the year
            text = ("19" if text >= "50" else "20") + text
        try:
            moment = datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=datetime.UTC)
        except ValueError:
            raise MalformedInput(f"the certificate's time {text[:20]!a} is none") from None
        moments.append(int(moment.timestamp() * 1000))
    return moments[0], moments[1]


def parse_fingerprint(text: str) -> str:
    """Returns a fingerprint in its one form; upper case, colons between bytes and a missing `sha256:` are taken.

    Raises:
        UsageError: it is none.
    """
    given = text.strip().lower()
    digits = given.removeprefix("sha256:").replace(":", "")
    found = f"sha256:{digits}"
    if not _FINGERPRINT.fullmatch(found):
        shown = ascii(text[:80])
        shown = shown if len(shown) <= 82 else shown[:78] + "...'"
        raise UsageError(
            f"{shown} is not a fingerprint: 'sha256:' and 64 hex digits",
            "`sysmon --agent` prints its own when it starts",
        )
    return found


def words(fingerprint: str) -> str:
    """Returns the fingerprint's first `WORD_BITS` bits as `WORD_COUNT` words with blanks between.

    Raises:
        UsageError: it is no fingerprint.
    """
    from remote.wordlist import WORDS

    number = int(parse_fingerprint(fingerprint).removeprefix("sha256:"), 16) >> (256 - WORD_BITS)
    return " ".join(WORDS[number >> (11 * at) & 0x7FF] for at in reversed(range(WORD_COUNT)))


def same(one: str, other: str) -> bool:
    """Whether two fingerprints are of one key, in a time that does not tell where they differ.

    Raises:
        UsageError: one is no fingerprint.
    """
    return hmac.compare_digest(parse_fingerprint(one), parse_fingerprint(other))


def _parts(der: bytes) -> tuple[bytes, bytes]:
    """Walks `Certificate { tbs { [0] version, serial, algorithm, issuer, validity, subject, key, … }, … }`.

    Returns validity and key.
    """
    at, end, after = _element(der, 0, len(der), _SEQUENCE)
    if after != len(der):
        raise MalformedInput("bytes follow the certificate")
    at, end, _ = _element(der, at, end, _SEQUENCE)
    if at < end and der[at] == _VERSION:
        at = _element(der, at, end, _VERSION)[2]
    for tag in (_INTEGER, _SEQUENCE, _SEQUENCE):
        at = _element(der, at, end, tag)[2]
    times, at = at, _element(der, at, end, _SEQUENCE)[2]
    valid = der[times:at]
    at = _element(der, at, end, _SEQUENCE)[2]
    begin, after = at, _element(der, at, end, _SEQUENCE)[2]
    inner, inside, _ = _element(der, begin, after, _SEQUENCE)
    inner = _element(der, inner, inside, _SEQUENCE)[2]
    if _element(der, inner, inside, _BITS)[2] != inside:
        raise MalformedInput("the certificate's public key has more than two parts")
    return valid, der[begin:after]


def _element(der: bytes, at: int, end: int, tag: int) -> tuple[int, int, int]:
    """Returns where the content of the element at `at` begins and ends, and where the next one begins."""
    if end - at < 2 or der[at] != tag:
        raise MalformedInput(f"not a certificate: byte {at} is not the element of kind {tag:#04x} that belongs there")
    length = der[at + 1]
    begin = at + 2
    if length >= 0x80:
        count = length & 0x7F
        digits = der[begin : begin + count]
        length = int.from_bytes(digits, "big")
        begin += count
        # DER: definite, and no longer than it need be.
        if not 1 <= count <= 3 or len(digits) < count or digits[0] == 0 or length < 0x80:
            raise MalformedInput(f"not a certificate: byte {at + 1} is not a length in DER")
    if begin + length > end:
        raise MalformedInput(f"not a certificate: the element at byte {at} is longer than what holds it")
    return begin, begin + length, begin + length
