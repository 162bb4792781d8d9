"""Replay: the frames that are held, and the state of a host at a moment."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from store.schema import BLOCK, RUN_SHIFT
from store.summaries import decode_ranges
from sysmon.derive import State
from sysmon.records import Moment

if TYPE_CHECKING:
    from store.access import Access
    from store.blocks import Block
    from store.pieces import Run
    from sysmon.catalogue import Catalogue
    from sysmon.frame import Frame

FRAMES = 600
"""Frames given out at once."""

_KEPT = 2
"""Blocks kept decoded: stepping through time stays within one or two."""

_FOLDED = 200
"""Frames folded at most where no full state is found."""


class Place(NamedTuple):
    """Where a frame is: its time, run, seq and block."""

    at: int
    run: int
    seq: int
    block: int


class Replay:
    """Frames of one file; remembers the blocks it decoded last."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._blocks: OrderedDict[tuple[int, int, int, int], Block] = OrderedDict()

    def frames(self, host: int, name: str, run: str, first: int, last: int) -> list[Frame]:
        """Returns frames of a run, as recorded but for tables and cost, at most `FRAMES`."""
        access = self._access
        found: list[Frame] = []
        for entry in access.runs(host):
            if entry.run != run:
                continue
            base = entry.number << RUN_SHIFT
            blocks = {
                block
                for (block,) in access.connection.execute(
                    f"SELECT DISTINCT at / {BLOCK} FROM tail WHERE id BETWEEN ? AND ?", (base + first, base + last)
                )
            }
            for block, summary in access.connection.execute(
                "SELECT block, summary FROM chunk WHERE host = ? AND collector = 0 AND run = ?", (host, entry.number)
            ):
                if any(low <= last and high >= first for low, high, _, _ in decode_ranges(summary)):
                    blocks.add(block)
            for block in sorted(blocks):
                whole = self._block(host, entry, block)
                chosen = [position for position, seq in enumerate(whole.seqs) if first <= seq <= last]
                found += whole.frames(name, entry.boot, run, chosen)
                if len(found) > 2 * FRAMES:
                    break
        found.sort(key=lambda frame: frame.seq)
        return found[:FRAMES]

    def moment(self, host: int, name: str, time: int, step: int, catalogue: Catalogue) -> Moment | None:
        """Returns the full state at the frame at or last before `time` (step 0), the next after (1) or the previous
        before (-1) it, with the state before that. Both carry the history's time as theirs.
        """
        place = self._find(host, time, step)
        if place is None:
            return None
        state = State(catalogue)
        previous: Frame | None = None
        wanted: Frame | None = None
        for each, frame in self._leading_to(host, name, place):
            if each == place:
                previous = state.full()
                wanted = frame
            state.apply(msgspec.structs.replace(frame, time=each.at))
        if wanted is not None and (state.frame is None or state.frame.identity != wanted.identity):
            # The clock was set back between them: what came before by time came later in truth.
            state, previous = State(catalogue), None
            state.apply(msgspec.structs.replace(wanted, time=place.at))
        current = state.full()
        return None if current is None else Moment(frame=current, previous=previous)

    def _find(self, host: int, time: int, step: int) -> Place | None:
        """Returns the place asked for, looking block by block away from `time`."""
        later = step > 0
        low, high = (time + 1, None) if later else (None, time if step == 0 else time - 1)
        block = time // BLOCK
        while True:
            runs = self._runs_at(host, block)
            places = [each for run in runs for each in self._places(host, run, block)]
            fitting = [each for each in places if (low is None or each.at >= low) and (high is None or each.at <= high)]
            if fitting:
                return min(fitting) if later else max(fitting)
            following = self._next_block(host, block, later)
            if following is None:
                return None
            block = following

    def _leading_to(self, host: int, name: str, place: Place) -> list[tuple[Place, Frame]]:
        """Returns the frames to fold, from the last full one before the wanted one's predecessor, in order."""
        chosen: list[tuple[Place, Block, int, Run]] = []
        block: int | None = place.block
        enough = False
        while block is not None and not enough:
            entries = []
            for run in self._runs_at(host, block):
                whole = self._block(host, run, block)
                entries += [
                    (Place(at, run.number, seq, block), whole, position, run)
                    for position, (at, seq) in enumerate(zip(whole.ats, whole.seqs, strict=True))
                ]
            entries.sort(key=lambda entry: entry[0], reverse=True)
            for entry in entries:
                if entry[0] > place:
                    continue
                chosen.append(entry)
                # The state before the wanted frame must be whole too.
                if (entry[1].fulls[entry[2]] and len(chosen) > 1) or len(chosen) >= _FOLDED:
                    enough = True
                    break
            block = self._next_block(host, block, later=False) if not enough else None
        made: dict[Place, Frame] = {}
        for whole, run in {id(whole): (whole, run) for _, whole, _, run in chosen}.values():
            positions = [position for _, each, position, _ in chosen if each is whole]
            places = {place.seq: place for place, each, _, _ in chosen if each is whole}
            made.update((places[frame.seq], frame) for frame in whole.frames(name, run.boot, run.run, positions))
        return [(place, made[place]) for place, _, _, _ in reversed(chosen)]

    def _runs_at(self, host: int, block: int) -> list[Run]:
        access = self._access
        numbers = {
            run
            for (run,) in access.connection.execute(
                "SELECT run FROM chunk WHERE host = ? AND collector = 0 AND block = ?", (host, block)
            )
        }
        numbers.update(run for run, _ in access.waiting(host, block * BLOCK, (block + 1) * BLOCK))
        return [access.run(number) for number in sorted(numbers)]

    def _places(self, host: int, run: Run, block: int) -> list[Place]:
        whole = self._block(host, run, block)
        return [Place(at, run.number, seq, block) for at, seq in zip(whole.ats, whole.seqs, strict=True)]

    def _next_block(self, host: int, block: int, later: bool) -> int | None:
        """Returns the next block with frames after or before one."""
        access = self._access
        order, sign = ("min", ">") if later else ("max", "<")
        sealed = access.connection.execute(
            f"SELECT {order}(block) FROM chunk WHERE host = ? AND collector = 0 AND block {sign} ?", (host, block)
        ).fetchone()[0]
        found = [sealed] if sealed is not None else []
        for run in access.runs_waiting(host):
            base = run.number << RUN_SHIFT
            bound = (block + 1) * BLOCK if later else block * BLOCK
            at = access.connection.execute(
                f"SELECT {order}(at) FROM tail WHERE id BETWEEN ? AND ? AND at {'>=' if later else '<'} ?",
                (base, base + (1 << RUN_SHIFT) - 1, bound),
            ).fetchone()[0]
            if at is not None:
                found.append(at // BLOCK)
        return (min(found) if later else max(found)) if found else None

    def _block(self, host: int, run: Run, block: int) -> Block:
        """Returns a block with all its frames, decoded once as long as nothing is added to it."""
        access = self._access
        base = run.number << RUN_SHIFT
        waiting = access.connection.execute(
            "SELECT count(*) FROM tail WHERE id BETWEEN ? AND ? AND at >= ? AND at < ?",
            (base, base + (1 << RUN_SHIFT) - 1, block * BLOCK, (block + 1) * BLOCK),
        ).fetchone()[0]
        sealed = access.connection.execute(
            "SELECT id FROM chunk WHERE host = ? AND collector = 0 AND block = ? AND run = ?", (host, block, run.number)
        ).fetchone()
        version = (run.number, block, sealed[0] if sealed else 0, waiting)
        found = self._blocks.get(version)
        if found is None:
            found = self._blocks[version] = access.block(host, run.number, block)
            while len(self._blocks) > _KEPT:
                self._blocks.popitem(last=False)
        else:
            self._blocks.move_to_end(version)
        return found
