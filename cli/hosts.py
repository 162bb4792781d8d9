"""`sysmon hosts`: the configured hosts listed, added, changed, paused, pinned and asked how they are."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
from typing import TYPE_CHECKING, Any

from cli.arguments import Parser
from cli.context import Context
from cli.output import write_json
from sysmon.configschema import ROUTER_INTERVAL
from sysmon.errors import SysmonError, UsageError
from sysmon.units import plain_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.hostbook import ConfigHostBook
    from sysmon.config import HostSettings
    from sysmon.ports import Peer

HELP = "list, add, change, pause and check the configured hosts"
EXAMPLE = """sysmon hosts add db https://db-1:8200 --token-file ~/.config/sysmon/db.token --tag db
sysmon hosts add box ssh://me@box
sysmon hosts add --router home ssh://root@192.168.1.1
sysmon hosts edit db --interval 10s --unset tags
sysmon hosts stop box
sysmon hosts status --json     exit status 1 when one is not LIVE"""

DEADLINE = 15.0
"""Seconds that a host may take to say how it is."""

_FIELDS = (
    *("tags", "interval", "devices", "token_file", "fingerprint", "ca", "cert", "key", "collectors"),
    *("expected_off", "paused"),
)

_ONLY = frozenset(("devices", "token_file", "fingerprint", "ca", "cert", "key", "collectors"))
"""Fields of which a router has the first alone, and other hosts the rest."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)

    def verb(name: str, help: str, example: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = verbs.add_parser(name, help=help, description=help, example=example)
        return added

    listing = verb("list", "print the configured hosts", "sysmon hosts list --json")
    listing.add_argument("--tag", action="append", default=[], metavar="TAG", help="only hosts that have this tag")
    adding = verb(
        "add",
        "add a host; of https:// the key that is shown there is pinned once you have compared it",
        "sysmon hosts add db https://db-1:8200 --token-file ~/db.token --tag db",
    )
    adding.add_argument("name", metavar="NAME", help="the name to call it by")
    adding.add_argument(
        "target", metavar="TARGET", help="https://HOST:8200, ssh://[USER@]HOST, node+http://HOST:9100, …"
    )
    adding.add_argument(
        "--router", action="store_true", help="it is a router, to be asked for the devices of its LAN too"
    )
    _fields(adding)
    adding.add_argument("--expected-off", action="store_const", const=True, help="that it is away is nothing wrong")
    adding.add_argument("--paused", action="store_const", const=True, help="do not connect for now")
    editing = verb("edit", "change a host", "sysmon hosts edit db --interval 10s --unset tags")
    editing.add_argument("name", metavar="NAME", help="the host")
    editing.add_argument("--name", dest="new_name", metavar="NAME", help="call it so from now on")
    editing.add_argument("--target", metavar="TARGET", help="where it is")
    _fields(editing)
    editing.add_argument(
        "--expected-off", action=argparse.BooleanOptionalAction, help="whether that it is away is nothing wrong"
    )
    editing.add_argument(
        "--unset",
        action="append",
        default=[],
        metavar="FIELD",
        choices=_FIELDS,
        help=f"to its default: {', '.join(_FIELDS)}",
    )
    for name, help in (
        ("remove", "take hosts out of the configuration; what was recorded of them stays"),
        ("start", "connect to paused hosts again"),
        ("stop", "do not connect to hosts for now"),
    ):
        each = verb(name, help, f"sysmon hosts {name} db")
        each.add_argument("names", metavar="NAME", nargs="+", help="a host")
    showing = verb("show", "print all of a host's settings; a token is never shown", "sysmon hosts show db")
    showing.add_argument("name", metavar="NAME", help="the host")
    asking = verb(
        "status",
        "say how hosts are, how old their last frame is and how far their clock is ahead; "
        "exit status 1 when one that should be LIVE is not",
        "sysmon hosts status --json",
    )
    asking.add_argument("names", metavar="NAME", nargs="*", help="only these hosts")
    asking.add_argument(
        "--timeout", type=float, default=DEADLINE, metavar="SECONDS", help=f"to wait for each host ({DEADLINE:g})"
    )
    pinning = verb(
        "pin",
        "pin the key that a host shows now, once you have compared it",
        "sysmon hosts pin db\nsysmon hosts pin db --fingerprint sha256:…",
    )
    pinning.add_argument("name", metavar="NAME", help="the host")
    pinning.add_argument("--fingerprint", metavar="SHA256", help="the key that it must show; asks nothing")
    for each in (listing, showing, asking):
        each.add_argument("--json", action="store_true", help="print JSON")


def _fields(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tag", action="append", dest="tags", metavar="TAG", help="a word to group hosts by; repeatable"
    )
    parser.add_argument("--interval", metavar="TIME", help="time between the frames wanted (1s; of a router 5s)")
    parser.add_argument("--devices", metavar="TIME", help="of a router: time between looks at its devices (30s)")
    parser.add_argument("--token-file", metavar="FILE", help="a 0600 file with the token to show there")
    parser.add_argument("--fingerprint", metavar="SHA256", help="pin this key: sha256: and 64 hex digits")
    parser.add_argument(
        "--ca", metavar="FILE", help="verify its certificate by these authorities; system: the system's"
    )
    parser.add_argument("--cert", metavar="FILE", help="this side's certificate, where it wants one")
    parser.add_argument("--key", metavar="FILE", help="the key of that certificate")
    parser.add_argument("--collectors", metavar="NAMES", help="only these, separated by commas")


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    from cli.hostbook import ConfigHostBook

    context = Context.of_environment()
    book = ConfigHostBook(context)
    match options.verb:
        case "list":
            return _list(book, options.tag, as_json=options.json)
        case "add":
            return _add(book, options)
        case "edit":
            return _edit(book, options)
        case "show":
            return _show(book.get(options.name), as_json=options.json)
        case "status":
            return _status(context, book, options)
        case "pin":
            return _pin(book, options)
    return _each(book, options.verb, list(dict.fromkeys(options.names)))


def _list(book: ConfigHostBook, tags: Sequence[str], *, as_json: bool) -> int:
    hosts = [host for host in book.hosts() if set(tags) <= set(host.tags)]
    if as_json:
        write_json([_plain(host) for host in hosts])
        return 0
    if not hosts:
        print("no host has these tags" if tags else "no hosts are configured; `sysmon hosts add NAME TARGET` adds one")
        return 0
    width = max(len(host.name) for host in hosts)
    wide = max(len(host.target) for host in hosts)
    for host in hosts:
        words = ["router"] if host.router else []
        words += ["paused"] if host.paused else []
        words += ["expected off"] if host.expected_off else []
        words += (
            [f"every {plain_duration(host.interval)}"]
            if host.interval != (ROUTER_INTERVAL if host.router else 1.0)
            else []
        )
        words += [f"#{tag}" for tag in host.tags]
        print(f"{host.name:<{width}}  {host.target:<{wide}}  {', '.join(words)}".rstrip())
    return 0


def _plain(host: HostSettings) -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(host)
    if host.fingerprint:
        from remote.fingerprint import words

        plain["words"] = words(host.fingerprint)
    return plain


def _show(host: HostSettings, *, as_json: bool) -> int:
    plain = _plain(host)
    if as_json:
        write_json(plain, indent=True)
        return 0
    for key, value in plain.items():
        if key in _ONLY and host.router != (key == "devices"):
            continue
        shown = ", ".join(value) if isinstance(value, list | tuple) else value
        if isinstance(value, bool):
            shown = "yes" if value else "no"
        elif key in ("interval", "devices"):
            shown = plain_duration(value)
        print(f"{key:<12}  {shown if shown != '' else '-'}")
    return 0


def _given(options: argparse.Namespace) -> dict[str, object]:
    """The fields that the command line gives, as the file would."""
    from remote.fingerprint import parse_fingerprint

    given = {key: value for key in _FIELDS if (value := getattr(options, key, None)) is not None}
    if "collectors" in given:
        given["collectors"] = [name.strip() for name in str(given["collectors"]).split(",") if name.strip()]
    if given.get("fingerprint"):
        given["fingerprint"] = parse_fingerprint(str(given["fingerprint"]))
    return given


def _add(book: ConfigHostBook, options: argparse.Namespace) -> int:
    host = book.made(options.name, {"target": options.target, **_given(options)}, router=options.router)
    book.check_free(host)
    note = ""
    if _unknown(host):
        peer = _met(host)
        _confirm(peer, f"sysmon hosts {_again(options)}")
        host = book.made(host.name, {**book.fields(host), "fingerprint": peer.fingerprint})
        note = ", its key pinned"
    book.add(host)
    print(f"{host.name}: added{note}; `sysmon hosts status {host.name}` asks it")
    return 0


def _met(host: HostSettings) -> Peer:
    from cli.probe import meet
    from remote.target import host_target

    return asyncio.run(meet(host_target(host)))


def _again(options: argparse.Namespace) -> str:
    """The command that was given, for a shell."""
    words = ["add", options.name, options.target]
    for key in ("tags", "interval", "devices", "token_file", "ca", "cert", "key", "collectors"):
        given = getattr(options, key)
        for value in given if isinstance(given, list) else [] if given is None else [given]:
            words += ["--tag" if key == "tags" else f"--{key.replace('_', '-')}", value]
    words += [f"--{key.replace('_', '-')}" for key in ("expected_off", "paused") if getattr(options, key)]
    return shlex.join(words)


def _unknown(host: HostSettings) -> bool:
    """Whether a host is met by TLS and nothing says yet how it is known."""
    from remote.target import host_target

    return host_target(host).secure and not host.fingerprint and not host.ca


def _edit(book: ConfigHostBook, options: argparse.Namespace) -> int:
    changes: dict[str, object] = dict.fromkeys(options.unset)
    given = _given(options)
    for key in changes.keys() & given.keys():
        raise UsageError(f"--unset {key} and a value for it are both given", "choose one")
    changes |= given
    if options.target is not None:
        changes["target"] = options.target
    if options.new_name is not None:
        changes["name"] = options.new_name
    if not changes:
        raise UsageError("nothing is to be changed", "`sysmon hosts edit --help` lists the fields")
    host = book.edit(options.name, changes)
    print(f"{host.name}: changed")
    if _unknown(host):
        print(f"sysmon: nothing says how to know {host.target}; `sysmon hosts pin {host.name}`", file=sys.stderr)
    return 0


def _each(book: ConfigHostBook, verb: str, names: Sequence[str]) -> int:
    for name in names:  # all of them are known, or nothing is done
        book.get(name)
    for name in names:
        if verb == "remove":
            book.remove(name)
        else:
            book.edit(name, {"paused": verb == "stop"})
        print(f"{name}: {({'remove': 'removed', 'start': 'started', 'stop': 'paused'})[verb]}")
    return 0


def _pin(book: ConfigHostBook, options: argparse.Namespace) -> int:
    from remote.fingerprint import parse_fingerprint, words
    from remote.target import host_target

    host = book.get(options.name)
    if not host_target(host).secure:
        raise UsageError(f"{host.target} shows no key", "only https:// targets have one to pin")
    if options.fingerprint:
        fingerprint = parse_fingerprint(options.fingerprint)
    else:
        peer = _met(host)
        fingerprint = peer.fingerprint
        if fingerprint == host.fingerprint:
            print(f"{host.name}: its key is the pinned one: {peer.words}")
            return 0
        if host.fingerprint:
            print(f"pinned until now: {words(host.fingerprint)}", file=sys.stderr)
        _confirm(peer, f"sysmon hosts pin {host.name}")
    # A key is pinned instead of an authority, whose names and dates would otherwise still be asked for.
    book.edit(host.name, {"fingerprint": fingerprint, "ca": None})
    print(f"{host.name}: pinned {words(fingerprint)}")
    return 0


def _confirm(peer: Peer, command: str) -> None:
    """Shows a peer's key and asks whether it is the right one.

    Raises:
        SysmonError: it is not, or there is nobody to ask.
    """
    said = [f"{peer.target} shows this key:", f"    {peer.words}", f"    {peer.fingerprint}"]
    said += [f"    certificate: {peer.certificate}"] if peer.certificate else []
    print(*said, sep="\n", file=sys.stderr)
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr)):
        raise SysmonError(
            "nobody is here to compare the key with the one that `sysmon --agent` prints there, so it is not pinned",
            f"once compared: {command} --fingerprint {peer.fingerprint}",
        )
    print(
        "`sysmon --agent` prints its own when it starts. Are the words the same there? [y/N] ", end="", file=sys.stderr
    )
    sys.stderr.flush()
    answer = sys.stdin.readline().strip().lower()
    if answer not in ("y", "yes"):
        raise SysmonError("not pinned, and nothing was changed", "ask whoever runs that host for its fingerprint")


