from collections.abc import Callable

import pytest

from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.errors import GenerationError
from critic_engine.protocols import Sample


def listed_generator(*items: list[Sample] | GenerationError) -> ScriptedGenerator:
    """Return a generator that gives each request the next item: the samples of its answer, or an error to raise."""
    samples = iter([sample for item in items if isinstance(item, list) for sample in item])
    faults = {number: item for number, item in enumerate(items) if isinstance(item, GenerationError)}
    return ScriptedGenerator(lambda request, seed: next(samples), faults=faults, is_recording=True)


@pytest.fixture
def listed() -> Callable[..., ScriptedGenerator]:
    return listed_generator
