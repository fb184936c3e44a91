from __future__ import annotations

import random

import pytest

from critic_engine.pocket.dialects import PROSE
from critic_engine.pocket.oracle import check
from critic_engine.pocket.problems import make_problems
from critic_engine.pocket.prompts import critic_prompt, next_step_prompt, prefix_text, rewrite_prompt
from critic_engine.pocket.training import training_rows
from critic_engine.pocket.training.model import build_processor, build_tokenizer
from critic_engine.pocket.vocabulary import UNKNOWN, WORD_IDS, WORDS, encode, turn_ids


def _texts() -> list[str]:
    rng = random.Random(0)
    texts = []
    for _ in range(60):
        attempt = training_rows.slip_attempt(rng)
        question, steps = attempt.question.text, attempt.steps
        words = check(question, attempt.board, steps).words
        texts += [
            question,
            words,
            prefix_text(steps[:3]),
            critic_prompt(question, steps=steps),
            rewrite_prompt(question, steps=steps, critique=words),
            next_step_prompt(question, rejected=[(steps[-1], words)] * 2),
        ]
    return texts


def test_words_are_unique_and_numbered_in_order() -> None:
    assert len(set(WORDS)) == len(WORDS)
    assert [WORD_IDS[word] for word in WORDS] == list(range(len(WORDS)))


def test_the_tokenizer_and_the_plain_encoder_agree_and_decoding_round_trips() -> None:
    tokenizer = build_tokenizer()
    for text in _texts():
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert ids == encode(text)
        assert WORD_IDS[UNKNOWN] not in ids
        assert tokenizer.decode(ids) == text


def test_the_prose_tokenizer_and_the_plain_encoder_agree_and_the_terse_words_keep_their_ids() -> None:
    tokenizer, rng = build_tokenizer(PROSE), random.Random(0)
    assert PROSE.words[: len(WORDS)] == WORDS
    for problem in make_problems("train", num=40, seed=0):
        text = critic_prompt(problem.question, steps=PROSE.write(problem.plan, rng))
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert ids == encode(text, PROSE.word_ids)
        assert WORD_IDS[UNKNOWN] not in ids
        assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("text", ["Answer:3", "a1  red\n\n row 1:", "3-1=2, what?", "\n", "pink <b>", ""])
def test_decoding_any_text_is_stable(text: str) -> None:
    tokenizer = build_tokenizer()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    decoded = tokenizer.decode(ids)
    again = tokenizer(decoded, add_special_tokens=False)["input_ids"]
    assert again == ids
    assert tokenizer.decode(again) == decoded


def test_the_chat_template_gives_the_ids_that_training_used() -> None:
    processor = build_processor()
    problem = make_problems("dev", num=1, seed=0)[0]
    parts = [{"type": "image"}, {"type": "text", "text": problem.question}]
    turns = [{"role": "user", "content": parts}]
    text = processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    expanded = text.replace("<image>", "<image>" * 9)
    assert processor.tokenizer(expanded)["input_ids"] == turn_ids(problem.question)


def test_a_begun_reply_is_continued_as_it_stands() -> None:
    processor = build_processor()
    begun = prefix_text(make_problems("dev", num=1, seed=0)[0].plan[:2])
    turns = [{"role": "user", "content": "how many circles ?"}, {"role": "assistant", "content": begun}]
    text = processor.apply_chat_template(turns, continue_final_message=True, tokenize=False)
    assert text == f"<bos><|user|>how many circles ?<|assistant|>{begun}"
