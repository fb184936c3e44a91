import gc
import threading
import weakref

import pytest
import torch

from critic_engine.backends.huggingface.checkpoint import Checkpoint
from critic_engine.backends.huggingface.encoding import Prompt, Row
from critic_engine.backends.huggingface.sample_reader import SampleRules
from critic_engine.backends.huggingface.stop_strings import RowStopper
from critic_engine.types import SamplingOptions

PROMPT_IDS = [1, 2, 3]


def length_at_stop(checkpoint: Checkpoint, text: str, stop: str) -> int | None:
    """Return after how many tokens of ``text`` a row that stops at ``stop`` has ended."""
    ids = checkpoint.tokenizer.encode(text, add_special_tokens=False)
    row = Row(Prompt(PROMPT_IDS, []), SamplingOptions(max_tokens=500, stop=(stop,)), seed=0)
    rules = SampleRules(checkpoint.tokenizer, None, end_token_ids=frozenset({2}))
    stopper = RowStopper([row], rules, is_closing=threading.Event())
    for end in range(1, len(ids) + 1):
        stopper(torch.tensor([PROMPT_IDS + ids[:end]]), None)
    (reader,) = stopper.readers
    return len(reader.ids) if reader.has_ended else None


@pytest.mark.parametrize(
    ("text", "stop", "length"),
    [
        ("ab\ncd", "\n", 3),
        ("ab.\ncd", "\n", 3),
        ("first and", "st a", 5),
        ("é and é", "é", 2),
        ("x" * 60 + "critique :", "critique :", 70),
        ("crit critic critique", "critique", 20),
        ("no such thing", "absent", None),
        (" leading", " ", 1),
    ],
)
def test_row_ends_at_the_token_that_completes_its_stop_string(
    text_checkpoint: Checkpoint, text: str, stop: str, length: int | None
) -> None:
    assert length_at_stop(text_checkpoint, text, stop) == length


def test_stopper_goes_with_its_batch_and_not_when_garbage_is_collected(text_checkpoint: Checkpoint) -> None:
    row = Row(Prompt(PROMPT_IDS, []), SamplingOptions(max_tokens=5, stop=("a",)), seed=0)
    rules = SampleRules(text_checkpoint.tokenizer, None, end_token_ids=frozenset({2}))
    gc.disable()
    try:
        stopper = RowStopper([row], rules, is_closing=threading.Event())
        stopper(torch.tensor([[*PROMPT_IDS, 5]]), None)
        reference = weakref.ref(stopper)
        del stopper
        assert reference() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("num_hidden", [1, 4])
def test_stop_string_is_found_though_tokens_without_text_stand_in_it(
    text_checkpoint: Checkpoint, num_hidden: int
) -> None:
    assert length_at_stop(text_checkpoint, "x y a" + "<user>" * num_hidden + "b c", "ab") == 5 + num_hidden


def test_closing_ends_every_row(text_checkpoint: Checkpoint) -> None:
    is_closing = threading.Event()
    rules = SampleRules(text_checkpoint.tokenizer, None, end_token_ids=frozenset({2}))
    rows = [Row(Prompt(PROMPT_IDS, []), SamplingOptions(), seed=seed) for seed in (0, 1)]
    stopper = RowStopper(rows, rules, is_closing=is_closing)
    ids = torch.tensor([[*PROMPT_IDS, 50]] * 2)
    assert stopper(ids, None).tolist() == [False, False]
    is_closing.set()
    assert stopper(ids, None).tolist() == [True, True]
