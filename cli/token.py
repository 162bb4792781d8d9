"""`sysmon token`: makes, lists and revokes the tokens by which others are let in here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cli.context import Context
from cli.output import write_json
from remote.private import write_private
from remote.server.tokens import SCOPES, TokenStore, parse_scopes
from sysmon.errors import UsageError
from sysmon.units import format_duration, format_time, parse_duration, rfc3339

if TYPE_CHECKING:
    import argparse

    from remote.server.tokens import Token
    from sysmon.config import Places

HELP = "make, list and revoke the tokens by which others are let in here"
EXAMPLE = """sysmon token new hub --file hub.token           on the agent; take the file to the hub
sysmon token new laptop --scope read,ack --expires 90d
sysmon token list
sysmon token revoke hub
sudo sysmon token new hub --state /var/lib/sysmon     for the service"""

FILE = "tokens.json"
"""The list, in the state folder."""


def store_of(places: Places) -> TokenStore:
    """Returns the list of tokens of this user or service."""
    return TokenStore(places.state / FILE)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("verb", choices=("new", "list", "revoke"), help="what to do")
    parser.add_argument("name", nargs="?", metavar="NAME", help="new, revoke: what the token is called")
    parser.add_argument(
        "--scope", metavar="SCOPES", help=f"new: what it allows, with commas between: {', '.join(SCOPES)} (read)"
    )
    parser.add_argument("--expires", metavar="AGE", help="new: how long it is good for, such as 90d (for ever)")
    parser.add_argument("--file", metavar="PATH", help="new: write it there, mode 0600, instead of printing it")
    parser.add_argument("--state", metavar="FOLDER", help="a service's state folder, such as /var/lib/sysmon")
    parser.add_argument("--json", action="store_true", help="list: print JSON")


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    _check(options)
    context = Context.of_environment()
    store = TokenStore(Path(options.state) / FILE) if options.state else store_of(context.places)
    now = context.clock.now()
    if options.verb == "list":
        return _list(store, now, as_json=options.json)
    if options.verb == "revoke":
        token = store.revoke(options.name, now)
        print(f"the token '{token.name}' lets nobody in any more; connections by it are cut within seconds")
        return 0
    return _new(store, options, now)


def _check(options: argparse.Namespace) -> None:
    verb = options.verb
    if verb == "list" and options.name is not None:
        raise UsageError(f"`sysmon token list` takes no NAME: '{options.name}'")
    if verb != "list" and options.name is None:
        raise UsageError(f"`sysmon token {verb}` needs a NAME", f"`sysmon token {verb} hub`")
    if verb != "list" and options.json:
        raise UsageError("--json goes with `sysmon token list`")
    for option in ("scope", "expires", "file"):
        if verb != "new" and getattr(options, option) is not None:
            raise UsageError(f"--{option} goes with `sysmon token new`")
    if options.state is not None and not Path(options.state).is_dir():
        raise UsageError(f"--state '{options.state}' is not a folder", "the service must have been started once")


def _new(store: TokenStore, options: argparse.Namespace, now: int) -> int:
    scopes = parse_scopes(options.scope if options.scope is not None else "read")
    lifetime = None
    if options.expires is not None:
        try:
            lifetime = parse_duration(options.expires)
        except ValueError:
            raise UsageError(f"--expires '{options.expires}' is not a duration", "write 90d, 12h or 1y") from None
        if not 60.0 <= lifetime <= 100 * 366 * 86400.0:
            raise UsageError(f"--expires '{options.expires}' is out of range", "allowed is 1m to 100y")
    path = Path(options.file).expanduser() if options.file else None
    if path is not None and path.exists():
        raise UsageError(f"{path} is there already", "name another file, or remove it")
    if path is not None and not path.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {path.absolute().parent} for --file")
    token, secret = store.new(options.name, scopes, now, lifetime)
    end = "for ever" if token.expires is None else f"until {format_time(token.expires)}"
    said = f"the token '{token.name}' allows to {', '.join(scopes)}, {end}"
    if path is None:
        # The secret alone on stdout, so that it can be piped; it is not shown again.
        _tell(f"{said}; keep it in a file of mode 0600, it is not shown again:")
        print(secret)
    else:
        try:
            write_private(path.absolute(), secret.encode() + b"\n")
        except BaseException:
            store.revoke(token.name, now)
            raise
        print(f"{said}; it is in {path} (mode 0600), for token_file of the one who reads")
    return 0


def _list(store: TokenStore, now: int, *, as_json: bool) -> int:
    tokens = store.tokens()
    if as_json:
        write_json([_shown(token, now) for token in tokens])
        return 0
    if not tokens:
        print("no tokens; `sysmon token new NAME` makes one")
        return 0
    width = max(len(token.name) for token in tokens)
    print(f"{'NAME':<{max(width, 4)}}  {'STATE':<7}  {'SCOPE':<15}  {'MADE':<19}  {'EXPIRES':<19}  LAST USED")
    for token in tokens:
        ends = "never" if token.expires is None else format_time(token.expires)
        used = "never" if token.used is None else f"{format_duration(max(0, now - token.used) / 1000)} ago"
        print(
            f"{token.name:<{max(width, 4)}}  {token.state(now):<7}  {','.join(token.scopes):<15}  "
            f"{format_time(token.created):<19}  {ends:<19}  {used}"
        )
    return 0


def _shown(token: Token, now: int) -> dict[str, object]:
    def moment(time: int | None) -> str | None:
        return None if time is None else rfc3339(time)

    return {
        "name": token.name,
        "state": token.state(now),
        "scopes": list(token.scopes),
        "created": moment(token.created),
        "expires": moment(token.expires),
        "used": moment(token.used),
        "revoked": moment(token.revoked),
    }


def _tell(line: str) -> None:
    print(line, file=sys.stderr)
