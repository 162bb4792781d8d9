"""What one run with a fleet gave."""

from __future__ import annotations

from typing import NamedTuple


class HubRun(NamedTuple):
    """One run of the recorder.

    Attributes:
        agents: followed. `seconds`: measured.
        cpu: of one core. `rss`: bytes at the end.
        first: seconds from its start until every agent's stream was open and had sent a frame.
        sent, missing: frames sent to the recorder's streams, and those of them not in its history.
        wire: compressed bytes per second and host that the agents sent.
        stall: seconds that an answer took at most while `READERS` readers came at once. `storm`: seconds until all of
            them had every host's state.
        late: seconds by which the load program was late with a frame at most.
    """

    agents: int
    seconds: float
    cpu: float
    rss: int
    first: float
    sent: int
    missing: int
    wire: float
    stall: float
    storm: float
    late: float


class AgentRun(NamedTuple):
    """The agent with many readers: CPU as part of one core, resident bytes, bytes per second to one reader."""

    readers: int
    cpu: float
    rss: int
    received: float
