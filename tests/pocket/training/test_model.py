from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from critic_engine.backends.huggingface.checkpoint import pocket_folder
from critic_engine.pocket.dialects import PROSE, TERSE
from critic_engine.pocket.problems import PocketProblem, make_problems
from critic_engine.pocket.questions import read_question
from critic_engine.pocket.solver import solve_with_slips
from critic_engine.pocket.training import training_rows
from critic_engine.pocket.training.generation import PocketRequest, dialect_of, generate_texts, next_word_log_probs
from critic_engine.pocket.training.loop import Schedule, train
from critic_engine.pocket.training.metrics import auroc, calibration_error, critic_values
from critic_engine.pocket.training.model import (
    ModelSize,
    build_model,
    deepened,
    save_checkpoint,
    take_layers,
    with_words_of,
)
from critic_engine.pocket.training.train_critic import freeze_below
from critic_engine.pocket.vocabulary import WORDS

SMALL = ModelSize(text_width=32, text_layers=1, vision_width=32, vision_layers=1)
SHIPPED = sorted(file.parent for file in pocket_folder("reasoner").parent.rglob("config.json"))
PROBLEMS = make_problems("dev", num=8, seed=5)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Such small matrices gain nothing from more threads, and wait for each other on a busy machine."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


def _inputs(processor: Any, problem: PocketProblem) -> Any:
    parts = [{"type": "image"}, {"type": "text", "text": problem.question}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": parts}], add_generation_prompt=True, tokenize=False
    )
    return processor(images=[Image.open(io.BytesIO(problem.png()))], text=[text], return_tensors="pt")


def test_a_saved_checkpoint_loads_to_the_same_model_also_when_saved_twice(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = build_model(SMALL).eval()
    save_checkpoint(model, tmp_path / "once")
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path / "once")
    save_checkpoint(loaded, tmp_path / "twice")
    again = AutoModelForImageTextToText.from_pretrained(tmp_path / "twice")
    inputs = _inputs(AutoProcessor.from_pretrained(tmp_path / "twice"), PROBLEMS[0])
    with torch.inference_mode():
        expected = model(**inputs).logits
        assert torch.equal(loaded(**inputs).logits, expected)
        assert torch.equal(again(**inputs).logits, expected)


