"""Knowing a TLS server before anything is said to it: by its pinned key, or by a certificate authority.

The check of the key is part of the handshake itself, so whatever uses a context from here cannot send a byte to a
server with another key. There is no context that checks nothing and is meant for talking.
"""

from __future__ import annotations

import functools
import os
import ssl
from typing import TYPE_CHECKING, Any

from remote.fingerprint import same, spki_fingerprint
from sysmon.errors import MalformedInput, Untrusted

if TYPE_CHECKING:
    from remote.target import Credentials, Target

CONTEXTS = 1024
"""Contexts kept, each of about 16 kB; one with the system's authorities takes 26 ms to make."""
SYSTEM = "system"
"""What `ca` says to mean the system's own authorities."""

Stamp = tuple[int, int, int] | None


class WrongKey(ssl.SSLError):
    """The server has another key than the pinned one."""

    def __init__(self, pinned: str, seen: str) -> None:
        super().__init__(f"its key is {seen or 'none'}, not {pinned}")
        self.pinned = pinned
        self.seen = seen


class _Checked(ssl.SSLObject):
    def do_handshake(self) -> None:
        super().do_handshake()
        _check(self.context, self.getpeercert(binary_form=True))


class _CheckedSocket(ssl.SSLSocket):
    def do_handshake(self, block: bool = False) -> None:
        super().do_handshake(block)
        _check(self.context, self.getpeercert(binary_form=True))


class PinnedContext(ssl.SSLContext):
    """A client's context whose handshakes fail unless the server has the pinned key, where there is one."""

    sslobject_class = _Checked
    sslsocket_class = _CheckedSocket
    pinned = ""


def _check(context: Any, certificate: bytes | None) -> None:
    pinned: str = getattr(context, "pinned", "")
    if not pinned:
        return
    try:
        seen = spki_fingerprint(certificate or b"")
    except MalformedInput:
        raise WrongKey(pinned, "") from None
    if not same(pinned, seen):
        raise WrongKey(pinned, seen)


def bare_context() -> ssl.SSLContext:
    """Makes a context that trusts nobody: for plain HTTP, where no certificates need be loaded."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def looking_context(credentials: Credentials) -> ssl.SSLContext:
    """Makes a context that takes any certificate, to look at it and hang up: nothing may be sent through it.

    Raises:
        Untrusted: this side's own certificate cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _with_own(context, credentials)


def context_of(target: Target) -> ssl.SSLContext:
    """Returns the context by which a target is met; the same for the same credentials, until their files change.

    Raises:
        Untrusted: nothing says how the target is to be known, or a file named for that cannot be used.
    """
    known = target.credentials
    if not known.fingerprint and not known.ca:
        raise Untrusted(
            f"{target}: nothing says how to know this server, so nothing is sent to it",
            f"`sysmon hosts add NAME {target}` shows its key and pins it; where it is configured, "
            "`sysmon hosts pin NAME`",
        )
    try:
        return _context(known._replace(token_file=""), tuple(_stamp(name) for name in known[2:]))
    except Untrusted as error:
        raise Untrusted(f"{target}: {error.message}", error.hint) from None


@functools.lru_cache(maxsize=CONTEXTS)
def _context(known: Credentials, stamps: tuple[Stamp, ...]) -> ssl.SSLContext:
    context = PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.pinned = known.fingerprint
    if not known.ca:
        # Who it is, the key says: a name and dates that anybody can write into a certificate say nothing beside it.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif known.ca == SYSTEM:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        # An authority in the middle of a chain may be trusted by itself.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        path = os.path.expanduser(known.ca)
        try:
            context.load_verify_locations(cafile=path)
        except ssl.SSLError:
            raise Untrusted(f"ca = '{known.ca}' holds no certificates", "it must be PEM") from None
        except OSError as error:
            raise Untrusted(f"ca = '{known.ca}' cannot be read: {error.strerror}") from None
    return _with_own(context, known)


def _with_own(context: ssl.SSLContext, known: Credentials) -> ssl.SSLContext:
    if not known.cert:
        return context
    key = os.path.expanduser(known.key) if known.key else None
    try:
        context.load_cert_chain(os.path.expanduser(known.cert), key, password=_no_password)
    except ssl.SSLError as error:
        why = "the key does not belong to it" if error.reason == "KEY_VALUES_MISMATCH" else "not a certificate and key"
        raise Untrusted(
            f"cert = '{known.cert}' cannot be used: {why}", "both must be PEM, the key without a password"
        ) from None
    except OSError as error:
        given = {"cert": known.cert, "key": known.key}
        which = next((name for name, path in given.items() if path and not _readable(path)), "cert")
        raise Untrusted(f"{which} = '{given[which]}' cannot be read: {error.strerror}") from None
    return context


def _readable(path: str) -> bool:
    return os.access(os.path.expanduser(path), os.R_OK)


def _no_password() -> str:
    # OpenSSL would ask on the terminal, under the screen.
    return ""


def _stamp(name: str) -> Stamp:
    if not name or name == SYSTEM:
        return None
    try:
        found = os.stat(os.path.expanduser(name))
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
