"""Tokens: who may read, push or acknowledge. Digests in a file of the state folder; a secret is shown once, never kept.

A token is 256 random bits, so its plain SHA-256 is what is kept: there is nothing to guess that a slow hash would
protect. Several processes may change the file; a running server sees a change within a second.
"""

from __future__ import annotations

import base64
import hmac
import os
import re
import secrets
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

import msgspec

from remote.private import locked, read_private, write_private
from sysmon.errors import SysmonError, UsageError, nearest
from sysmon.units import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Scope = Literal["read", "report", "ack"]
SCOPES: tuple[Scope, ...] = ("read", "report", "ack")
"""What a token may allow: to read frames and history, to push frames, to acknowledge and silence alerts."""
PREFIX = "smt_"
"""What a token begins with, so that people and scanners know one when they see it."""
MAX_TOKENS = 200
"""Tokens of one file at most."""
FORGET = 90 * 86_400_000
"""Milliseconds that a revoked or expired token is still listed."""

_SECRET = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """One token, without its secret.

    Attributes:
        digest: SHA-256 of the secret, 64 hex digits.
        created, expires, used, revoked: Unix milliseconds, or None; `used` is exact to a minute.
    """

    name: str
    digest: str
    scopes: tuple[Scope, ...]
    created: int
    expires: int | None = None
    used: int | None = None
    revoked: int | None = None

    def __repr__(self) -> str:
        return f"Token({self.name!r}, {','.join(self.scopes)})"

    def state(self, now: int) -> Literal["valid", "expired", "revoked"]:
        """Returns whether it lets anybody in."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "valid"

    def why_not(self, now: int) -> str:
        """Says in words why it lets nobody in; '' where it does."""
        if self.revoked is not None:
            return f"the token '{self.name}' was revoked at {format_time(self.revoked)}"
        if self.expires is not None and self.expires <= now:
            return f"the token '{self.name}' expired at {format_time(self.expires)}"
        return ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    tokens: list[Token]


def new_secret() -> str:
    """Draws a token's secret: `smt_` and 256 bits in base64url."""
    return PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


def digest_of(secret: str) -> str:
    """Returns what is kept of a secret."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def find_token(tokens: Iterable[Token], secret: str) -> Token | None:
    """Finds the token of a secret; all are compared, each in constant time."""
    digest = digest_of(secret)
    found = None
    for token in tokens:
        if hmac.compare_digest(token.digest, digest):
            found = token
    return found


def read_token(path: Path) -> str:
    """Reads the secret that this side shows to another, from a file with nothing else in it.

    Raises:
        SysmonError: the file is missing, open to others, or holds no token.
    """
    try:
        text = read_private(path, "the token").decode("ascii", "replace").strip()
    except FileNotFoundError:
        raise SysmonError(
            f"the token file {path} does not exist", f"`sysmon token new NAME --file {path}` on the other side makes it"
        ) from None
    if not _SECRET.fullmatch(text):
        raise SysmonError(f"{path} holds no token", f"a token is '{PREFIX}' and 43 letters, digits, '-' and '_'")
    return text


def parse_scopes(text: str) -> tuple[Scope, ...]:
    """Takes `read,ack` apart.

    Raises:
        UsageError: a word is no scope, or there is none.
    """
    given = [word.strip() for word in text.split(",")]
    for word in given:
        if word not in SCOPES:
            raise UsageError(f"--scope '{word}' is not one of {', '.join(SCOPES)}", nearest(word, SCOPES))
    return tuple(scope for scope in SCOPES if scope in given)


class TokenStore:
    """The file `tokens.json`.

    Args:
        path: where it is; it and its folder are made when the first token is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"TokenStore({str(self.path)!r})"

    def tokens(self) -> list[Token]:
        """Reads all tokens, in the order in which they were made.

        Raises:
            SysmonError: the file is open to others, or not such a file.
        """
        try:
            data = read_private(self.path, "the token list")
        except FileNotFoundError:
            return []
        try:
            file = msgspec.json.decode(data, type=_File)
        except msgspec.MsgspecError as error:
            raise SysmonError(
                f"{self.path} is not a list of tokens: {error}", "move it away and make new ones"
            ) from None
        if file.version != 1:
            raise SysmonError(f"{self.path} was written by a newer sysmon (version {file.version})")
        return file.tokens

    def stamp(self) -> tuple[int, int, int] | None:
        """Returns what changes whenever the file does; None where it is not there."""
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_mode

    def new(self, name: str, scopes: tuple[Scope, ...], now: int, lifetime: float | None = None) -> tuple[Token, str]:
        """Makes a token.

        Args:
            name: 1 to 64 letters, digits, `_`, `.` and `-`; none that is in force has it.
            scopes: what it allows.
            now: Unix milliseconds.
            lifetime: seconds until it expires; None for never.

        Returns:
            The token, and its secret, which nothing keeps.

        Raises:
            UsageError: the name is none or taken, or nothing is allowed. SysmonError: the file cannot be written.
        """
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name[:70]!a} is not a name for a token: 1 to 64 letters, digits, '_', '.' and '-'")
        if not scopes:
            raise UsageError("a token allows something", f"--scope {SCOPES[0]}")
        secret = new_secret()
        expires = None if lifetime is None else now + int(lifetime * 1000)
        token = Token(name=name, digest=digest_of(secret), scopes=scopes, created=now, expires=expires)
        with locked(self.path):
            kept = self.tokens()
            if any(each.name == name and each.state(now) == "valid" for each in kept):
                raise UsageError(f"there is a token '{name}' already", "take another name, or revoke that one first")
            kept = [each for each in kept if each.name != name and not _forgotten(each, now)]
            if len(kept) >= MAX_TOKENS:
                raise UsageError(f"there are {len(kept)} tokens, the most there may be", "revoke some")
            self._write([*kept, token])
        return token, secret

    def revoke(self, name: str, now: int) -> Token:
        """Ends a token for good.

        Raises:
            UsageError: none has that name. SysmonError: the file cannot be written.
        """
        self._named(self.tokens(), name)
        with locked(self.path):
            kept = self.tokens()
            found = self._named(kept, name)
            if found.revoked is not None:
                return found
            ended = msgspec.structs.replace(found, revoked=now)
            self._write([ended if each is found else each for each in kept])
        return ended

    def note_used(self, used: dict[str, int]) -> None:
        """Writes when tokens were last used; waits for nobody long, since a server ends with it.

        Args:
            used: digest -> Unix milliseconds.

        Raises:
            SysmonError: the file cannot be written, or another process holds it.
        """
        with locked(self.path, wait=0.3):
            kept = self.tokens()
            changed = [
                msgspec.structs.replace(each, used=max(each.used or 0, used[each.digest]))
                if each.digest in used
                else each
                for each in kept
            ]
            if changed != kept:
                self._write(changed)

    def _named(self, tokens: list[Token], name: str) -> Token:
        found = next((each for each in tokens if each.name == name), None)
        if found is None:
            hint = nearest(name, [each.name for each in tokens]) or "`sysmon token list` shows them"
            raise UsageError(f"there is no token {name[:70]!a}", hint)
        return found

    def _write(self, tokens: list[Token]) -> None:
        write_private(self.path, msgspec.json.format(msgspec.json.encode(_File(1, tokens))) + b"\n")


def _forgotten(token: Token, now: int) -> bool:
    ended = token.revoked if token.revoked is not None else token.expires
    return ended is not None and ended + FORGET < now