def test_weights_bear_the_names_that_vllm_expects(tmp_path: Path) -> None:
    from safetensors import safe_open

    save_checkpoint(build_model(SMALL), tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        prefixes = {".".join(name.split(".")[:2]) for name in file.keys()}  # noqa: SIM118
    assert prefixes == {
        "language_model.lm_head",
        "language_model.model",
        "multi_modal_projector.linear_1",
        "multi_modal_projector.linear_2",
        "vision_tower.vision_model",
    }


def test_a_deepened_model_begins_as_it_was_and_trains_only_above() -> None:
    torch.manual_seed(0)
    model = build_model(SMALL)
    deeper = deepened(model, 3)
    requests = [PocketRequest(problem.board, problem.question) for problem in PROBLEMS]
    expected = next_word_log_probs(model, requests)
    assert np.abs(next_word_log_probs(deeper, requests) - expected).max() < 1e-5
    freeze_below(deeper, 1)
    trained = {name for name, weight in deeper.named_parameters() if weight.requires_grad}
    before = {name: weight.clone() for name, weight in deeper.named_parameters()}
    train(deeper, training_rows.solving_row, Schedule(num_steps=2, batch_size=2), seed=0)
    changed = {name for name, weight in deeper.named_parameters() if not torch.equal(weight, before[name])}
    assert changed == trained
    assert {name.split(".layers.")[1][0] for name in changed if "language_model.layers." in name} == {"1", "2"}


def test_training_is_deterministic_and_learns_what_it_is_shown() -> None:
    schedule = Schedule(num_steps=40, batch_size=4, warm_up_steps=5, log_every=20)
    question, board = training_rows.draw_problem(random.Random(0))
    row = training_rows.repeating_row(training_rows.Attempt(question, board, ("answer : red circle",)))
    models = []
    for _ in range(2):
        torch.manual_seed(0)
        models.append(build_model(SMALL))
        train(models[-1], lambda rng: row, schedule, seed=0)
    first, again = (list(model.parameters()) for model in models)
    assert all(torch.equal(weight, other) for weight, other in zip(first, again, strict=True))
    replies = generate_texts(models[0], [PocketRequest(board, question.text)], temperature=0.0, seed=0)
    assert replies == ["answer : red circle"]


def test_a_model_that_gets_the_words_of_prose_keeps_its_own() -> None:
    torch.manual_seed(0)
    model = build_model(SMALL)
    requests = [PocketRequest(problem.board, problem.question) for problem in PROBLEMS]
    expected = next_word_log_probs(model, requests)
    assert dialect_of(model) is TERSE
    model = with_words_of(model, PROSE)
    assert dialect_of(model) is PROSE
    found = next_word_log_probs(model, requests)[:, : len(WORDS)]
    gaps = found - expected
    assert np.abs(gaps - gaps[:, :1]).max() < 1e-4  # all less likely by the same share, which the new words have
    assert found[0, PROSE.word_ids["up"]] == next_word_log_probs(model, requests)[0, PROSE.word_ids["north"]]
    with pytest.raises(ValueError, match="more than the 95 of terse"):
        with_words_of(model, TERSE)


def test_a_critic_can_begin_with_the_layers_of_another() -> None:
    torch.manual_seed(0)
    model, other = deepened(build_model(SMALL), 3), deepened(build_model(SMALL), 3)
    own = model.model.language_model.layers[0].mlp.up_proj.weight.clone()
    take_layers(model, other, 1)
    layers, others = model.model.language_model.layers, other.model.language_model.layers
    assert torch.equal(layers[0].mlp.up_proj.weight, own)
    assert torch.equal(layers[2].mlp.up_proj.weight, others[2].mlp.up_proj.weight)


def test_auroc_and_calibration_worked_by_hand() -> None:
    assert auroc([0.9, 0.8, 0.3, 0.1], [True, False, True, False]) == 0.75
    assert auroc([0.5, 0.5], [True, False]) == 0.5
    assert np.isnan(auroc([0.5, 0.5], [True, True]))
    assert calibration_error([0.95, 0.95, 0.05, 0.05], [True, False, False, False]) == pytest.approx(0.25)


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_a_shipped_checkpoint_is_small_and_complete(folder: Path) -> None:
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 10_000_000
    model = AutoModelForImageTextToText.from_pretrained(folder)
    processor = AutoProcessor.from_pretrained(folder)
    assert 1e6 <= sum(weight.numel() for weight in model.parameters()) <= 2.5e6
    assert len(processor.tokenizer) == len(dialect_of(model).words)
    assert model.generation_config.eos_token_id == processor.tokenizer.eos_token_id
    assert model.generation_config.pad_token_id == processor.tokenizer.pad_token_id


def test_the_processor_sees_what_training_saw() -> None:
    model = AutoModelForImageTextToText.from_pretrained(pocket_folder("reasoner"))
    processor = AutoProcessor.from_pretrained(pocket_folder("reasoner"))
    for problem in PROBLEMS[:3]:
        written = model.generate(**_inputs(processor, problem), do_sample=False)
        text = processor.tokenizer.decode(written[0], skip_special_tokens=True)
        assert text.startswith(problem.question)
        assert tuple(text.removeprefix(problem.question).strip().split("\n"))[:3] == problem.plan[:3]


def test_the_reasoner_solves_some_problems_and_not_all() -> None:
    model = AutoModelForImageTextToText.from_pretrained(pocket_folder("reasoner"))
    problems = make_problems("dev", num=64, seed=6)
    replies = generate_texts(model, [PocketRequest(p.board, p.question) for p in problems], temperature=0.0, seed=0)
    num_right = sum(p.check(reply.split("\n")).is_answer_right for p, reply in zip(problems, replies, strict=True))
    assert 20 <= num_right <= 58


@pytest.mark.parametrize(
    "folder", [folder for folder in SHIPPED if folder.name == "critic"], ids=lambda folder: folder.parent.name
)
def test_the_critic_values_right_solutions_above_flawed_ones(folder: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(folder)
    dialect = dialect_of(model)
    problems, rng = make_problems("dev", num=48, seed=6), random.Random(0)
    flawed = [
        solve_with_slips(read_question(problem.question), problem.board, slips={rng.randint(1, 4)}, rng=rng)
        for problem in problems
    ]
    worded = [dialect.write(facts, rng) for facts in ([problem.plan for problem in problems] + flawed)]
    values = critic_values(model, problems * 2, worded)
    least = {"terse": 0.75, "prose": 0.6}[dialect.name]  # the prose critic is weaker, as its model card says
    assert auroc(values, [True] * len(problems) + [False] * len(problems)) >= least
