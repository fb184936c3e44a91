import torch

from critic_engine.backends.huggingface.encoding import Prompt, Row
from critic_engine.backends.huggingface.generator import BatchGenerator
from critic_engine.types import SamplingOptions

next_batch = BatchGenerator.next_batch


def row(num_tokens: int, *, max_tokens: int = 10, image_px: int | None = None) -> Row:
    images = {} if image_px is None else {"pixel_values": torch.zeros(1, 3, image_px, image_px)}
    prompt = Prompt([1] * num_tokens, [], image_tensors=images)
    return Row(prompt, SamplingOptions(max_tokens=max_tokens), seed=0)


def test_oldest_row_is_always_drawn() -> None:
    waiting = [row(90), *(row(5) for _ in range(10))]
    assert waiting[0] in next_batch(waiting, 3)
    assert next_batch(waiting, 1) == waiting[:1]


def test_companions_are_the_nearest_in_length() -> None:
    waiting = [row(10), row(90), row(12), row(50), row(9)]
    assert next_batch(waiting, 3) == [waiting[4], waiting[0], waiting[2]]


def test_verdicts_do_not_wait_for_solutions() -> None:
    waiting = [row(10, max_tokens=2), row(10, max_tokens=100), row(10, max_tokens=8)]
    assert next_batch(waiting, 64) == [waiting[0], waiting[2]]
    waiting = [row(10, max_tokens=10), row(10, max_tokens=40), row(10, max_tokens=41)]
    assert next_batch(waiting, 64) == waiting[:2]


def test_only_rows_whose_tensors_join_share_a_batch() -> None:
    waiting = [row(10, image_px=8), row(10), row(10, image_px=16), row(10, image_px=8)]
    assert next_batch(waiting, 64) == [waiting[0], waiting[3]]
