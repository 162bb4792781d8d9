"""Hides likely secrets in command lines: pure, text in, text out.

A command line can be read by every user of the host, yet a monitor that keeps, sends and prints it carries a password
further than it was meant to go. What looks like a secret becomes `***`: values of flags and variables named like one,
passwords in URLs and headers, the password switches of well-known programs, and tokens known by their form. It errs on
the side of hiding.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MASK = "***"
"""What stands for a secret."""

_STRONG = (
    *("password", "passwd", "passphrase", "passwort", "secret", "token", "apikey", "credential"),
    *("privatekey", "accesskey", "secretkey", "authkey", "licensekey", "encryptionkey", "connectionstring"),
)
_WORDS = frozenset(
    "pass pwd psw pw passcode passin passout auth authorization bearer cookie cookies psk pin otp jwt sas signature "
    "sig webhook".split()
)
_KEY_BEFORE = frozenset(
    "api access private secret auth account encryption storage master signing licence license subscription".split()
)
_NEUTRAL = frozenset(
    "file path dir directory folder cmd command prompt ttl type length size policy store agent helper name timeout age "
    "mode method stdin fd env provider algorithm expiry expires lifetime count limit socket rotation keyring uri "
    "endpoint issuer".split()
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_ASSIGNED = re.compile(r"(-{0,2}/?[A-Za-z_][\w.\-]*)([=:])(.+)", re.DOTALL)
_HEADER = re.compile(r"\s*(?:-H\s*|--header=)?[\"']?([A-Za-z][A-Za-z0-9\-]*)\s*:\s*(?=\S)")
_URL_PASSWORD = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.\-]{1,20}://[^\s/:@?#]*):([^\s/]+)@")
_URL_TOKEN = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.\-]{1,20}://)([^\s/:@?#]{20,})@")
_QUERY = re.compile(r"([?&;])([\w.\-]{1,64})=([^&;\s#]+)")
_TOKEN = re.compile(
    r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w\-]{16,}|xox[abeprs]-[\w\-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|sk-[\w\-]{20,}|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}|dckr_pat_[\w\-]{20,}|[sr]k_live_[A-Za-z0-9]{16,}|AIza[\w\-]{30,}"
    r"|eyJ[\w\-]{8,}\.[\w\-]{8,}(?:\.[\w\-]*)?"
)
_PIECE = re.compile(r"\s+|(?:[^\s\"']+|\"[^\"]*\"|'[^']*'|[\"'])+")
_SPACES = re.compile(r"(\s+)")
_QUOTES = "\"'"
_NESTED = 3
_PATH = ("/", "./", "../", "~")

_MYSQL = ("mysql", "mariadb", "mycli", "mytop", "innotop", "xtrabackup", "mariabackup", "percona", "pt-")
_SWITCHES: dict[str, tuple[str, ...]] = {
    "sshpass": ("-p",),
    "redis-cli": ("-a",),
    "valkey-cli": ("-a",),
    "mongo": ("-p",),
    "mongosh": ("-p",),
    "mongodump": ("-p",),
    "mongorestore": ("-p",),
    "curl": ("-u", "--user", "-U", "--proxy-user", "-b", "--cookie"),
    "http": ("-a", "--auth"),
    "https": ("-a", "--auth"),
    "ldapsearch": ("-w",),
    "ldapmodify": ("-w",),
    "ldapadd": ("-w",),
    "ldapwhoami": ("-w",),
    "smbclient": ("-U", "--user"),
    "rpcclient": ("-U", "--user"),
    "sqlcmd": ("-P",),
    "bcp": ("-P",),
    "plink": ("-pw",),
    "pscp": ("-pw",),
    "psftp": ("-pw",),
    "rdesktop": ("-p",),
    "xfreerdp": ("/p",),
    "ipmitool": ("-P",),
    "snmpget": ("-c", "-A", "-X"),
    "snmpwalk": ("-c", "-A", "-X"),
    "docker": ("-p",),
    "podman": ("-p",),
    "7z": ("-p",),
    "7za": ("-p",),
    "zip": ("-P",),
    "unzip": ("-P",),
}
_LOGIN_ONLY = frozenset(("docker", "podman"))
_USER_AND_PASSWORD = frozenset(("-u", "--user", "-U", "--proxy-user", "-a", "--auth"))


def redact(arguments: Sequence[str]) -> str:
    """Returns a command line in one string, likely secrets replaced by `***`."""
    return " ".join(_masked(arguments)).strip()


def _masked(words: Sequence[str], *, script: bool = False, depth: int = 0) -> list[str]:
    """Masks the words of a command line; of a script (of `sh -c`), any word may be a program."""
    out: list[str] = []
    switches: tuple[str, ...] = ()
    asks = False
    pending = ""
    for index, word in enumerate(words):
        if pending:
            flag, pending = pending, ""
            if word and not word.startswith("--"):
                out.append(_after(flag, word))
                continue
        first = index == 0
        if script and word in ("&&", "||", "|", ";", "&"):
            switches = ()
        elif first or (script and not switches and not word.startswith("-")):
            program = word.rsplit("/", 1)[-1]
            asks = program.startswith(_MYSQL)
            switches = _switches(program, words[index + 1 : index + 4])
        if not first and word in switches:
            # `mysql -p` alone asks for the password; what follows is the database.
            pending = "" if asks else word
            out.append(word)
            continue
        glued = "" if first else next((each for each in switches if _glued(each, word)), "")
        if glued:
            lead = glued + ":" if word[len(glued)] == ":" else glued
            out.append(lead + _after(glued, word[len(lead) :]))
            continue
        if any(map(str.isspace, word)):
            out.append(_text(word, script or (not first and words[index - 1].startswith("-c")), depth))
        else:
            out.append(_word(word))
        if word.lower() in ("bearer", "basic") or (word.startswith("-") and "=" not in word and _secret_name(word)):
            pending = "" if first else word
    return out


def _switches(program: str, following: Sequence[str]) -> tuple[str, ...]:
    """Returns the switches after which a program takes a password."""
    if program.startswith(_MYSQL):
        return ("-p",)
    if program in _LOGIN_ONLY and "login" not in following:
        return ()
    return _SWITCHES.get(program, ())


def _glued(switch: str, word: str) -> bool:
    """Whether a word is a switch with its value in one, as in `-pSECRET` or `/p:SECRET`."""
    if len(switch) != 2 or len(word) <= 2 or not word.startswith(switch):
        return False
    return word[2] == ":" if switch[0] == "/" else True


def _after(flag: str, value: str) -> str:
    """Masks what follows a switch; of `user:password` and `user%password` the user stays."""
    if flag in _USER_AND_PASSWORD:
        for separator in (":", "%"):
            user, found, rest = value.partition(separator)
            if found:
                return f"{user}{separator}{MASK}" if rest else value
        if flag in ("-u", "--user", "-U"):
            return value
    return MASK


def _text(text: str, script: bool, depth: int) -> str:
    """Redacts an argument of several words: a header, a value with spaces, or a script."""
    header = _HEADER.match(text)
    if header and _secret_name(header[1]):
        return text[: header.end()] + MASK
    pieces: list[str] = _PIECE.findall(text)
    assigned = _ASSIGNED.fullmatch(text) if len(pieces) == 1 or not script else None
    if assigned and _secret_name(assigned[1]):
        return assigned[1] + assigned[2] + MASK
    if len(pieces) == 1:
        quote = text[0] if text[0] in _QUOTES else ""
        if depth >= _NESTED:
            pieces = _SPACES.split(text)
        elif quote and text[-1] == quote:
            return quote + _text(text[1:-1], True, depth + 1) + quote if len(text) > 2 else text
        else:
            pieces = _SPACES.split(text)
    masked = iter(_masked([piece for piece in pieces if piece and not piece.isspace()], script=True, depth=depth + 1))
    return "".join(next(masked) if piece and not piece.isspace() else piece for piece in pieces)


def _word(word: str) -> str:
    """Redacts one word."""
    if len(word) < 4:
        return word
    bare = word.strip(_QUOTES)
    if bare and word[0] in _QUOTES and word[-1] in _QUOTES:
        return word.replace(bare, _word(bare), 1)
    lead = word[: len(word) - len(word.lstrip(_QUOTES))]
    assigned = _ASSIGNED.fullmatch(word, len(lead))
    if assigned and not (assigned[2] == ":" and assigned[3].startswith("//")):
        name, sign, value = assigned.groups()
        if _secret_name(name) and not _harmless(name, value):
            return f"{lead}{name}{sign}{MASK}"
        inner = _ASSIGNED.fullmatch(value) if sign == "=" else None
        if inner and _secret_name(inner[1]) and not _harmless(inner[1], inner[3]):
            return f"{lead}{name}={inner[1]}{inner[2]}{MASK}"
    if "://" in word:
        word = _URL_PASSWORD.sub(rf"\1:{MASK}@", word)
        word = _URL_TOKEN.sub(rf"\1{MASK}@", word)
    if "=" in word and ("?" in word or "&" in word or ";" in word):
        word = _QUERY.sub(_query, word)
    return _TOKEN.sub(MASK, word) if len(word) >= 16 else word


def _query(found: re.Match[str]) -> str:
    shown = MASK if _secret_name(found[2]) or found[2].lower() in ("key", "code", "sig") else found[3]
    return f"{found[1]}{found[2]}={shown}"


def _harmless(name: str, value: str) -> bool:
    """Whether a value is the place of a secret rather than the secret: a path given for a key."""
    return value.startswith(_PATH) and name.lower().rstrip("s").endswith(("key", "cert", "auth", "token", "credential"))


def _secret_name(name: str) -> bool:
    """Whether a flag, variable, header or query field is named like one that holds a secret."""
    words = [word.lower() for word in _WORD.findall(name)]
    while words and words[-1].isdigit():
        words.pop()
    if not words or words[-1] in _NEUTRAL or words[0] in ("no", "without", "disable"):
        return False
    if _any_in(words[-1], _STRONG) or _any_in("".join(words), _STRONG):
        return True
    last = words[-1]
    if last in ("key", "keys"):
        return len(words) > 1 and not _KEY_BEFORE.isdisjoint(words)
    return not _WORDS.isdisjoint(words) or (last.endswith(("pass", "pwd")) and last not in ("bypass", "compass"))


def _any_in(text: str, parts: Iterable[str]) -> bool:
    return any(part in text for part in parts)
