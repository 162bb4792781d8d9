"""Makes a key and a certificate that it signs itself; the one module that loads `cryptography`.

`remote.server.tls` runs it as a process of its own, a few times in a key's life: loaded, the library takes 11 MiB, more
than a quarter of what an agent may take.
"""

from __future__ import annotations

import datetime
import ipaddress
import sys
from pathlib import Path
from typing import Any

import msgspec

from remote.private import locked, read_private, write_private
from sysmon.errors import SysmonError

DAYS = 397
"""Days that a certificate of our own is valid."""
EARLY = 3
"""Days before now at which it begins, for readers whose clock is behind."""


class Order(msgspec.Struct):
    """What to make. `names`: hostnames and addresses the certificate is for, the first its subject; `now`: Unix ms."""

    key: str
    cert: str
    names: list[str]
    now: int


def make(order: Order) -> None:
    """Writes a certificate, and a P-256 key if there is none yet; a key that is there is used again.

    Raises:
        SysmonError: a file cannot be read or written, or holds no such key.
    """
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    path = Path(order.key)
    with locked(path):
        try:
            found: Any = serialization.load_pem_private_key(read_private(path, "the TLS key"), None)
        except FileNotFoundError:
            found = ec.generate_private_key(ec.SECP256R1())
            pem = found.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            write_private(path, pem)
        except (TypeError, ValueError):
            raise SysmonError(
                f"{path} holds no key that can be read", "remove it to get another; then every reader must pin that one"
            ) from None
        cert = _certificate(found, order.names, order.now, hashes.SHA256())
        write_private(Path(order.cert), cert.public_bytes(serialization.Encoding.PEM))


def _certificate(key: Any, names: list[str], now: int, digest: Any) -> Any:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    called: list[x509.GeneralName] = []
    for name in names:
        try:
            called.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            if name.isascii():
                called.append(x509.DNSName(name))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    moment = datetime.datetime.fromtimestamp(now / 1000, datetime.UTC)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(moment - datetime.timedelta(days=EARLY))
    made = made.not_valid_after(moment + datetime.timedelta(days=DAYS))
    made = made.add_extension(x509.SubjectAlternativeName(called), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return made.sign(key, digest)


def main() -> int:
    """Carries out the order on stdin; an error is one line on stderr."""
    try:
        make(msgspec.json.decode(sys.stdin.buffer.read(), type=Order))
    except SysmonError as error:
        print(error, file=sys.stderr)
        return 1
    except ImportError as error:
        print(f"the library for keys cannot be loaded: {error}; install 'cryptography'", file=sys.stderr)
        return 1
    return 0
