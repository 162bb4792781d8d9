"""The server's side of TLS: its own key and certificate, or given ones, kept valid while it runs."""

from __future__ import annotations

import asyncio.sslproto
import json
import os
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from remote.fingerprint import spki_fingerprint, validity
from remote.private import Exposed, read_private
from remote.server.selfsigned import Order
from sysmon.errors import MalformedInput, SysmonError, UsageError
from sysmon.units import format_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

KEY, CERT = "tls-key.pem", "tls-cert.pem"
"""Our own, in the state folder."""
RENEW = 60 * 86_400_000
"""Milliseconds before its end at which a certificate of our own is made anew, with the same key."""
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2; all of TLS 1.3 are good."""
READ_BUFFER = 16 << 10
"""Bytes that asyncio holds to read from one TLS connection; its own choice is 256 KiB (cpython issue 109534)."""

_MAKE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from remote.server.selfsigned import main; sys.exit(main())"
)


class Pair(NamedTuple):
    """The PEM files of a certificate with its chain, and of its key."""

    cert: Path
    key: Path


class ServerTls:
    """What the server shows itself by, and the context that new connections are met with.

    Args:
        pair: certificate and key.
        names: hostnames and addresses for a certificate of our own.
        own: whether they are ours to make and to renew.
        client_ca: a PEM file; only clients with a certificate from it are let in.
        now: Unix milliseconds.

    Attributes:
        context: for connections from now on; stays the same object.
        fingerprint: of the key.
        notice: what the user should know of the certificate, or ''.

    Raises:
        SysmonError: a file is missing, open to others, or not what it should be.
    """

    def __init__(
        self, pair: Pair, *, names: Sequence[str] = (), own: bool = False, client_ca: str = "", now: int
    ) -> None:
        self.pair = pair
        self.notice = ""
        self._own = own
        self._names = list(names) or ["sysmon"]
        if own:
            self._renew(now)
        _check_key(pair.key, own=own)
        self.context = server_context(pair, client_ca)
        self._seen = self._stamp()
        self.fingerprint = self._read(now)
        tame_asyncio()

    def refresh(self, now: int) -> str:
        """Renews our own certificate when it is due, and takes in files that were replaced; new connections see them.

        Blocks: to be called off the loop, some times a day.

        Returns:
            What to tell the user, or ''.
        """
        try:
            if self._own:
                self._renew(now)
            stamp = self._stamp()
            if stamp == self._seen:
                return ""
            _check_key(self.pair.key, own=self._own)
            server_context(self.pair)  # a pair that does not fit never reaches the context in use
            self.context.load_cert_chain(self.pair.cert, self.pair.key, _no_password)
            before, self.fingerprint = self.fingerprint, self._read(now)
        except (OSError, SysmonError) as error:
            return f"the TLS certificate was not renewed: {error}"
        self._seen = stamp
        if self.fingerprint != before:
            return f"the TLS key is another now: {self.fingerprint}"
        return self.notice

    def _renew(self, now: int) -> None:
        """Makes the certificate where there is none, or it is not valid, or soon not any more."""
        if self.pair.key.exists():
            try:
                start, end = validity(_leaf(self.pair.cert))
                if start <= now < end - RENEW:
                    return
            except (FileNotFoundError, SysmonError):
                pass
        make_certificate(self.pair, self._names, now)

    def _read(self, now: int) -> str:
        leaf = _leaf(self.pair.cert)
        start, end = validity(leaf)
        self.notice = ""
        if not start <= now < end:
            word = "expired at" if now >= end else "is not valid before"
            self.notice = f"the certificate {self.pair.cert} {word} {format_time(end if now >= end else start)}"
        return spki_fingerprint(leaf)

    def _stamp(self) -> tuple[object, ...]:
        found = [os.stat(path) for path in self.pair]
        return tuple((each.st_mtime_ns, each.st_ino, each.st_size) for each in found)


def own_tls(state: Path, names: Sequence[str], now: int, client_ca: str = "") -> ServerTls:
    """Returns TLS by this machine's own key, which is made at first need and lives in the state folder.

    Raises:
        SysmonError: it cannot be made or read.
    """
    return ServerTls(Pair(state / CERT, state / KEY), names=names, own=True, client_ca=client_ca, now=now)


def given_tls(cert: Path, key: Path, now: int, client_ca: str = "") -> ServerTls:
    """Returns TLS by a given certificate.

    Raises:
        SysmonError: the files are missing or do not fit.
    """
    return ServerTls(Pair(cert, key), client_ca=client_ca, now=now)


def make_certificate(pair: Pair, names: Sequence[str], now: int) -> None:
    """Makes a certificate, and a key where there is none, in a process of its own.

    Raises:
        SysmonError: it cannot be made.
    """
    order = msgspec.json.encode(Order(str(pair.key), str(pair.cert), list(names), now))
    command = [sys.executable, "-I", "-c", _MAKE, json.dumps(sys.path)]
    try:
        done = subprocess.run(command, input=order, capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SysmonError(f"a TLS key cannot be made: {error}") from None
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise SysmonError(lines[-1] if lines else f"a TLS key cannot be made: status {done.returncode}")


def server_context(pair: Pair, client_ca: str = "") -> ssl.SSLContext:
    """Returns a context for TLS 1.2 and later with ciphers that keep what was said secret when a key is lost.

    Raises:
        SysmonError: certificate and key cannot be read or do not fit together, or `client_ca` holds no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0  # nobody comes back often enough for what they cost
    try:
        context.load_cert_chain(pair.cert, pair.key, _no_password)
    except ssl.SSLError as error:
        if "MISMATCH" in (error.reason or ""):
            raise SysmonError(f"{pair.key} is not the key of the certificate {pair.cert}") from None
        raise SysmonError(
            f"no certificate with a key can be read from {pair.cert} and {pair.key}", "both are PEM files"
        ) from None
    except OSError as error:
        raise SysmonError(f"{pair.cert} and {pair.key} cannot be read: {error.strerror}") from None
    if client_ca:
        try:
            context.load_verify_locations(client_ca)
        except ssl.SSLError:
            raise SysmonError(f"client_ca {client_ca} holds no certificate in PEM form") from None
        except OSError as error:
            raise SysmonError(f"client_ca {client_ca} cannot be read: {error.strerror}") from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def tame_asyncio() -> None:
    """Has asyncio hold less for each TLS connection, and tell a client why a handshake failed before it hangs up.

    Both reach into parts that are not its interface, so each is left out where a version has them no more: then a
    connection takes 240 kB more, and a client without its certificate sees a reset instead of a reason.
    """
    protocol: Any = asyncio.sslproto.SSLProtocol
    if hasattr(protocol, "max_size"):
        protocol.max_size = READ_BUFFER
    done = getattr(protocol, "_on_handshake_complete", None)
    if done is None or not hasattr(protocol, "_process_outgoing") or hasattr(done, "tells"):
        return

    def complete(self: Any, error: BaseException | None) -> None:
        # Never for a client: its last words hold its certificate, and it hangs up because the server is the wrong one.
        if error is not None and getattr(self, "_server_side", False):
            self._process_outgoing()
        done(self, error)

    complete.tells = True  # type: ignore[attr-defined]
    protocol._on_handshake_complete = complete


def _no_password() -> str:
    raise UsageError("the TLS key has a passphrase, and nobody is here to type it", "give a key without one, mode 0600")


def _leaf(path: Path) -> bytes:
    """The first certificate of a PEM file, in DER."""
    try:
        text = path.read_bytes()[: 1 << 20].decode("ascii", "replace")
        begin = text.index(ssl.PEM_HEADER)
        end = text.index(ssl.PEM_FOOTER, begin) + len(ssl.PEM_FOOTER)
        return ssl.PEM_cert_to_DER_cert(text[begin:end])
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SysmonError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise MalformedInput(f"{path} holds no certificate in PEM form") from None


def _check_key(path: Path, *, own: bool) -> None:
    try:
        if own:
            read_private(path, "the TLS key")
        elif os.stat(path).st_mode & 0o007:  # a group such as ssl-cert is the administrator's choice
            raise Exposed(f"the TLS key {path} is open to everybody", f"chmod o-rwx {path}")
    except FileNotFoundError:
        raise SysmonError(f"the TLS key {path} does not exist") from None
    except OSError as error:
        raise SysmonError(f"the TLS key {path} cannot be read: {error.strerror}") from None