def _skew(seconds: float | None) -> str:
    """By how much a clock is ahead of this one."""
    if seconds is None:
        return "-"
    tenths = round(seconds, 1)
    return f"{tenths:+.1f} s" if tenths else "0.0 s"


def _status(context: Context, book: ConfigHostBook, options: argparse.Namespace) -> int:
    from cli.hoststatus import as_json, find_statuses

    if not 0.1 <= options.timeout <= 600:
        raise UsageError(f"--timeout '{options.timeout:g}' is out of range", "allowed is 0.1 to 600 seconds")
    hosts = [book.get(name) for name in dict.fromkeys(options.names)] or book.hosts()
    who, found = asyncio.run(find_statuses(context, hosts, options.timeout))
    if options.json:
        write_json(as_json(who, found), indent=True)
    elif not found:
        print("no hosts are configured; `sysmon hosts add NAME TARGET` adds one")
    else:
        width = max(len("HOST"), *(len(each.name) for each in found))
        print(f"{'HOST':<{width}}  {'STATE':<10}  {'AGE':>7}  {'CLOCK':>8}")
        for each in found:
            state = "OFF" if each.excused and each.state in ("offline", "stale") else each.state.upper()
            age = "-" if each.age is None else plain_duration(each.age)
            print(f"{each.name:<{width}}  {state:<10}  {age:>7}  {_skew(each.skew):>8}  {each.message}".rstrip())
    return 1 if any(each.wrong for each in found) else 0
