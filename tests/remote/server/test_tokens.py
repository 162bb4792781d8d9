"""Tokens: shown once, kept as digests in a private file that several processes change."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from remote.private import Exposed, locked, read_private, write_private
from remote.server.tokens import FORGET, MAX_TOKENS, TokenStore, find_token, new_secret, parse_scopes, read_token
from sysmon.errors import SysmonError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_790_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return TokenStore(tmp_path / "state" / "tokens.json")


def test_a_secret_has_256_bits_and_none_is_drawn_twice() -> None:
    drawn = {new_secret() for _ in range(1000)}
    assert len(drawn) == 1000
    assert {len(secret) for secret in drawn} == {4 + 43}
    assert all(secret.startswith("smt_") for secret in drawn)


def test_only_the_digest_is_kept_and_only_for_the_owner(store: TokenStore) -> None:
    token, secret = store.new("hub", ("read",), NOW)
    text = store.path.read_text()
    assert secret not in text
    assert secret[4:] not in text
    assert token.digest in text
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
    for shown in (repr(token), repr(store), repr(store.tokens())):
        assert secret not in shown
        assert token.digest not in shown


def test_several_at_once_each_with_its_scopes_and_end(store: TokenStore) -> None:
    _, hub = store.new("hub", ("read",), NOW)
    _, next_hub = store.new("hub-2", ("read", "ack"), NOW + 1, lifetime=60.0)
    tokens = store.tokens()
    assert [token.name for token in tokens] == ["hub", "hub-2"]
    found = find_token(tokens, hub)
    other = find_token(tokens, next_hub)
    assert found is not None
    assert other is not None
    assert (found.name, found.scopes, found.expires) == ("hub", ("read",), None)
    assert (other.name, other.scopes, other.expires) == ("hub-2", ("read", "ack"), NOW + 60_001)
    assert (other.why_not(NOW + 60_000), other.state(NOW + 60_001)) == ("", "expired")
    assert "'hub-2' expired" in other.why_not(NOW + 60_001)


@pytest.mark.parametrize("secret", ["", "smt_", "smt_" + "A" * 43, "é\ud800", "x" * 100_000])
def test_another_secret_is_nobodys(store: TokenStore, secret: str) -> None:
    store.new("hub", ("read",), NOW)
    assert find_token(store.tokens(), secret) is None


def test_a_revoked_token_stays_listed_and_its_name_is_free(store: TokenStore) -> None:
    _, secret = store.new("hub", ("read",), NOW)
    store.revoke("hub", NOW + 5)
    found = find_token(store.tokens(), secret)
    assert found is not None
    assert found.state(NOW + 6) == "revoked"
    assert store.revoke("hub", NOW + 9).revoked == NOW + 5
    _, again = store.new("hub", ("read",), NOW + 10)
    assert again != secret
    assert [(token.name, token.revoked) for token in store.tokens()] == [("hub", None)]
    assert find_token(store.tokens(), secret) is None
    store.revoke("hub", NOW + 11)
    store.new("other", ("read",), NOW + 11 + FORGET + 1)
    assert [token.name for token in store.tokens()] == ["other"]


def test_a_name_is_taken_once_and_is_plain(store: TokenStore) -> None:
    store.new("hub", ("read",), NOW)
    with pytest.raises(UsageError, match="there is a token 'hub' already; take another name"):
        store.new("hub", ("read",), NOW)
    for name in ("", "a b", "a\x1b[31m", "../x", "x" * 65, "é"):
        with pytest.raises(UsageError, match="is not a name for a token"):
            store.new(name, ("read",), NOW)
    with pytest.raises(UsageError, match="there is no token 'hbu'; did you mean 'hub'"):
        store.revoke("hbu", NOW)


def test_their_number_is_bounded(store: TokenStore, tmp_path: Path) -> None:
    token, _ = store.new("hub", ("read",), NOW)
    many = [msgspec.structs.replace(token, name=f"t{at}") for at in range(MAX_TOKENS)]
    store.path.write_bytes(msgspec.json.encode({"version": 1, "tokens": many}))
    with pytest.raises(UsageError, match="200 tokens"):
        store.new("one-more", ("read",), NOW)


def test_last_use_is_kept_and_never_goes_back(store: TokenStore) -> None:
    token, _ = store.new("hub", ("read",), NOW)
    store.note_used({token.digest: NOW + 60_000, "unknown": NOW})
    store.note_used({token.digest: NOW + 1})
    assert [each.used for each in store.tokens()] == [NOW + 60_000]
    before = store.stamp()
    store.note_used({token.digest: NOW + 1})
    assert store.stamp() == before


def test_noting_use_waits_for_nobody_long(store: TokenStore) -> None:
    token, _ = store.new("hub", ("read",), NOW)
    with locked(store.path), pytest.raises(SysmonError, match="is being changed by another process"):
        store.note_used({token.digest: NOW})


def test_many_processes_make_tokens_and_none_is_lost(store: TokenStore) -> None:
    code = (
        "import sys; from pathlib import Path; from remote.server.tokens import TokenStore\n"
        "for at in range(8): TokenStore(Path(sys.argv[1])).new(f'{sys.argv[2]}-{at}', ('read',), 1790000000000)"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(store.path), name]) for name in "abcd"]
    assert [process.wait(30) for process in running] == [0, 0, 0, 0]
    assert sorted(token.name for token in store.tokens()) == sorted(
        f"{name}-{at}" for name in "abcd" for at in range(8)
    )
    assert {entry.name for entry in store.path.parent.iterdir()} == {"tokens.json", "tokens.json.lock"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o644])
def test_a_list_that_others_can_reach_is_refused_with_what_mends_it(store: TokenStore, mode: int) -> None:
    store.new("hub", ("read",), NOW)
    store.path.chmod(mode)
    with pytest.raises(Exposed, match=rf"open to others \(mode {mode:04o}\); chmod 600 .*tokens.json"):
        store.tokens()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_list_of_another_user_is_refused_and_root_gives_a_service_its_own(store: TokenStore) -> None:
    store.path.parent.mkdir()
    os.chown(store.path.parent, 65534, 65534)
    store.new("hub", ("read",), NOW)
    assert (store.path.stat().st_uid, store.path.with_name("tokens.json.lock").stat().st_uid) == (65534, 65534)
    store.new("other", ("read",), NOW)
    assert [token.name for token in store.tokens()] == ["hub", "other"]
    os.chown(store.path, 65533, 65533)
    with pytest.raises(Exposed, match="belongs to another user"):
        store.tokens()


def test_a_folder_that_everybody_may_write_to_is_refused(store: TokenStore) -> None:
    store.path.parent.mkdir()
    store.path.parent.chmod(0o777)
    with pytest.raises(Exposed, match="everybody may write in"):
        store.new("hub", ("read",), NOW)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a list of tokens"),
        ("[]", "not a list of tokens"),
        ('{"version": 1, "tokens": [{"name": "x"}]}', r"not a list of tokens: .*digest"),
        ('{"version": 1, "tokens": [], "more": 1}', "not a list of tokens"),
        ('{"version": 2, "tokens": []}', "written by a newer sysmon"),
    ],
)
def test_a_list_that_is_none_is_said(store: TokenStore, text: str, words: str) -> None:
    write_private(store.path, text.encode())
    with pytest.raises(SysmonError, match=words):
        store.tokens()


def test_a_write_that_fails_leaves_the_old_list(store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.new("hub", ("read",), NOW)
    before = store.path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SysmonError, match="cannot be written: No space left"):
        store.new("other", ("read",), NOW)
    assert store.path.read_bytes() == before
    assert {entry.name for entry in store.path.parent.iterdir()} == {"tokens.json", "tokens.json.lock"}


def test_the_token_to_show_is_read_from_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "hub.token"
    secret = new_secret()
    with pytest.raises(SysmonError, match="does not exist; `sysmon token new NAME --file"):
        read_token(path)
    path.write_text(secret + "\n")
    path.chmod(0o644)
    with pytest.raises(Exposed, match="chmod 600") as caught:
        read_token(path)
    assert secret not in str(caught.value)
    path.chmod(0o600)
    assert read_token(path) == secret
    path.write_text("password\n")
    with pytest.raises(SysmonError, match="holds no token") as wrong:
        read_token(path)
    assert "password" not in str(wrong.value)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(SysmonError, match="is not a file"):
        read_private(tmp_path / "pipe", "the token")
    (tmp_path / "big").write_bytes(bytes(1 << 20) + b"x")
    (tmp_path / "big").chmod(0o600)
    with pytest.raises(SysmonError, match="is larger than"):
        read_private(tmp_path / "big", "the token")


def test_scopes_are_words_of_a_list() -> None:
    assert parse_scopes("ack, read") == ("read", "ack")
    with pytest.raises(UsageError, match="--scope 'raed' is not one of read, report, ack; did you mean 'read'"):
        parse_scopes("raed")
    with pytest.raises(UsageError, match="--scope ''"):
        parse_scopes("")


def test_the_file_is_plain_json(store: TokenStore) -> None:
    store.new("hub", ("read", "ack"), NOW, lifetime=3600.0)
    kept = json.loads(store.path.read_text())
    assert kept["version"] == 1
    assert kept["tokens"][0]["name"] == "hub"
    assert kept["tokens"][0]["expires"] == NOW + 3_600_000
