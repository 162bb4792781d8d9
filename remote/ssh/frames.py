"""Takes apart what the script of `remote.ssh.script` prints: named texts, whatever they hold.

An answer stands between `BOUNDARY b TOKEN` and `BOUNDARY . TOKEN`. In between, each line of a file stands behind the
file's name; some files stand whole behind `BOUNDARY f NAME`. What a command printed stands behind `BOUNDARY k NAME`,
what it said behind `BOUNDARY m`, and `BOUNDARY q STATUS` is its exit status. Names that the script cannot print
are left out. What comes before the first boundary, a greeting of the login shell say, is passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from remote.ssh.script import GROUPS, LINKS, MARKS, MOST_OUTPUT, MOST_WORDS, OVERDUE, SPECIAL, pattern
from sysmon.errors import MalformedInput

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SAMPLE = 16 << 20
"""Bytes of one answer at most."""

MAX_NOISE = 1 << 20
"""Bytes before the script's first word at most."""

MAX_PATHS = 60_000
"""Files of one answer at most."""

SHOWN_NOISE = 2048
"""Bytes of what comes before it that are kept, to be shown."""

MAX_COMMANDS = 64
"""Commands of one answer at most."""

_FILES = tuple(dict.fromkeys([*(glob for globs in (*GROUPS.values(), *SPECIAL.values()) for glob in globs)]))
_NAME = re.compile(pattern((*_FILES, "/proc/uptime")))
_HEAD = re.compile(f"(?:{_NAME.pattern})(?=:)")
_MARK = re.compile(pattern(MARKS))
_LINK = re.compile(pattern(LINKS))
_FIXED = {name.encode() for name in (*_FILES, "/proc/uptime") if not re.search(r"[*\[]", name)}
_LINKED = re.compile(r"^l\S*\s.*? (/\S*) -> (.+)$")
_STAT = re.compile(r"^([0-9]{1,20}) ([0-9]{1,20}) ([0-9]{1,20}) (-?[0-9]{1,20}) ([0-9]{1,20}) ([0-9]{1,20}) (/.*)$")
_COMMAND = re.compile(r"[a-z][a-z0-9_]{0,31}")
_STATUS = re.compile(rb"[0-9]{1,3}")
_DF = re.compile(r"\s([0-9]{1,18})\s+([0-9]{1,18})\s+(-?[0-9]{1,18})\s+(?:[0-9]+%|-)\s+(/.*)$")


@dataclass(slots=True)
class Output:
    """What came of one command.

    Attributes:
        text: what it printed, `MOST_OUTPUT` bytes at most. `cut`: whether it was more.
        said: what it said on standard error, its beginning.
        status: its exit status, `OVERDUE` where it was ended because it took too long; None where that is not known.
    """

    text: bytes = b""
    cut: bool = False
    said: bytes = b""
    status: int | None = None

    @property
    def overdue(self) -> bool:
        """Whether it took too long."""
        return self.status == OVERDUE


@dataclass(slots=True)
class Sample:
    """One answer.

    Attributes:
        token: of the request.
        texts: file -> what it holds.
        marks: what was told to be there. `links`: link -> where it leads.
        pids: the processes, or None where they were not asked for.
        sizes: mount point -> fragment, blocks, free, available, inodes, free inodes, as statvfs(3) tells them; inodes
            are 0 where only df was there to ask.
        agents: sockets of a sysmon, and `127.0.0.1:8200` where something listens there.
        facts: other words: `system`, `arch`, `page`, `zone`, `clock`, `program`.
        outputs: command -> what came of it.
        size: bytes on the line.
    """

    token: str
    texts: dict[str, bytes] = field(default_factory=dict)
    marks: set[str] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)
    pids: list[int] | None = None
    sizes: dict[str, tuple[int, int, int, int, int, int]] = field(default_factory=dict)
    agents: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)
    size: int = 0


