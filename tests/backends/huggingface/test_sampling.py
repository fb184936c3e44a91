import dataclasses

import pytest
import torch

from critic_engine.backends.huggingface.encoding import Prompt, Row
from critic_engine.backends.huggingface.sampling import RowDraws, RowSampler
from critic_engine.types import SamplingOptions

NUM_ROWS = 4000
LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0, -30.0])
IDS = torch.zeros((1, 1), dtype=torch.long)


def rows(count: int, sampling: SamplingOptions) -> list[Row]:
    return [Row(Prompt([1], []), sampling, seed) for seed in range(count)]


def sampler_of(batch: list[Row]) -> RowSampler:
    return RowSampler([RowDraws(row) for row in batch], torch.device("cpu"))


def draw(sampling: SamplingOptions, num_steps: int = 1) -> torch.Tensor:
    """Return the tokens drawn, shape (steps, rows)."""
    sampler = sampler_of(rows(NUM_ROWS, sampling))
    return torch.stack([sampler(IDS, LOGITS.repeat(NUM_ROWS, 1)).argmax(-1) for _ in range(num_steps)])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_as_often_as_they_are_likely(temperature: float) -> None:
    shares = draw(SamplingOptions(temperature=temperature))[0].bincount(minlength=5) / NUM_ROWS
    expected = (LOGITS / temperature).softmax(-1)
    assert ((shares - expected).abs() < 4 * (expected * (1 - expected) / NUM_ROWS).sqrt() + 1e-9).all()


def test_nucleus_keeps_the_fewest_tokens_that_reach_its_mass() -> None:
    mass = LOGITS.softmax(-1)
    inside = draw(SamplingOptions(temperature=1.0, top_p=float(mass[:2].sum()) - 0.01))[0]
    assert set(inside.tolist()) == {0, 1}
    beyond = draw(SamplingOptions(temperature=1.0, top_p=float(mass[:2].sum()) + 0.01))[0]
    assert set(beyond.tolist()) == {0, 1, 2}


def test_nucleus_that_is_reached_exactly_holds_no_further_token() -> None:
    sampler = sampler_of(rows(100, SamplingOptions(temperature=1.0, top_p=0.5)))
    assert set(sampler(IDS, torch.zeros(100, 2)).argmax(-1).tolist()) in ({0}, {1})


def test_steps_draw_independently_across_the_block_drawn_at_once() -> None:
    tokens = draw(SamplingOptions(temperature=1.0), num_steps=130)
    share = LOGITS.softmax(-1).square().sum()
    for step in (1, 63, 64, 128):
        agreement = (tokens[0] == tokens[step]).float().mean()
        assert abs(agreement - share) < 0.05


def test_greedy_rows_stay_greedy_beside_drawn_ones() -> None:
    mixed = rows(2, SamplingOptions(temperature=1.0)) + rows(2, SamplingOptions())
    sampler = sampler_of(mixed)
    logits = torch.randn(50, 4, 300, generator=torch.Generator().manual_seed(0))
    for scores in logits:
        assert torch.equal(sampler(IDS, scores).argmax(-1)[2:], scores[2:].argmax(-1))


def test_scores_that_are_not_numbers_raise() -> None:
    sampler = sampler_of(rows(1, SamplingOptions()))
    with pytest.raises(FloatingPointError):
        sampler(IDS, torch.tensor([[0.0, float("nan")]]))


def test_options_of_one_row_do_not_reach_another() -> None:
    plain = rows(3, SamplingOptions(temperature=1.0))
    narrow = dataclasses.replace(plain[1], sampling=SamplingOptions(temperature=0.1, top_p=0.5))
    scores = LOGITS.repeat(3, 1)
    alone = sampler_of(plain)(IDS, scores).argmax(-1)
    beside = sampler_of([plain[0], narrow, plain[2]])(IDS, scores).argmax(-1)
    assert alone[[0, 2]].tolist() == beside[[0, 2]].tolist()


@pytest.mark.parametrize("temperature", [1e-5, 1e-320])
def test_temperature_close_to_0_is_greedy(temperature: float) -> None:
    scores = LOGITS.repeat(3, 1)
    sampler = sampler_of(rows(3, SamplingOptions(temperature=temperature)))
    assert sampler(IDS, scores) is scores


@pytest.mark.parametrize("num_top_logprobs", [-1, -10])
def test_negative_number_of_logprobs_is_refused(num_top_logprobs: int) -> None:
    with pytest.raises(ValueError, match=f"num_top_logprobs is {num_top_logprobs}; it must be None, 0 or more"):
        SamplingOptions(num_top_logprobs=num_top_logprobs)


def test_top_k_keeps_that_many_of_the_likeliest_tokens() -> None:
    assert set(draw(SamplingOptions(temperature=1.0, top_k=1))[0].tolist()) == {0}
    tokens = draw(SamplingOptions(temperature=1.0, top_k=2))[0]
    assert set(tokens.tolist()) == {0, 1}
    expected = LOGITS[:2].softmax(-1)
    assert abs((tokens == 0).float().mean() - expected[0]) < 0.04
    assert set(draw(SamplingOptions(temperature=1.0, top_k=9))[0].tolist()) == {0, 1, 2, 3}


def test_min_p_drops_tokens_far_below_the_likeliest_at_the_temperature_of_the_draw() -> None:
    assert set(draw(SamplingOptions(temperature=1.0, min_p=0.3))[0].tolist()) == {0, 1}
    # exp(-1 / 2) of the likeliest one's probability, and exp(-2 / 2).
    assert set(draw(SamplingOptions(temperature=2.0, min_p=0.3))[0].tolist()) == {0, 1, 2}
    assert set(draw(SamplingOptions(temperature=2.0, min_p=1.0))[0].tolist()) == {0}


def test_nucleus_is_taken_of_what_top_k_leaves() -> None:
    share = float(LOGITS[:3].softmax(-1)[0])
    options = SamplingOptions(temperature=1.0, top_k=3, top_p=share - 0.01)
    assert set(draw(options)[0].tolist()) == {0}


@pytest.mark.parametrize("options", [{"top_k": 2}, {"min_p": 0.5}, {"top_k": 3, "min_p": 0.1, "top_p": 0.5}])
def test_limits_of_one_row_do_not_reach_another(options: dict[str, float]) -> None:
    plain = rows(40, SamplingOptions(temperature=1.3))
    limited = [dataclasses.replace(row, sampling=dataclasses.replace(row.sampling, **options)) for row in plain]
    scores = torch.randn(1, 300, generator=torch.Generator().manual_seed(0)).repeat(40, 1)

    def tokens(batch: list[Row]) -> list[int]:
        return sampler_of(batch)(IDS, scores[: len(batch)]).argmax(-1).tolist()

    mixed = [pair[place % 2] for place, pair in enumerate(zip(plain, limited, strict=True))]
    beside, alone, narrow = tokens(mixed), tokens(plain), [tokens([row])[0] for row in limited]
    assert beside == [(narrow if place % 2 else alone)[place] for place in range(40)]
