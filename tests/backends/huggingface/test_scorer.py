"""The scorer over sequence classification gives what ``transformers`` itself computes, or one clear error."""

import asyncio
import json
import math
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from critic_engine.backends.huggingface.checkpoint import Checkpoint, CheckpointOptions
from critic_engine.backends.huggingface.scorer import BatchScorer, HuggingFaceScorer, load_scorer
from critic_engine.engine import Engine
from critic_engine.episode.episode import SearchEvent
from critic_engine.errors import ContextOverflowError, GenerationError, ModelLoadError
from critic_engine.protocols import Score
from critic_engine.types import Image, Message, Problem

CONVERSATIONS = [
    (Message("user", "how many red shapes?" + " and blue" * (number % 3)), Message("assistant", "one\n" * number + "2"))
    for number in range(7)
]


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.fixture(scope="session")
def reward_folder(text_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of random weights that gives one number, beside the text model's tokenizer."""
    from transformers import AutoConfig, AutoTokenizer, LlamaForSequenceClassification

    folder = tmp_path_factory.mktemp("models") / "tiny-reward"
    config = AutoConfig.from_pretrained(text_folder, num_labels=1)
    torch.manual_seed(3)
    LlamaForSequenceClassification(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(text_folder).save_pretrained(folder)
    return folder


@pytest.fixture
def copy(reward_folder: Path, tmp_path: Path) -> Path:
    """A copy of the reward model to change."""
    return Path(shutil.copytree(reward_folder, tmp_path / "model"))


def open_scorer(folder: Path, max_batch_size: int = 2) -> HuggingFaceScorer:
    options = CheckpointOptions(str(folder), device="cpu")
    return HuggingFaceScorer(lambda: load_scorer(options), name=folder.name, max_batch_size=max_batch_size)


@pytest.fixture
def score() -> Callable[..., list[Any]]:
    """Score conversations side by side by a folder or a loaded model; return scores and errors."""

    def score(
        source: Path | BatchScorer, conversations: list[tuple[Message, ...]], max_batch_size: int = 64
    ) -> list[Any]:
        if isinstance(source, Path):
            scorer = open_scorer(source, max_batch_size=max_batch_size)
        else:
            scorer = HuggingFaceScorer(lambda: source, name="loaded", max_batch_size=max_batch_size)

        async def work() -> list[Any]:
            try:
                return await asyncio.gather(*map(scorer.score, conversations), return_exceptions=True)
            finally:
                await scorer.aclose()

        return asyncio.run(work())

    return score


def expected(folder: Path, *, is_chat: bool = True) -> list[Score]:
    """Return what ``transformers`` itself makes of each conversation, one at a time."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    scores = []
    for user, assistant in CONVERSATIONS:
        chat = [{"role": "user", "content": user.text}, {"role": "assistant", "content": assistant.text}]
        if is_chat:
            inputs = tokenizer.apply_chat_template(chat, return_tensors="pt", return_dict=True)
        else:
            inputs = tokenizer(f"{user.text}\n\n{assistant.text}", return_tensors="pt")
        with torch.inference_mode():
            (logit,) = model(**inputs).logits[0].tolist()
        scores.append(Score(1 / (1 + math.exp(-logit)), inputs["input_ids"].shape[1]))
    return scores


def assert_equal(found: list[Any], wanted: list[Score]) -> None:
    assert [score.num_prompt_tokens for score in found] == [score.num_prompt_tokens for score in wanted]
    assert [score.value for score in found] == pytest.approx([score.value for score in wanted], abs=1e-5)
    assert len({round(score.value, 6) for score in found}) == len(found)


def test_values_are_the_sigmoid_of_the_models_own_logits(reward_folder: Path, score: Any) -> None:
    assert_equal([score(reward_folder, [each])[0] for each in CONVERSATIONS], expected(reward_folder))


def test_conversations_in_flight_share_batches_and_keep_their_values(reward_folder: Path, score: Any) -> None:
    classifier = load_scorer(CheckpointOptions(str(reward_folder), device="cpu"))
    shapes: list[tuple[int, ...]] = []
    classifier.model.register_forward_pre_hook(
        lambda model, args, inputs: shapes.append(tuple(inputs["input_ids"].shape)), with_kwargs=True
    )
    assert_equal(score(classifier, CONVERSATIONS, max_batch_size=3), expected(reward_folder))
    assert [rows for rows, _ in shapes] == [3, 3, 1]
    assert sorted(shapes, key=lambda shape: shape[1]) == shapes


def test_model_without_a_padding_token_is_batched_and_keeps_its_values(copy: Path, score: Any) -> None:
    edit(copy / "config.json", pad_token_id=None)
    assert_equal(score(copy, CONVERSATIONS), expected(copy))


def test_without_a_chat_template_the_texts_stand_an_empty_line_apart(copy: Path, score: Any) -> None:
    (copy / "chat_template.jinja").unlink()
    assert_equal(score(copy, CONVERSATIONS), expected(copy, is_chat=False))


def test_conversation_that_cannot_be_scored_does_not_spoil_the_others(reward_folder: Path, score: Any) -> None:
    long = (Message("user", "how many?"), Message("assistant", "one " * 200))
    control = (Message("user", "how many?<end>"), Message("assistant", "one"))
    first, too_long, refused = score(reward_folder, [CONVERSATIONS[0], long, control])
    assert first.value == pytest.approx(expected(reward_folder)[0].value, abs=1e-5)
    assert isinstance(too_long, ContextOverflowError)
    assert too_long.max_context_tokens == 160
    assert "holds <end>, a control token" in str(refused)


def test_conversation_that_fills_the_context_is_scored(reward_folder: Path, score: Any) -> None:
    around = score(reward_folder, [(Message("user", "a"),)])[0].num_prompt_tokens - 1
    lengths = [160 - around, 161 - around]
    full, too_long = score(reward_folder, [(Message("user", "a" * length),) for length in lengths])
    assert full.num_prompt_tokens == 160
    assert isinstance(too_long, ContextOverflowError)


def test_oldest_conversation_is_always_in_the_next_batch(text_checkpoint: Checkpoint) -> None:
    scorer = BatchScorer(None, text_checkpoint.tokenizer, pad_token_id=0, max_context_tokens=160)
    rows = [[1] * length for length in (9, 1, 2, 7)]
    assert scorer.next_batch(rows, 2) == [rows[3], rows[0]]
    assert scorer.next_batch(rows, 1) == [rows[0]]


@pytest.mark.parametrize("logit", [math.nan, math.inf, -math.inf])
def test_logit_that_is_not_finite_is_an_error_for_its_own_row(reward_folder: Path, score: Any, logit: float) -> None:
    classifier = load_scorer(CheckpointOptions(str(reward_folder), device="cpu"))
    (hash_id,) = classifier.tokenizer("#", add_special_tokens=False)["input_ids"]

    def spoil(model: Any, args: Any, inputs: dict[str, Any], output: Any) -> None:
        output.logits[(inputs["input_ids"] == hash_id).any(dim=1)] = logit

    classifier.model.register_forward_hook(spoil, with_kwargs=True)
    bad = (Message("user", "how many?"), Message("assistant", "#"))
    first, failed = score(classifier, [CONVERSATIONS[0], bad])
    assert first.value == pytest.approx(expected(reward_folder)[0].value, abs=1e-5)
    assert isinstance(failed, GenerationError)
    assert "is not finite" in str(failed)


def refusal(folder: Path, **options: bool) -> str:
    with pytest.raises(ModelLoadError) as caught:
        load_scorer(CheckpointOptions(str(folder), device="cpu", **options))
    assert str(folder) in str(caught.value)
    return str(caught.value)


def test_model_with_several_labels_is_refused(copy: Path) -> None:
    edit(copy / "config.json", id2label={"0": "bad", "1": "good"}, label2id={"bad": 0, "good": 1})
    assert "has 2 labels and a reward model one" in refusal(copy)


def test_chat_model_without_the_head_is_refused(text_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(text_folder, tmp_path / "model"))
    edit(folder / "config.json", id2label={"0": "good"}, label2id={"good": 0})
    assert "lacks 1 weights that its configuration names, such as score.weight" in refusal(folder)


def test_pickled_weights_load_only_when_allowed(copy: Path, reward_folder: Path, score: Any) -> None:
    weights = load_scorer(CheckpointOptions(str(reward_folder), device="cpu")).model.state_dict()
    (copy / "model.safetensors").unlink()
    torch.save(weights, copy / "pytorch_model.bin")
    assert "is_pickle_allowed" in refusal(copy)
    loaded = load_scorer(CheckpointOptions(str(copy), device="cpu", is_pickle_allowed=True))
    assert_equal(score(loaded, CONVERSATIONS), expected(reward_folder))


def test_model_with_code_of_its_own_is_refused(copy: Path) -> None:
    edit(copy / "config.json", model_type="home_made", auto_map={"AutoConfig": "code.HomeMadeConfig"})
    (copy / "code.py").write_text("raise SystemExit('the code ran')")
    assert "is_remote_code_trusted" in refusal(copy)


def test_model_that_does_not_load_fails_each_request(score: Any, tmp_path: Path) -> None:
    errors = score(tmp_path, CONVERSATIONS[:2])
    assert [type(error) for error in errors] == [ModelLoadError, ModelLoadError]


def test_closed_scorer_refuses_and_can_be_closed_again(reward_folder: Path) -> None:
    async def work() -> None:
        scorer = open_scorer(reward_folder)
        assert scorer.name == "tiny-reward"
        await scorer.load()
        await scorer.aclose()
        await scorer.aclose()
        with pytest.raises(GenerationError, match="is closed"):
            await scorer.score(CONVERSATIONS[0])

    asyncio.run(work())


def test_what_waits_when_the_scorer_is_closed_fails(reward_folder: Path) -> None:
    async def work() -> list[Any]:
        scorer = open_scorer(reward_folder)
        tasks = [asyncio.create_task(scorer.score(each)) for each in CONVERSATIONS]
        await asyncio.sleep(0)
        await scorer.aclose()
        return await asyncio.gather(*tasks, return_exceptions=True)

    outcomes = asyncio.run(asyncio.wait_for(work(), timeout=300))
    assert {type(outcome) for outcome in outcomes} == {GenerationError}


def test_cancelled_request_leaves_the_others_their_scores(reward_folder: Path) -> None:
    async def work() -> list[Any]:
        scorer = open_scorer(reward_folder)
        tasks = [asyncio.create_task(scorer.score(each)) for each in CONVERSATIONS]
        await asyncio.sleep(0)
        tasks[0].cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        await scorer.aclose()
        return outcomes

    cancelled, *rest = asyncio.run(asyncio.wait_for(work(), timeout=300))
    assert isinstance(cancelled, asyncio.CancelledError)
    assert_equal(rest, expected(reward_folder)[1:])


def test_engine_values_by_the_scorer_and_closes_it(reward_folder: Path) -> None:
    settings = {"evaluator.kind": "reward_model", "reward_model.head": "sequence_classification"}
    placed = {"reward_model.model": reward_folder, "reward_model.device": "cpu", "reasoner.backend": "scripted"}
    with Engine("best_of_n", overrides=[f"{name}={value}" for name, value in {**settings, **placed}.items()]) as engine:
        events: list[SearchEvent] = []
        answer = engine.solve(Problem("how many ?"), on_event=events.append)
        seen = engine.solve(Problem("how many ?", images=(Image(b"board", "image/png", 9, 9),)))
    assert not [thread.name for thread in threading.enumerate() if "tiny-reward" in thread.name]
    assert answer.value == max(event.value for event in events if event.answer is not None and event.value is not None)
    assert len({event.value for event in events}) > 1
    assert (seen.value, seen.failures) == (None, {"evaluator_error": 16})
