"""What went through up to a moment, and not a byte of what came after it. No Textual here.

Histories keep totals in steps. That of the last five minutes is cut by the moment: what they had by then is told by the
counters themselves, as of the moment and as of where the five minutes began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sysmon.bandwidth import METRICS, Amount, Bucket, add, amounts, buckets, keys_of, till
from sysmon.frame import split_key
from sysmon.records import Usage
from sysmon.zones import span_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from sysmon.bandwidth import Kind
    from sysmon.ports import History

NEAR_MS: Final = 60_000
"""How long before a step a frame may be whose counters are those at its beginning."""


async def used_by(
    history: History,
    host: str,
    kind: Kind,
    start: int,
    time: int,
    zone: tzinfo,
    names: Sequence[str] = (),
    *,
    live: bool = False,
) -> dict[str, Amount]:
    """Returns what went through from a time to the moment shown, by name.

    Args:
        history, host, kind, zone, names: as for `sysmon.bandwidth.amounts`.
        start, time: Unix milliseconds.
        live: whether the moment is now; then nothing came after it, and whole steps take fewer questions.
    """
    if live:
        return await amounts(history, host, kind, start, till(start, time + 1, time + 1, zone), zone, names)
    first, _ = span_of(time, "fiveminute", zone)
    found = await amounts(history, host, kind, start, first, zone, names) if start < first else {}
    for name, amount in (await _since(history, host, kind, max(start, first), time, names)).items():
        found[name] = found[name].plus(amount) if name in found else amount
    return found


async def steps_by(
    history: History,
    host: str,
    kind: Kind,
    start: int,
    time: int,
    zone: tzinfo,
    step: str,
    names: Sequence[str] = (),
    *,
    live: bool = False,
) -> list[Bucket]:
    """Returns what went through in each step up to the moment shown, as `sysmon.bandwidth.buckets`; its own ends there.

    Args:
        step: one of `sysmon.zones.STEPS`; the rest as for `used_by`.
    """
    if live:
        return await buckets(history, host, kind, start, till(start, time + 1, time + 1, zone), step, names)
    first, after = span_of(time, step, zone)
    told = await buckets(history, host, kind, start, first, step, names) if start < first else []
    last = await used_by(history, host, kind, max(start, first), time, zone, names)
    return [*told, Bucket(first, after, last)] if last else told


async def _since(
    history: History, host: str, kind: Kind, start: int, time: int, names: Sequence[str]
) -> dict[str, Amount]:
    """What the counters of the moment have more than those of some minutes before; of that a part may be a guess."""
    there = await history.moment(host, time)
    before = await history.moment(host, start)
    if before is None or start - before.frame.time > NEAR_MS:
        # Nothing was recorded then: counting begins with what came first.
        before = await history.moment(host, start, 1)
    if there is None or before is None or not before.frame.time < there.frame.time:
        return {}
    wanted = set(keys_of(kind, names))
    anew = kind == "interface" and there.frame.boot != before.frame.boot
    found: dict[str, Amount] = {}
    for key, value in there.frame.readings.items():
        if split_key(key)[0] not in METRICS[kind] or (wanted and key not in wanted):
            continue
        old = before.frame.readings.get(key)
        if old is None:
            # The first sight of a counter counts nothing.
            continue
        fell, grown = value < old or anew, value - old
        if fell:
            # A device's source may let go of some of what it counted, which is no beginning anew.
            grown = value if kind == "interface" or value < old / 2 else 0
        told = Usage(host=host, key=key, start=start, end=time, bytes=int(grown), at_least=fell, estimated=grown > 0)
        add(found, told, kind)
    return found
