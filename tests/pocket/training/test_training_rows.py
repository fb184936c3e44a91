from __future__ import annotations

import random

from critic_engine.pocket.dialects import PROSE
from critic_engine.pocket.oracle import check
from critic_engine.pocket.questions import read_question
from critic_engine.pocket.solver import solve
from critic_engine.pocket.training import training_rows
from critic_engine.pocket.training.model import ModelSize
from critic_engine.pocket.vocabulary import ASSISTANT, EOS, IMAGE, UNKNOWN, WORD_IDS, WORDS


def _reply(row: training_rows.TrainingRow) -> str:
    """Return the words taught from the assistant's turn on."""
    begin = row.ids.index(WORD_IDS[ASSISTANT])
    return " ".join(WORDS[word] for word in row.targets[begin:] if word != training_rows.IGNORED)


def test_rows_know_all_their_words_and_come_from_train() -> None:
    rng = random.Random(0)
    for _ in range(150):
        for row in (
            training_rows.naming_row(rng),
            training_rows.solving_row(rng),
            training_rows.rewriting_row(rng, training_rows.slip_attempt),
            training_rows.next_step_row(rng, training_rows.slip_attempt),
            training_rows.judging_row(rng, training_rows.slip_attempt),
        ):
            assert WORD_IDS[UNKNOWN] not in (*row.ids, *row.targets)
            assert len(row.ids) == len(row.targets)
            assert row.targets[-1] == WORD_IDS[EOS]
            assert row.board.split == "train"


def test_prose_rows_know_all_their_words_and_fit_the_model() -> None:
    rng = random.Random(0)

    def flawed(rng: random.Random) -> training_rows.Attempt:
        return training_rows.slip_attempt(rng, PROSE)

    for _ in range(60):
        for row in (
            training_rows.practice_row(rng, PROSE),
            training_rows.solving_row(rng, PROSE),
            training_rows.rewriting_row(rng, flawed, PROSE),
            training_rows.next_step_row(rng, flawed, PROSE),
            training_rows.judging_row(rng, flawed, PROSE),
            training_rows.foreseeing_row(rng, flawed, PROSE),
        ):
            assert WORD_IDS[UNKNOWN] not in (*row.ids, *row.targets)
            assert len(row.ids) == len(row.targets) <= ModelSize().max_tokens


def test_a_prose_rewrite_is_right_from_the_flaw_on() -> None:
    rng = random.Random(1)
    for _ in range(40):
        attempt = training_rows.slip_attempt(rng, PROSE)
        row = training_rows.rewriting_row(rng, lambda _, attempt=attempt: attempt, PROSE)  # type: ignore[misc]
        begin = row.ids.index(WORD_IDS[ASSISTANT]) + 1
        steps = " ".join(PROSE.words[word] for word in row.ids[begin:]).split("\n")
        judgement = check(attempt.question.text, attempt.board, steps)
        assert judgement.is_right
        assert judgement.is_answer_right


def test_a_prose_step_is_judged_at_its_end_only() -> None:
    rng = random.Random(2)
    question, board = training_rows.draw_problem(rng)
    right = PROSE.say(solve(question, board)[0], rng)
    attempt = training_rows.Attempt(question, board, (right, "i think so , it is two"))
    while len((row := training_rows.judging_row(rng, lambda _: attempt, PROSE)).ids) < 50:
        pass
    begin, end = (row.ids.index(WORD_IDS[word]) for word in ("\n", ASSISTANT))
    taught = [target for target in row.targets[begin:end] if target != training_rows.IGNORED]
    assert taught == [WORD_IDS["right"], WORD_IDS["wrong"]]


def test_a_solving_row_teaches_the_word_that_comes_next() -> None:
    row = training_rows.solving_row(random.Random(1))
    for place, target in enumerate(row.targets[:-1]):
        assert target in (training_rows.IGNORED, row.ids[place + 1])


def test_a_next_step_row_goes_on_from_a_right_beginning() -> None:
    rng = random.Random(5)
    for _ in range(50):
        row = training_rows.next_step_row(rng, training_rows.slip_attempt)
        text = " ".join(WORDS[word] for word in row.ids)
        question = text.split(IMAGE)[-1].split("\n")[0].strip()
        steps = [step.strip() for step in text.split(ASSISTANT)[1].split("\n")]
        assert check(question, row.board, steps).is_right
        assert 1 <= text.count("rejected :") <= 3


def test_a_judging_row_ends_with_the_oracles_words() -> None:
    attempt = training_rows.slip_attempt(random.Random(2))
    row = training_rows.judging_row(random.Random(3), lambda rng: attempt)
    text = " ".join(WORDS[word] for word in row.ids[: row.ids.index(WORD_IDS[ASSISTANT])])
    steps = [step.strip() for step in text.split("solution : \n")[1].split("\n")]
    words = check(attempt.question.text, attempt.board, steps).words
    assert _reply(row) == f"{words} {EOS}"


def _flawed_in_step_two(rng: random.Random) -> training_rows.Attempt:
    board = training_rows.draw_problem(rng)[1]
    question = read_question("how many red shapes ?")
    plan = solve(question, board)
    return training_rows.Attempt(question, board, (plan[0], "row 2 : what is there", *plan[2:]))


def test_the_verdict_so_far_is_taught_after_every_word() -> None:
    attempt = _flawed_in_step_two(random.Random(4))
    rng = random.Random(0)
    while len((row := training_rows.judging_row(rng, lambda _: attempt)).ids) < 60:
        pass
    begin = row.ids.index(WORD_IDS["row"]) - 1
    flaw = row.ids.index(WORD_IDS["what"])
    assert {WORDS[word] for word in row.targets[begin:flaw]} == {"right"}
    assert {WORDS[word] for word in row.targets[flaw : row.ids.index(WORD_IDS[ASSISTANT])]} == {"wrong"}


def test_the_right_next_word_is_taught_up_to_the_flaw() -> None:
    attempt = _flawed_in_step_two(random.Random(4))
    rng = random.Random(0)
    while len((row := training_rows.foreseeing_row(rng, lambda _: attempt)).ids) < 60:
        pass
    flaw = row.ids.index(WORD_IDS["what"])
    assert WORDS[row.targets[flaw - 1]] == "a2"
    assert set(row.targets[flaw:]) == {training_rows.IGNORED}


def test_a_repeating_row_keeps_the_flaw() -> None:
    row = training_rows.repeating_row(_flawed_in_step_two(random.Random(6)))
    assert "row 2 : what is there" in _reply(row)
