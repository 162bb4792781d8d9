"""From the five tiers of an interface that vnStat keeps to one row of stretches, so that no byte is told twice."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from collectors._vnstatjson import MOST, TIERS, Bucket
from sysmon.frame import clean_instance, join_key
from sysmon.records import UsagePiece

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors._vnstatjson import VnstatInterface


def pieces(interface: VnstatInterface) -> list[UsagePiece]:
    """Tiles what an interface's buckets say: the finest where there are any, of a coarser one what is left over.

    No byte is told twice, and none of a bucket is left out: what a coarser one holds beyond the finer ones within is
    placed on the part of it that they leave open, first of all on what lies before the first of them, where they were
    let go of. Of the total, what no bucket holds any more is not told, as nobody knows when it was.

    Returns:
        Pieces of `net.receive:NAME` and `net.transmit:NAME` in order of time; those of a key never overlap. None for
        the sum of several interfaces.
    """
    if interface.merged:
        return []
    tiling: list[Bucket] = []
    for tier in TIERS:
        tiling = _laid(tiling, interface.tiers.get(tier, []))
    name = clean_instance(interface.name)
    receive, transmit = join_key("net.receive", name), join_key("net.transmit", name)
    return [
        UsagePiece(key, bucket.start, bucket.end, count)
        for bucket in tiling
        for key, count in ((receive, bucket.receive), (transmit, bucket.transmit))
        if count
    ]


def _laid(fine: list[Bucket], coarse: list[Bucket]) -> list[Bucket]:
    """Lays coarser buckets under finer ones; both disjoint and in order."""
    if not fine:
        return coarse
    starts = [bucket.start for bucket in fine]
    edge = starts[0]
    made = list(fine)
    for bucket in coarse:
        low, high = bisect_left(starts, bucket.start), bisect_left(starts, bucket.end)
        within = range(low, high)
        left = bucket._replace(
            receive=max(0, bucket.receive - sum(fine[at].receive for at in within)),
            transmit=max(0, bucket.transmit - sum(fine[at].transmit for at in within)),
        )
        begin = max(bucket.start, fine[low - 1].end if low else bucket.start)
        open_parts = list(_open(begin, bucket.end, [fine[at] for at in within]))
        before = [part for part in open_parts if part[1] <= edge]
        if not open_parts:
            if within:
                last = made[high - 1]
                made[high - 1] = last._replace(
                    receive=min(last.receive + left.receive, MOST - 1),
                    transmit=min(last.transmit + left.transmit, MOST - 1),
                )
        else:
            # Parts without bytes are kept as well: of them it is known that there were none.
            made += _spread(left, before or open_parts)
            made += [Bucket(*part, 0, 0) for part in open_parts[len(before) :] if before]
    return sorted(made)


def _open(start: int, end: int, within: list[Bucket]) -> Iterator[tuple[int, int]]:
    at = start
    for bucket in within:
        if at < bucket.start:
            yield at, bucket.start
        at = max(at, bucket.end)
    if at < end:
        yield at, end


def _spread(bucket: Bucket, parts: list[tuple[int, int]]) -> list[Bucket]:
    """Places a bucket's bytes on parts of it, by their length."""
    whole = sum(end - start for start, end in parts)
    made = []
    past = receive = transmit = 0
    for start, end in parts:
        past += end - start
        until_receive, until_transmit = bucket.receive * past // whole, bucket.transmit * past // whole
        made.append(Bucket(start, end, until_receive - receive, until_transmit - transmit))
        receive, transmit = until_receive, until_transmit
    return made
