"""Why a box cannot be reached by ssh, told apart by what ssh and the box said, with what mends it."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from sysmon.errors import RemoteError
from sysmon.frame import clean_text

if TYPE_CHECKING:
    from remote.target import Target

SSH_FAILED = 255
"""Exit status of ssh where ssh itself failed; any other is the remote command's."""

CAREFUL = 60.0
"""Seconds before a box is asked again that refused this user or is not the one it was: some lock out who insists."""


class SshFault(RemoteError):
    """A box that ssh does not reach, or that does not do as it is asked.

    Attributes:
        kind: which of the cases in `explain` it is.
        lasting: whether it stays so until somebody mends it.
        pause: seconds to wait at least before the next attempt.
    """

    def __init__(self, kind: str, message: str, hint: str = "", *, lasting: bool = True, pause: float = 0.0) -> None:
        super().__init__(message, hint)
        self.kind = kind
        self.lasting = lasting
        self.pause = pause


def explain(target: Target, status: int | None, errors: str, noise: bytes = b"", *, greeted: bool = False) -> SshFault:
    """Returns the fault for an ssh that ended.

    Args:
        target: where it was to lead.
        status: its exit status, or None where it was ended here.
        errors: what it wrote to standard error.
        noise: what came instead of the script's first word.
        greeted: whether the script had begun.
    """
    words = _words(errors)
    login = f"ssh{f' -p {target.port}' if target.port else ''} {target.base}"
    host = target.base.rpartition("@")[2]
    if status in (SSH_FAILED, None):
        found = _failed(target, errors, words, login, host)
        if found is not None:
            return found
        if greeted:
            why = f": {words}" if words else ""
            return SshFault("dropped", f"{target}: the connection was lost{why}", lasting=False)
        return SshFault("failed", f"{target}: {words or 'ssh ended without a word'}", f"try `{login}`", lasting=False)
    if greeted:
        why = words or f"status {status}"
        return SshFault("ended", f"{target}: what ran on the box has ended ({why})", lasting=False)
    said = _words(noise.decode("utf-8", "replace")) or words
    if status == 127 or re.search(r"\bsh: (command )?not found|sh: No such file", errors):
        return SshFault(
            "no_shell", f"{target}: there is no shell `sh` ({words or said})", "the box must have a POSIX shell"
        )
    if status == 126:
        return SshFault("no_shell", f"{target}: the shell `sh` may not be run ({words or said})", "see its rights")
    quoted = f" and says '{said[:160]}'" if said else ""
    return SshFault(
        "restricted",
        f"{target} runs something else than `sh` for this user{quoted} (status {status})",
        f"a restricted shell or a forced command: see the user's shell and authorized_keys there; try `{login} sh -s`",
        pause=CAREFUL,
    )


def silent(target: Target, seconds: float, *, greeted: bool, noise: bytes = b"") -> SshFault:
    """Returns the fault for a box that has not answered in time."""
    if greeted:
        return SshFault("silent", f"{target} has been silent for {seconds:g} s", lasting=False)
    said = _words(noise.decode("utf-8", "replace"))
    if said:
        return SshFault(
            "restricted",
            f"{target} runs something else than `sh` for this user and says '{said[:160]}'",
            "a restricted shell or a forced command: see the user's shell and authorized_keys there",
            pause=CAREFUL,
        )
    return SshFault("silent", f"{target}: no shell has answered within {seconds:g} s", lasting=False)


def no_client(program: str) -> SshFault:
    """Returns the fault where there is no ssh on this side."""
    return SshFault("no_client", f"there is no `{program}` here", "install the OpenSSH client (openssh-client)")


def _failed(target: Target, errors: str, words: str, login: str, host: str) -> SshFault | None:
    """Tells apart why ssh itself failed, by the words of OpenSSH's client."""
    low = errors.lower()
    if "remote host identification has changed" in low or "has changed and you have requested" in low:
        place = f"[{host}]:{target.port}" if target.port and target.port != 22 else host
        # ssh looks it up as its configuration says: by HostName and Port, or by an alias of the key.
        entry = re.search(r"ost key for (\S{1,300}) has changed and you have requested", errors)
        place = clean_text(entry[1], 300) if entry else place
        file = re.search(r"(?m)^Offending \S+ key in (.{1,500}):[0-9]+\s*$", errors)
        other = file is not None and not file[1].endswith("/.ssh/known_hosts")
        where = f"-f {shlex.quote(clean_text(file[1], 500))} " if file is not None and other else ""
        seen = re.search(r"SHA256:[A-Za-z0-9+/]{20,64}", errors)
        return SshFault(
            "key_changed",
            f"{target}: THE HOST KEY HAS CHANGED{f', to {seen[0]}' if seen else ''}; it is not connected to",
            f"somebody may be listening in; if it was installed anew: ssh-keygen {where}-R '{place}', then `{login}`",
            pause=CAREFUL,
        )
    if "host key is known for" in low or "host key verification failed" in low:
        return SshFault(
            "key_unknown",
            f"{target}: its host key is not known here",
            f"connect once by hand and compare the fingerprint: `{login}`",
            pause=CAREFUL,
        )
    if "permission denied" in low or "too many authentication failures" in low or "no more authentication" in low:
        methods = re.search(r"ermission denied \(([a-z0-9,-]+)\)", errors)
        return SshFault(
            "denied",
            f"{target}: permission denied{f' ({methods[1]})' if methods else ''}",
            f"its key must be in ssh's agent or without a passphrase, and known there: ssh-copy-id, then `{login}`",
            pause=CAREFUL,
        )
    for said, kind, message, hint, lasting in (
        ("could not resolve hostname", "unknown_host", "the name is not known", "a wrong name, or no DNS here", True),
        ("connection refused", "refused", "the connection was refused", "is sshd running there, on this port?", True),
        ("no route to host", "unreachable", "there is no route to it", "is it on, and in this network?", True),
        ("network is unreachable", "unreachable", "the network is unreachable", "is this side connected?", True),
        ("bad configuration option", "config", words, "see ~/.ssh/config", True),
        ("bad owner or permissions", "config", words, "see ~/.ssh/config", True),
        ("terminating, ", "config", words, "see ~/.ssh/config", True),
        ("unable to negotiate", "config", words, "old ciphers may be allowed for this host in ~/.ssh/config", True),
        ("not responding", "silent", "it no longer answers", "", False),
        (
            "kex_exchange_identification",
            "busy",
            words,
            "too many connections at once, or it locks this side out",
            False,
        ),
    ):
        if said in low:
            return SshFault(kind, f"{target}: {message}", hint, lasting=lasting)
    if "timed out" in low:
        what = "it did not answer in time" if "connect to" in low or "banner" in low else "it no longer answers"
        return SshFault("timeout", f"{target}: {what}", "is it on, and does a firewall let ssh through?", lasting=False)
    return None


def _words(text: str) -> str:
    """The last line that says something, without colours and control characters."""
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n")]
    said = [line for line in lines if line and not line.startswith(("@@@", "Warning: Permanently added"))]
    return clean_text(said[-1], 200) if said else ""
