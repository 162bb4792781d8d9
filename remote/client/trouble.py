"""What went wrong with a connection, in words that tell one cause from another."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from remote.client.pin import WrongKey
from remote.fingerprint import words
from sysmon.errors import ProtocolMismatch, Unauthorized, Unreachable, Untrusted
from sysmon.frame import clean_text

if TYPE_CHECKING:
    from remote.target import Target
    from sysmon.errors import RemoteError

EXPIRED, NOT_YET, HOSTNAME, ADDRESS, REVOKED = 10, 9, 62, 64, 23
UNKNOWN = frozenset((2, 18, 19, 20, 21, 24, 27))
"""OpenSSL's X509_V_ERR_*: no chain to an authority that is trusted."""

_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL")
_WANTS_CERTIFICATE = ("CERTIFICATE_REQUIRED",)
_NOT_OURS = ("UNKNOWN_CA", "BAD_CERTIFICATE", "CERTIFICATE_EXPIRED", "CERTIFICATE_REVOKED", "CERTIFICATE_UNKNOWN")
_GONE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL)


def causes(error: BaseException) -> list[BaseException]:
    """Returns an error and all that lies behind it, the nearest first."""
    seen: list[BaseException] = [error]
    for each in seen:
        inner = [*each.exceptions] if isinstance(each, BaseExceptionGroup) else []
        behind = (each.__cause__, each.__context__, *inner)
        seen += [found for found in behind if found is not None and found not in seen]
    return seen


def told(target: Target, error: BaseException) -> RemoteError | None:
    """Returns what an error of a connection means, or None where it is none of name, address, key or TLS."""
    behind = causes(error)
    for kind in (WrongKey, ssl.SSLCertVerificationError, ssl.SSLError, socket.gaierror, OSError):
        for each in behind:
            if isinstance(each, kind) and (found := _one(target, each)) is not None:
                return found
    return None


def _one(target: Target, error: BaseException) -> RemoteError | None:
    match error:
        case WrongKey():
            return wrong_key(target, error.pinned, error.seen)
        case ssl.SSLCertVerificationError():
            return _unverified(target, error)
        case ssl.SSLWantReadError() | ssl.SSLWantWriteError() | ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            # Steps on the way, not what ended it.
            return None
        case ssl.SSLError():
            return _tls(target, error)
        case socket.gaierror():
            return _unnamed(target, error)
        case ConnectionRefusedError():
            return Unreachable(f"{target}: connection refused", _WHO.get(target.kind, ""))
        case FileNotFoundError():
            return Unreachable(f"{target}: no such socket", _WHO.get(target.kind, ""))
        case PermissionError():
            return Unreachable(f"{target}: no right to connect", "a firewall here, or the socket of another user")
        case TimeoutError():
            return timed_out(target)
        case OSError() if error.errno in _GONE:
            return Unreachable(
                f"{target}: no way there: {(error.strerror or '').lower()}", "is the network up on this side?"
            )
    return None


_WHO = {
    "sysmon": "is sysmon --agent or sysmon --record running there?",
    "node": "is node_exporter running there?",
    "netronome": "is netronome agent running there?",
}


def is_that(target: Target) -> str:
    """Asks whether the right program answers there."""
    return {"node": "is that node_exporter?", "netronome": "is that netronome agent?"}.get(
        target.kind, "is that a sysmon?"
    )


def wrong_key(target: Target, pinned: str, seen: str) -> Untrusted:
    """Says that another key than the pinned one was shown, both as words."""
    shown = f"'{words(seen)}' ({seen})" if seen else "no readable certificate"
    return Untrusted(
        f"{target}: wrong key: pinned is '{words(pinned)}' ({pinned}), seen {shown}; nothing was sent",
        "somebody else answers there, or its key was renewed: `sysmon hosts pin NAME` after checking",
    )


def timed_out(target: Target, seconds: float | None = None) -> Unreachable:
    """Says that nobody took the connection."""
    within = "in time" if seconds is None else f"within {seconds:g} s"
    return Unreachable(f"{target}: no connection {within}", "it is off, or a firewall drops what is sent to it")


def speaks_tls(target: Target) -> ProtocolMismatch:
    """Says that plain HTTP met TLS."""
    secure = str(target).replace("http://", "https://", 1)
    return ProtocolMismatch(f"{target} answers with TLS, not plain HTTP", f"write {secure}")


def _unverified(target: Target, error: ssl.SSLCertVerificationError) -> Untrusted:
    code = error.verify_code
    said = clean_text(error.verify_message or "", 200)
    if code == EXPIRED:
        return Untrusted(f"{target}: its certificate has expired", "renew it there, or set the clock of this side")
    if code == NOT_YET:
        return Untrusted(f"{target}: its certificate is not valid yet", "compare the clocks of both sides")
    if code in (HOSTNAME, ADDRESS):
        name = clean_text(urlsplit(target.base).hostname or "", 100)
        return Untrusted(
            f"{target}: its certificate is for another name than '{name}'",
            "call it by the name in its certificate, or pin its key: `sysmon hosts pin NAME`",
        )
    if code == REVOKED:
        return Untrusted(f"{target}: its certificate was revoked")
    if code in UNKNOWN:
        known = "the system" if target.credentials.ca == "system" else target.credentials.ca
        return Untrusted(
            f"{target}: its certificate comes from no authority that {known} knows: {said}",
            'name its authority with ca = "FILE", or pin its key: `sysmon hosts pin NAME`',
        )
    return Untrusted(f"{target}: its certificate is refused: {said}")


def _tls(target: Target, error: ssl.SSLError) -> RemoteError:
    reason = error.reason or ""
    if any(each in reason for each in _NO_TLS):
        plain = str(target).replace("https://", "http://", 1)
        return ProtocolMismatch(f"{target} does not speak TLS", f"write {plain} where that stays on this machine")
    if any(each in reason for each in _WANTS_CERTIFICATE) or (
        "HANDSHAKE_FAILURE" in reason and not target.credentials.cert
    ):
        return Unauthorized(f"{target} wants a certificate of this side", "set cert and key of this host")
    if "ALERT" in reason and any(each in reason for each in _NOT_OURS):
        return Unauthorized(
            f"{target} refuses this side's certificate: {reason.rpartition('ALERT_')[2].lower().replace('_', ' ')}",
            "cert and key of this host must come from an authority that it knows",
        )
    what = clean_text(reason.lower().replace("_", " ") or str(error), 100)
    return Untrusted(f"{target}: no TLS with it: {what}")


def _unnamed(target: Target, error: socket.gaierror) -> Unreachable:
    name = clean_text(urlsplit(target.base).hostname or str(target), 100)
    if error.errno == socket.EAI_AGAIN:
        return Unreachable(f"{target}: the name service did not answer for '{name}'", "is the network up on this side?")
    return Unreachable(
        f"{target}: no address is known for the name '{name}'", "check its spelling, or write the address"
    )
