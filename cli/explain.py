"""`sysmon --agent --explain`: what an agent can be asked, all of it, read off the program itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.context import Context

CANNOT = (
    "run a command, or send a signal to a process",
    "read or write a file that a request names",
    "start, stop or change a service or a container",
    "change its own configuration, or be told where to connect to",
    "update itself",
)
"""What no route, argument or message makes an agent do."""


def agent_verbs(context: Context) -> list[tuple[str, str, str]]:
    """Returns (method, path, what it answers) of every route that an agent has."""
    from remote.server.app import build_app
    from remote.server.endpoints import endpoints
    from remote.server.feed import Feed

    feed = Feed(context.catalogue, clock=context.clock)
    app = build_app(feed, clock=context.clock, routes=endpoints(feed, None, context.clock, lambda: ""))
    verbs: list[tuple[str, str, str]] = app.state.table.verbs()
    return verbs


def explained(verbs: Sequence[tuple[str, str, str]]) -> list[str]:
    """Returns the lines that are printed."""
    width = max(len(path) for _, path, _ in verbs)
    writes = sorted({method for method, _, _ in verbs} - {"GET"})
    lines = [
        "What this agent can be asked; it is compiled in, and no configuration adds to it:",
        *(f"  {method:<4} {path:<{width}}  {says}" for method, path, says in verbs),
        "",
        f"Methods other than GET: {', '.join(writes) or 'none'}. So nothing that is sent to it makes it",
        *(f"  - {each}" for each in CANNOT),
        "",
        "Who may ask: this user's programs over its Unix socket (mode 0600); anybody on this machine over loopback,",
        "unless [agent] require_token is set; others over TLS, with a token (`sysmon token`), which may only read.",
        'Readers see command lines of processes, likely secrets redacted; [collectors.processes] commands = "none"',
        "leaves them out. Those who ask for it see who is connected to whom; [collectors.connections] remotes = false",
        "leaves the other ends out.",
    ]
    return lines


def run_explain(context: Context) -> int:
    """Prints it; returns the exit status."""
    print(*explained(agent_verbs(context)), sep="\n")
    return 0
