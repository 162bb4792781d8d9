"""Looking at a TLS server without saying anything to it: its key, its certificate, whether it speaks TLS at all."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from remote.client import trouble
from remote.client.pin import context_of, looking_context
from remote.fingerprint import spki_fingerprint, words
from remote.target import Credentials
from sysmon.errors import MalformedInput, RemoteError, Unauthorized, Unreachable, Untrusted
from sysmon.frame import clean_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from remote.target import Target

LOOK_SECONDS = 6.0
"""Seconds that looking may take."""


class Seen(NamedTuple):
    """What a server showed.

    Attributes:
        fingerprint: `sha256:…` of its public key. `words`: the same for people.
        certificate: for people: its name and how long it is valid.
        problem: why it is not who it should be, or '' where its key is the pinned one or its authority is trusted.
    """

    fingerprint: str
    words: str
    certificate: str
    problem: RemoteError | None


async def look(target: Target, deadline: float = LOOK_SECONDS) -> Seen:
    """Shakes hands with a server of TLS and hangs up; then once more, with the checks that hold for it.

    Raises:
        Unreachable: no connection. ProtocolMismatch: no TLS there. Untrusted: no readable certificate.
    """
    try:
        async with asyncio.timeout(deadline):
            der = await _shown(target)
            problem: RemoteError | None = None
            try:
                await _shake(target, context_of(target))
            except RemoteError as error:
                problem = error
    except TimeoutError:
        raise trouble.timed_out(target, deadline) from None
    try:
        fingerprint = spki_fingerprint(der)
    except MalformedInput as error:
        raise Untrusted(f"{target}: {error.message}") from None
    return Seen(fingerprint, words(fingerprint), describe(der), problem)


async def speaks_tls(target: Target, deadline: float = 2.0) -> bool:
    """Whether a handshake succeeds at the port of a target; nothing else is sent."""
    with contextlib.suppress(RemoteError, TimeoutError):
        async with asyncio.timeout(deadline):
            return bool(await _shake(target, looking_context(Credentials())))
    return False


async def objection(target: Target, deadline: float = 2.0) -> RemoteError | None:
    """Returns what a server says against us right behind the handshake, such as that it wants a certificate."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(deadline):
            try:
                async with _shaken(target, context_of(target)) as (reader, _):
                    await reader.read(1)
            except RemoteError as error:
                return error
            except (OSError, ssl.CertificateError) as error:
                return trouble.told(target, error)
    return None


async def _shown(target: Target) -> bytes:
    """Returns the certificate that a server shows; it sees ours only where it shows nothing without."""
    try:
        return await _shake(target, looking_context(Credentials()))
    except Unauthorized:
        if not target.credentials.cert:
            raise
    return await _shake(target, looking_context(target.credentials))


async def _shake(target: Target, context: ssl.SSLContext) -> bytes:
    async with _shaken(target, context) as (_, writer):
        certificate: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return certificate or b""


@contextlib.asynccontextmanager
async def _shaken(
    target: Target, context: ssl.SSLContext
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    parts = urlsplit(target.base)
    host = parts.hostname or ""
    try:
        reader, writer = await asyncio.open_connection(host, parts.port, ssl=context, server_hostname=host)
    except (OSError, ssl.CertificateError, UnicodeError) as error:
        found = trouble.told(target, error)
        if found is None:
            what = clean_text(str(error), 200) or "the connection was broken off"
            found = Unreachable(f"{target}: {what}")
        raise found from None
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def describe(der: bytes) -> str:
    """Returns a certificate's name and how long it is valid, for people; '' where it is not readable."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        certificate = x509.load_der_x509_certificate(der)
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        subject = str(names[0].value) if names else certificate.subject.rfc4514_string()
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except (ValueError, TypeError, x509.InvalidVersion):
        return ""
    return f"{clean_text(subject, 80) or 'no name'}, valid {begin:%Y-%m-%d} to {end:%Y-%m-%d}"
