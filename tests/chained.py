"""A scripted model that counts how often its callers had to wait for one call before they made the next."""

from critic_engine.backends.scripted import Script, ScriptedGenerator
from critic_engine.types import Generation, GenerationRequest


class Chain:
    """The calls of several models, as far as each began after another had ended."""

    def __init__(self) -> None:
        self.num_calls = 0
        self.length = 0
        """Calls of the longest chain: all of them when one is made at a time, and as few as are waited for in turn."""


class ChainedGenerator(ScriptedGenerator):
    """Answers by the script after a short time, and takes down its place in the chain."""

    def __init__(self, script: Script, chain: Chain) -> None:
        super().__init__(script, latency_s=0.01)
        self._chain = chain

    async def generate(self, request: GenerationRequest) -> Generation:
        self._chain.num_calls += 1
        place = self._chain.length + 1
        try:
            return await super().generate(request)
        finally:
            self._chain.length = max(self._chain.length, place)