class Answers:
    """Finds the answers in the bytes of one connection.

    Args:
        boundary: the one that the script was given.

    Attributes:
        ready: whether the script has begun.
        noise: the first of what came before it.
        strange: lines passed over because the script prints none such.
    """

    def __init__(self, boundary: str) -> None:
        self._boundary = boundary.encode()
        self._left = b""
        self._held = 0
        self._sample: Sample | None = None
        self._mode = "g"
        self._file = ""
        self._raw: list[bytes] = []
        self._output = Output()
        self._lines: dict[bytes, list[bytes]] = {}
        self._noise = 0
        self.ready = False
        self.noise = b""
        self.strange = 0

    def feed(self, piece: bytes) -> Iterator[Sample]:
        """Takes bytes as they come; yields every answer that they complete.

        Raises:
            MalformedInput: an answer, or what comes before the first, is too long.
        """
        self._held += len(piece)
        if not self.ready:
            self._noise += len(piece)
            self.noise = (self.noise + piece)[:SHOWN_NOISE]
        if (self._held > MAX_SAMPLE and self.ready) or (self._noise > MAX_NOISE and not self.ready):
            raise MalformedInput("the box prints more than the script can")
        if b"\n" not in piece:
            self._left += piece
            return
        *lines, self._left = (self._left + piece).split(b"\n")
        start = self._boundary
        for line in lines:
            if line.startswith(start):
                done = self._control(line[len(start) + 1 :])
                if done is not None:
                    yield done
            elif self._sample is not None:
                self._body(self._sample, line)

    def _control(self, line: bytes) -> Sample | None:
        word, _, rest = line.partition(b" ")
        sample = self._sample
        if self._mode == "f" and sample is not None:
            self._end_raw(sample)
        elif self._mode == "k":
            self._end_output()
        elif self._mode == "m":
            self._output.said += b"\n".join(self._raw)[:MOST_WORDS]
            self._raw = []
            if word == b"q":
                # The first counts: who ends a command tells so before the command ends.
                if self._output.status is None and _STATUS.fullmatch(rest):
                    self._output.status = int(rest)
                return None
        self._mode = "g"
        if word == b"r":
            self.ready = True
        elif word == b"b":
            self._sample = Sample(_text(rest))
            self._lines = {}
        elif sample is None:
            return None
        elif word == b".":
            return self._done(sample, rest)
        elif word == b"f":
            self._file, self._raw = _text(rest), []
            self._mode = "f"
        elif word == b"k":
            self._output, self._raw, self._mode = Output(), [], "k"
            name = _text(rest)
            if _COMMAND.fullmatch(name) and len(sample.outputs) < MAX_COMMANDS:
                sample.outputs[name] = self._output
        elif word == b"m":
            self._raw, self._mode = [], "m"
        elif word == b"e":
            name = _text(rest)
            if _MARK.fullmatch(name) and len(sample.marks) < MAX_PATHS:
                sample.marks.add(name)
        elif word == b"a":
            sample.agents.append(_text(rest))
        elif word == b"s":
            key, _, value = _text(rest).partition(" ")
            sample.facts[key] = value.strip()
        elif word in (b"l", b"p", b"y", b"z"):
            self._mode = word.decode()
        return None

    def _body(self, sample: Sample, line: bytes) -> None:
        mode = self._mode
        if mode == "g":
            name, _, content = line.partition(b":")
            if name not in _FIXED:
                name, content = self._apart(line, name, content)
                if not name:
                    self.strange += 1
                    return
            self._lines.setdefault(name, []).append(content)
            if len(self._lines) > MAX_PATHS:
                raise MalformedInput(f"the box prints more than {MAX_PATHS} files")
        elif mode in ("f", "k", "m"):
            self._raw.append(line)
        elif mode == "l":
            found = _LINKED.match(_text(line))
            if found and _LINK.fullmatch(found[1]):
                sample.links[found[1]] = found[2]
        elif mode == "p":
            sample.pids = [int(word) for word in line.split()[:MAX_PATHS] if word.isdigit() and len(word) < 10]
        else:
            self._size(sample, _text(line), exact=mode == "z")

    def _apart(self, line: bytes, name: bytes, content: bytes) -> tuple[bytes, bytes]:
        """Parts a line where the file's name ends: names of devices may hold a colon, their attributes do not."""
        if name in self._lines or _NAME.fullmatch(_text(name)):
            return name, content
        found = _HEAD.match(_text(line))
        if found is None:
            return b"", b""
        at = len(_bytes(found[0]))
        return line[:at], line[at + 1 :]

    def _end_raw(self, sample: Sample) -> None:
        # The script ends the file with a line of its own, so that a boundary always begins one.
        if _NAME.fullmatch(self._file):
            sample.texts[self._file] = b"\n".join(self._raw)
        self._raw = []

    def _end_output(self) -> None:
        # As with a file, the line that ends it is the script's.
        text = b"\n".join(self._raw)
        self._output.cut = len(text) > MOST_OUTPUT
        self._output.text = text[:MOST_OUTPUT]
        self._raw = []

    def _size(self, sample: Sample, line: str, *, exact: bool) -> None:
        if exact and (found := _STAT.match(line)):
            fragment, blocks, free, available, inodes, inodes_free = (int(found[at]) for at in range(1, 7))
            sample.sizes[found[7]] = fragment, blocks, free, available, inodes, inodes_free
        elif not exact and (found := _DF.search(line)):
            blocks, used, available = (int(found[at]) for at in range(1, 4))
            sample.sizes[found[4]] = 1024, blocks, max(0, blocks - used), available, 0, 0

    def _done(self, sample: Sample, token: bytes) -> Sample | None:
        self._sample = None
        sample.size, self._held = self._held, len(self._left)
        if _text(token) != sample.token:
            self.strange += 1
            return None
        for name, lines in self._lines.items():
            sample.texts.setdefault(_text(name), b"\n".join([*lines, b""]))
        self._lines = {}
        return sample


def clock_of(text: str) -> tuple[int, int] | None:
    """Reads what `date +%s.%N` printed.

    Returns:
        Unix milliseconds, and by how many they may be off: busybox knows no %N and gives whole seconds.
    """
    found = re.match(r"([0-9]{1,12})(?:\.([0-9]{3})[0-9]*$)?", text)
    if found is None:
        return None
    seconds = int(found[1]) * 1000
    return (seconds + int(found[2]), 0) if found[2] else (seconds + 500, 750)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
