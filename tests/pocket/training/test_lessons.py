from __future__ import annotations

import random

from critic_engine.pocket.oracle import check
from critic_engine.pocket.questions import read_question
from critic_engine.pocket.solving import solve
from critic_engine.pocket.training import lessons
from critic_engine.pocket.vocabulary import ASSISTANT, EOS, IMAGE, UNKNOWN, WORD_IDS, WORDS


def _reply(lesson: lessons.Lesson) -> str:
    """Return the words taught from the assistant's turn on."""
    begin = lesson.ids.index(WORD_IDS[ASSISTANT])
    return " ".join(WORDS[word] for word in lesson.targets[begin:] if word != lessons.IGNORED)


def test_lessons_know_all_their_words_and_come_from_train() -> None:
    rng = random.Random(0)
    for _ in range(150):
        for lesson in (
            lessons.naming_lesson(rng),
            lessons.solving_lesson(rng),
            lessons.rewriting_lesson(rng, lessons.slip_attempt),
            lessons.next_step_lesson(rng, lessons.slip_attempt),
            lessons.judging_lesson(rng, lessons.slip_attempt),
        ):
            assert WORD_IDS[UNKNOWN] not in (*lesson.ids, *lesson.targets)
            assert len(lesson.ids) == len(lesson.targets)
            assert lesson.targets[-1] == WORD_IDS[EOS]
            assert lesson.board.split == "train"


def test_a_solving_lesson_teaches_the_word_that_comes_next() -> None:
    lesson = lessons.solving_lesson(random.Random(1))
    for place, target in enumerate(lesson.targets[:-1]):
        assert target in (lessons.IGNORED, lesson.ids[place + 1])


def test_a_next_step_lesson_goes_on_from_a_right_beginning() -> None:
    rng = random.Random(5)
    for _ in range(50):
        lesson = lessons.next_step_lesson(rng, lessons.slip_attempt)
        text = " ".join(WORDS[word] for word in lesson.ids)
        question = text.split(IMAGE)[-1].split("\n")[0].strip()
        steps = [step.strip() for step in text.split(ASSISTANT)[1].split("\n")]
        assert check(question, lesson.board, steps).is_right
        assert 1 <= text.count("rejected :") <= 3


def test_a_judging_lesson_ends_with_the_oracles_words() -> None:
    attempt = lessons.slip_attempt(random.Random(2))
    lesson = lessons.judging_lesson(random.Random(3), lambda rng: attempt)
    text = " ".join(WORDS[word] for word in lesson.ids[: lesson.ids.index(WORD_IDS[ASSISTANT])])
    steps = [step.strip() for step in text.split("solution : \n")[1].split("\n")]
    words = check(attempt.question.text, attempt.board, steps).words
    assert _reply(lesson) == f"{words} {EOS}"


def _flawed_in_step_two(rng: random.Random) -> lessons.Attempt:
    board = lessons.draw_task(rng)[1]
    question = read_question("how many red shapes ?")
    plan = solve(question, board)
    return lessons.Attempt(question, board, (plan[0], "row 2 : what is there", *plan[2:]))


def test_the_verdict_so_far_is_taught_after_every_word() -> None:
    attempt = _flawed_in_step_two(random.Random(4))
    rng = random.Random(0)
    while len((lesson := lessons.judging_lesson(rng, lambda _: attempt)).ids) < 60:
        pass
    begin = lesson.ids.index(WORD_IDS["row"]) - 1
    flaw = lesson.ids.index(WORD_IDS["what"])
    assert {WORDS[word] for word in lesson.targets[begin:flaw]} == {"right"}
    assert {WORDS[word] for word in lesson.targets[flaw : lesson.ids.index(WORD_IDS[ASSISTANT])]} == {"wrong"}


def test_the_right_next_word_is_taught_up_to_the_flaw() -> None:
    attempt = _flawed_in_step_two(random.Random(4))
    rng = random.Random(0)
    while len((lesson := lessons.foreseeing_lesson(rng, lambda _: attempt)).ids) < 60:
        pass
    flaw = lesson.ids.index(WORD_IDS["what"])
    assert WORDS[lesson.targets[flaw - 1]] == "a2"
    assert set(lesson.targets[flaw:]) == {lessons.IGNORED}


def test_a_repeating_lesson_keeps_the_flaw() -> None:
    lesson = lessons.repeating_lesson(_flawed_in_step_two(random.Random(6)))
    assert "row 2 : what is there" in _reply(lesson)
