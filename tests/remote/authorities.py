"""Keys and certificates made for a test, and TLS servers that show them and write down what they are told."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from remote.fingerprint import spki_fingerprint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Pair(NamedTuple):
    """A certificate and its key, as PEM files."""

    cert: str
    key: str
    fingerprint: str
    certificate: x509.Certificate
    secret: ec.EllipticCurvePrivateKey


def make_pair(
    folder: Path,
    name: str,
    *,
    issuer: Pair | None = None,
    names: tuple[str, ...] = ("127.0.0.1", "localhost"),
    begin: datetime.timedelta = -DAY,
    end: datetime.timedelta = 30 * DAY,
    authority: bool = False,
    secret: ec.EllipticCurvePrivateKey | None = None,
) -> Pair:
    """Makes a certificate, signed by `issuer` or by itself."""
    secret = secret or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    alternatives: list[x509.GeneralName] = []
    for each in names:
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(each)))
        except ValueError:
            alternatives.append(x509.DNSName(each))
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + begin)
        .not_valid_after(NOW + end)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    certificate = builder.sign(issuer.secret if issuer else secret, hashes.SHA256())
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    key.chmod(0o600)
    fingerprint = spki_fingerprint(certificate.public_bytes(serialization.Encoding.DER))
    return Pair(str(cert), str(key), fingerprint, certificate, secret)


class Told:
    """What a server was told, decrypted, and how often somebody connected."""

    def __init__(self, listener: socket.socket, context: ssl.SSLContext | None, answer: bytes) -> None:
        self.data = b""
        self.connections = 0
        self.handshakes = 0
        self.port: int = listener.getsockname()[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        self._listener = listener
        self._context = context
        self._answer = answer
        self._threads: list[threading.Thread] = []

    def run(self) -> None:
        """Serves until the listener is closed."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def end(self) -> None:
        """Waits until every connection is done with."""
        for thread in self._threads:
            thread.join(5)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        with connection, contextlib.suppress(OSError):
            if self._context is not None:
                with self._context.wrap_socket(connection, server_side=True) as secure:
                    self.handshakes += 1
                    self._talk(secure)
            else:
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            piece = connection.recv(1 << 16)
            if not piece:
                return
            request += piece
            self.data += piece
            if not request.startswith(b"GET "[: len(request)]):
                # Not HTTP: say so as web servers do.
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                return
        connection.sendall(self._answer)


@contextlib.asynccontextmanager
async def tls_server(pair: Pair | None, *, client_ca: str = "", answer: bytes = b"") -> AsyncIterator[Told]:
    """Serves HTTP with TLS (without, where `pair` is None): one answer per connection, all that comes is kept."""
    body = b'{"status":"ok"}'
    said = answer or (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s"
        % (len(body), body)
    )
    context: ssl.SSLContext | None = None
    if pair is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.cert, pair.key)
        if client_ca:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:
        told = Told(listener, context, said)
        thread = threading.Thread(target=told.run, daemon=True)
        thread.start()
        try:
            yield told
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            # Not on the loop, which still has connections to close.
            await asyncio.to_thread(thread.join, 5)
            await asyncio.to_thread(told.end)
