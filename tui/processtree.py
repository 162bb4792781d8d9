"""Which processes a list shows, and in which order: flat, as a tree, or in groups. Pure.

What comes from a host may be hostile: parents that do not exist, that are each other's children, or the process
itself. Every row is shown exactly once whatever they say, and nothing here recurses.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from sysmon.frame import ProcessRow

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from tui.glyphs import Glyphs

Grouping = Literal["unit", "container", "user"]
Value = float | str | None
DEEPEST: Final = 20
"""Levels of a tree that are indented; deeper ones stand at this level, so that lines stay bounded."""


class Item(NamedTuple):
    """One line of the list.

    Attributes:
        row: the process; of a group or a folded branch the sums over `size` processes.
        prefix: the lines of the tree before its name.
        dim: shown only for what belongs to it: an ancestor of a match.
        new: it started a moment ago.
        group: the group's name, '' for a process.
        size: processes that the row stands for.
        fold: whether it can be folded or is: '' for neither.
        note: what is to be said of it, such as that it ended.
        trail: its recent processor use in eighths of its highest, for a small graph; () for none.
    """

    row: ProcessRow
    prefix: str = ""
    dim: bool = False
    new: bool = False
    group: str = ""
    size: int = 1
    fold: Literal["", "open", "closed"] = ""
    note: str = ""
    trail: tuple[int, ...] = ()


Key = tuple[int | str, float]


def row_key(row: ProcessRow) -> Key:
    """The identity of a process."""
    return row.pid, row.started


def item_key(item: Item) -> Key:
    """The identity of a line: (pid, started), or (group's name, -1)."""
    row = item[0]
    return (item[4], -1.0) if item[4] else (row.pid, row.started)


class Sort(NamedTuple):
    """What a column is sorted by; `largest` is the order that is wanted first, `additive` whether values add up."""

    value: Callable[[ProcessRow], Value]
    largest: bool = False
    additive: bool = False


def _cpu(row: ProcessRow) -> float | None:
    """Rounded as it is shown: what looks equal is equal, and keeps its place."""
    cpu = row.cpu
    return round(cpu, 3) if cpu else cpu


def _owner(row: ProcessRow) -> str:
    return row.container or row.unit


SORTS: Final[dict[str, Sort]] = {
    "pid": Sort(attrgetter("pid")),
    "user": Sort(attrgetter("user")),
    "state": Sort(attrgetter("state")),
    "cpu": Sort(_cpu, largest=True, additive=True),
    "memory": Sort(attrgetter("memory"), largest=True, additive=True),
    "share": Sort(attrgetter("memory"), largest=True, additive=True),
    "gpu": Sort(attrgetter("gpu_memory"), largest=True, additive=True),
    "threads": Sort(attrgetter("threads"), largest=True, additive=True),
    "nice": Sort(attrgetter("nice")),
    "read": Sort(attrgetter("read_rate"), largest=True, additive=True),
    "write": Sort(attrgetter("write_rate"), largest=True, additive=True),
    "time": Sort(attrgetter("cpu_time"), largest=True, additive=True),
    "started": Sort(attrgetter("started"), largest=True),
    "owner": Sort(_owner),
    "command": Sort(lambda row: row.name.lower()),
}
"""Column -> how it is sorted."""


class Order(NamedTuple):
    """The column that rows are sorted by, and whether the largest comes first."""

    column: str = "cpu"
    largest: bool = True

    def places(self, values: Sequence[Value]) -> list[int]:
        """Returns the indices of values in this order; what is missing comes last either way, equals keep theirs."""
        get: Callable[[int], float | str] = values.__getitem__  # type: ignore[assignment]
        if None in values:
            known = [index for index, value in enumerate(values) if value is not None]
            known.sort(key=get, reverse=self.largest)
            return known + [index for index, value in enumerate(values) if value is None]
        return sorted(range(len(values)), key=get, reverse=self.largest)


def by_pid(rows: Sequence[ProcessRow]) -> list[ProcessRow]:
    """Returns rows by pid: the order in which equals stand at first."""
    return sorted(rows, key=attrgetter("pid", "started"))


def as_before(rows: Sequence[ProcessRow], before: Sequence[Item]) -> list[ProcessRow]:
    """Returns rows in the order of the lines before, others after those; the order in which equals will stand.

    So those that were busy a moment ago stay above those that never are, and the idle ones stay where they are.
    """
    places = {(row.pid, row.started): at for at, row in enumerate([item[0] for item in before])}
    last = len(places)
    get = places.get
    return sorted(rows, key=lambda row: get((row.pid, row.started), last))


def total(first: ProcessRow, rows: Sequence[ProcessRow]) -> ProcessRow:
    """Returns `first` with the sums over rows; what is missing of some is summed over the others."""

    def add(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) if known else None

    gpu = [row.gpu_memory for row in rows if row.gpu_memory is not None]
    return msgspec.structs.replace(
        first,
        cpu=add([row.cpu for row in rows]),
        memory=sum(row.memory for row in rows),
        cpu_time=sum(row.cpu_time for row in rows),
        threads=sum(row.threads for row in rows),
        read_rate=add([row.read_rate for row in rows]),
        write_rate=add([row.write_rate for row in rows]),
        gpu_memory=sum(gpu) if gpu else None,
    )


def flat(rows: Sequence[ProcessRow], order: Order, *, fresh: float = float("inf")) -> list[Item]:
    """Arranges processes as a plain list.

    Args:
        rows: by pid.
        order: how they are sorted.
        fresh: those that started at or after this (seconds since boot) count as new.
    """
    values = list(map(SORTS[order.column].value, rows))
    # As a tuple is made, without the keywords' cost: there may be thousands.
    make, rest = tuple.__new__, ("", 1, "", "", ())
    return [make(Item, (row := rows[at], "", False, row.started >= fresh, *rest)) for at in order.places(values)]


def parents_of(rows: Sequence[ProcessRow]) -> tuple[list[int], list[int]]:
    """Returns for each row the index of its parent (-1 for none), and an order in which parents precede children.

    Where parents go round in a circle, the first row of the circle counts as having none.
    """
    place = {row.pid: index for index, row in enumerate(rows)}
    parents = [place.get(row.ppid, -1) for row in rows]
    children: list[list[int]] = [[] for _ in rows]
    starts = []
    for index, parent in enumerate(parents):
        if parent == index:
            parents[index] = parent = -1
        if parent < 0:
            starts.append(index)
        else:
            children[parent].append(index)
    seen = bytearray(len(rows))
    order: list[int] = []

    def walk(start: int) -> None:
        stack = [start]
        seen[start] = 1
        while stack:
            at = stack.pop()
            order.append(at)
            for child in children[at]:
                if not seen[child]:
                    seen[child] = 1
                    stack.append(child)

    for start in starts:
        walk(start)
    if len(order) < len(rows):
        for index in range(len(rows)):
            if not seen[index]:
                parents[index] = -1
                walk(index)
    return parents, order


def tree(
    rows: Sequence[ProcessRow],
    order: Order,
    glyphs: Glyphs,
    *,
    folded: Callable[[Key], bool] = lambda _key: False,
    matches: Callable[[ProcessRow], bool] | None = None,
    fresh: float = float("inf"),
) -> list[Item]:
    """Arranges processes as a tree; what adds up is sorted by branches, busiest branch first.

    Args:
        rows: by pid.
        order: how siblings are sorted.
        glyphs: the tree's lines.
        folded: whether the branch under a process is folded into one line of sums.
        matches: what a filter leaves; ancestors of matches stay, dim, and nothing is folded then.
        fresh: as for `flat`.
    """
    parents, downwards = parents_of(rows)
    sort = SORTS[order.column]
    values: list[Value] = list(map(sort.value, rows))
    if sort.additive:
        _add_upwards(values, parents, downwards)
    matching = None if matches is None else list(map(matches, rows))
    kept = None
    if matching is not None:
        kept = matching.copy()
        for index in reversed(downwards):
            if kept[index] and parents[index] >= 0:
                kept[parents[index]] = True
    children: dict[int, list[int]] = {}
    for index in order.places(values):
        if kept is None or kept[index]:
            children.setdefault(parents[index], []).append(index)
    items: list[Item] = []
    stack = [(index, "", "  ", "", 0) for index in reversed(children.get(-1, ()))]
    while stack:
        index, stem, branch, below, depth = stack.pop()
        row = rows[index]
        own = children.get(index)
        dim = matching is not None and not matching[index]
        new = row.started >= fresh
        if not own:
            items.append(Item(row, stem + branch, dim, new))
            continue
        if matching is None and folded((row.pid, row.started)):
            members = _branch(index, rows, children)
            mark = stem + _marked(branch, glyphs.tree_closed)
            items.append(Item(total(row, members), mark, dim, new, "", len(members), "closed"))
            continue
        items.append(Item(row, stem + _marked(branch, glyphs.tree_open), dim, new, "", 1, "open"))
        stem = stem + below if depth < DEEPEST else stem
        last = len(own) - 1
        for at in range(last, -1, -1):
            pieces = (glyphs.tree_last, glyphs.tree_space) if at == last else (glyphs.tree_branch, glyphs.tree_pipe)
            stack.append((own[at], stem, *pieces, depth + 1))
    return items


def _add_upwards(values: list[Value], parents: list[int], downwards: list[int]) -> None:
    for index in reversed(downwards):
        parent, value = parents[index], values[index]
        if parent >= 0 and value is not None:
            values[parent] = (values[parent] or 0) + value  # type: ignore[operator]


def _marked(branch: str, mark: str) -> str:
    """Sets the mark of a fold where the gap before the name is."""
    return branch[:-1] + mark if len(branch) > 2 else mark + " "


def _branch(start: int, rows: Sequence[ProcessRow], children: dict[int, list[int]]) -> list[ProcessRow]:
    found, stack = [], [start]
    while stack:
        at = stack.pop()
        found.append(rows[at])
        stack.extend(children.get(at, ()))
    return found


NO_GROUP: Final[dict[Grouping, str]] = {"unit": "no unit", "container": "this host", "user": "no user"}


def group_of(row: ProcessRow, by: Grouping) -> str:
    """Returns the name of the group that a process belongs to."""
    if row.kernel and by != "user":
        return "kernel"
    name = row.unit or row.container if by == "unit" else row.container if by == "container" else row.user
    return name or NO_GROUP[by]


def grouped(
    rows: Sequence[ProcessRow],
    by: Grouping,
    order: Order,
    glyphs: Glyphs,
    *,
    folded: Callable[[Key], bool] = lambda _key: True,
    fresh: float = float("inf"),
) -> list[Item]:
    """Arranges processes in groups, each under a line of its sums; groups are sorted by their sums.

    Args:
        rows: by pid, those that a filter left.
        by: what they are grouped by.
        order: how groups, and processes within them, are sorted.
        glyphs: the tree's lines.
        folded: whether a group (its key is (name, -1)) shows its sums alone.
        fresh: as for `flat`.
    """
    sort = SORTS[order.column]
    members: dict[str, list[ProcessRow]] = {}
    for row in rows:
        members.setdefault(group_of(row, by), []).append(row)
    names, totals, values = list(members), [], []
    for name in names:
        held = members[name]
        users = {row.user for row in held}
        started = min(row.started for row in held)
        user = users.pop() if len(users) == 1 else f"{len(users)} users"
        first = ProcessRow(pid=0, started=started, name=name, state="", user=user)
        totals.append(total(first, held))
        if sort.additive or order.column in ("command", "started"):
            values.append(sort.value(totals[-1]))
        else:
            own = [value for value in map(sort.value, held) if value is not None]
            pick = max if order.largest else min
            values.append(pick(own, default=None))
    items: list[Item] = []
    for at in order.places(values):
        held = members[names[at]]
        closed = folded((names[at], -1.0))
        mark = glyphs.tree_closed if closed else glyphs.tree_open
        items.append(Item(totals[at], mark + " ", group=names[at], size=len(held), fold="closed" if closed else "open"))
        if closed:
            continue
        within = order.places(list(map(sort.value, held)))
        for place in within:
            row = held[place]
            branch = glyphs.tree_last if place == within[-1] else glyphs.tree_branch
            items.append(Item(row, branch, False, row.started >= fresh))
    return items


def ancestors(row: ProcessRow, rows: Sequence[ProcessRow]) -> list[ProcessRow]:
    """Returns a process's parent, its parent's parent and so on, as far as they are known."""
    by_number = {each.pid: each for each in rows}
    found: list[ProcessRow] = []
    seen = {row.pid}
    at = by_number.get(row.ppid)
    while at is not None and at.pid not in seen:
        seen.add(at.pid)
        found.append(at)
        at = by_number.get(at.ppid)
    return found


def kept_order(items: Sequence[Item], before: Sequence[Hashable]) -> list[Item]:
    """Returns lines in the order in which their keys stood before, new ones after those."""
    places = {key: place for place, key in enumerate(before)}
    last = len(places)
    return sorted(items, key=lambda item: places.get(item_key(item), last))
