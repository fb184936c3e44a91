"""Scripted models that answer in rounds, by which is counted how often their callers had to wait."""

import asyncio

from critic_engine.backends.scripted import Script, ScriptedGenerator
from critic_engine.protocols import Generation, GenerationRequest

NUM_QUIET_TURNS = 100
"""Turns of the event loop without a new call after which none is expected before an answer."""


class Rounds:
    """All calls that can be made before one is answered form a round, and are answered together."""

    def __init__(self) -> None:
        self.num_calls = 0
        self.num_rounds = 0
        """As many as the calls when one is made at a time; their share falls as more are made side by side."""
        self._round: asyncio.Task[None] | None = None

    async def wait(self) -> None:
        """Return when the round ends."""
        self.num_calls += 1
        if self._round is None:
            self._round = asyncio.create_task(self._end())
        await asyncio.shield(self._round)

    async def _end(self) -> None:
        num_seen = 0
        while num_seen < self.num_calls:
            num_seen = self.num_calls
            for _ in range(NUM_QUIET_TURNS):
                await asyncio.sleep(0)
        self.num_rounds += 1
        self._round = None


class RoundsGenerator(ScriptedGenerator):
    """Answers by the script at the end of each round."""

    def __init__(self, script: Script, rounds: Rounds) -> None:
        super().__init__(script)
        self._rounds = rounds

    async def generate(self, request: GenerationRequest) -> Generation:
        await self._rounds.wait()
        return await super().generate(request)
