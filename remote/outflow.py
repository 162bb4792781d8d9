"""What a source has still to yield: a bounded queue that can be ended."""

from __future__ import annotations

import asyncio
from typing import Self, TypeVar

T = TypeVar("T")


class Outflow(asyncio.Queue["T | None"]):
    """Takes from one side and yields to the other; who puts waits while it is full. None is its end."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        entry = await self.get()
        if entry is None:
            raise StopAsyncIteration
        return entry

    def end(self) -> None:
        """Drops what was not yielded yet, and ends whoever reads."""
        while not self.empty():
            self.get_nowait()
        self.put_nowait(None)
