"""The token that this side shows: read anew each time, and never sent where others could read it."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from remote.private import MAX_BYTES, read_private
from sysmon.errors import SysmonError, Unauthorized

if TYPE_CHECKING:
    from remote.target import Target

TOKEN_VARIABLE = "SYSMON_TOKEN"
"""Environment variable with the token for targets of the command line."""

_CREDENTIALS = "$CREDENTIALS_DIRECTORY/"
_SECRET = re.compile(r"[\x21-\x7e]{8,1024}")


def authorization(target: Target) -> dict[str, str]:
    """Returns the header that lets us in, or none where no token is configured.

    A Netronome agent takes its key in a header of its own; a node_exporter that wants USER:PASSWORD takes it as Basic.

    Raises:
        Unauthorized: the token cannot be had, or would cross a network unencrypted.
    """
    token = secret(target)
    if not token:
        return {}
    if target.kind == "netronome":
        return {"x-api-key": token}
    if target.kind == "node" and ":" in token:
        return {"authorization": f"Basic {base64.b64encode(token.encode()).decode()}"}
    return {"authorization": f"Bearer {token}"}


def secret(target: Target) -> str:
    """Returns the token or key to show to a target, '' where none is configured; see `authorization`.

    `token_file` is a file that only its owner can read, `$CREDENTIALS_DIRECTORY/NAME` for what systemd's
    LoadCredential= provides, or `$NAME` for an environment variable.
    """
    given = target.credentials.token_file
    if not given:
        return ""
    if not private(target):
        raise Unauthorized(
            f"{target}: its token is not sent, because http:// to another machine is not encrypted",
            "write https://, or go through ssh -L",
        )
    try:
        text = _read(given)
    except SysmonError as error:
        raise Unauthorized(f"{target}: {error.message}", error.hint) from None
    if not _SECRET.fullmatch(text):
        what = "is empty" if not text else "holds no token: one word of 8 to 1024 letters, digits and signs"
        raise Unauthorized(
            f"{target}: token file {given} {what}", "`sysmon token new NAME` on the other side makes one"
        )
    return text


def private(target: Target) -> bool:
    """Whether nobody on the way reads what is sent to a target: TLS, a Unix socket, or this very machine."""
    if target.secure or target.socket:
        return True
    host = urlsplit(target.base).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _read(given: str) -> str:
    if given.startswith(_CREDENTIALS):
        folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
        if not folder:
            raise SysmonError(f"token file {given}: no CREDENTIALS_DIRECTORY", "LoadCredential= of the unit sets it")
        path = Path(folder, given.removeprefix(_CREDENTIALS))
        try:
            # systemd guards the folder itself; the files' modes show an access list, not who may read them.
            with path.open("rb") as file:
                return file.read(MAX_BYTES).decode("ascii", "replace").strip()
        except OSError as error:
            raise SysmonError(f"token file {given} cannot be read: {error.strerror}") from None
    if given.startswith("$"):
        text = os.environ.get(given[1:], "").strip()
        if not text:
            raise SysmonError(f"the environment has no {given[1:]}", "set it to the token")
        return text
    path = Path(given).expanduser()
    try:
        return read_private(path, "the token").decode("ascii", "replace").strip()
    except FileNotFoundError:
        raise SysmonError(
            f"token file {given} does not exist", f"`sysmon token new NAME --file {given}` on the other side makes it"
        ) from None
