"""docs/security.md: each threat names a test that is there, and its numbers are the code's."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from remote.fingerprint import WORD_BITS, WORD_COUNT, words
from remote.server import access, door, gate, listen, selfsigned, tls, tokens
from remote.server.permits import WRITES

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def text(checkout: Path) -> str:
    return (checkout / "docs" / "security.md").read_text()


def test_every_line_of_the_threats_names_a_test_that_is_there(checkout: Path, text: str) -> None:
    table = text.partition("## Threats")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert len(rows) > 40
    found: dict[str, set[str]] = {}
    for row in rows:
        named = re.search(r"\| `(tests/[a-z_/]+\.py)::(test_[a-z0-9_]+)` \|$", row)
        assert named, f"no test proves: {row}"
        if named[1] not in found:
            tree = ast.parse((checkout / named[1]).read_text())
            defined = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
            found[named[1]] = {node.name for node in defined}
        assert named[2] in found[named[1]], f"{named[1]} has no {named[2]}"


def test_its_numbers_are_those_of_the_program(text: str) -> None:
    for said in (
        f"holds for {selfsigned.DAYS} days",
        f"renewed {tls.RENEW // 86_400_000} days before its end",
        f"eight words show its first {WORD_BITS} bits",
        f"up to {gate.MOST_DELAY:g} s",
        f"{door.PER_ADDRESS} of one address",
        f"{access.OPEN_PER_TOKEN} requests of one token",
        f"TLS in {door.HANDSHAKE_SECONDS:g} s, a request's head in {listen.HEAD_SECONDS:g} s",
        f"connections that are taken ({listen.MAX_CONNECTIONS + listen.SPARE})",
        *(f"| `{scope}` |" for scope in tokens.SCOPES),
    ):
        assert said in text, said
    assert WORD_COUNT == 8
    assert len(WRITES) == 3
    shown = re.search(r"its key: (sha256:[0-9a-f]{64})\n.*in words: ([a-z ]+)\n", text)
    assert shown
    assert words(shown[1]) == shown[2]
