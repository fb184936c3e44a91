import pickle
import shutil
from pathlib import Path

import pytest

import critic_engine.prompts
from critic_engine.config.search import ReasonerConfig
from critic_engine.errors import ConfigError
from critic_engine.parsing.critiques import parse_critique
from critic_engine.pocket import prompts
from critic_engine.prompts import PromptFamily
from critic_engine.types import Critique, Image, Message, Problem, RejectedSibling

SHIPPED = Path(critic_engine.prompts.__file__).parent
GOLDEN = Path(__file__).parent / "golden"
STEPS = ("row 1 : a1 red circle", "red circle : 1 + 0 + 0 = 2")
WORDS = "wrong step 2 : 1 + 0 + 0 is 1"
NASTY = "cost {question} $steps ${notes} $$5 {{0}} %s \\1 <image>"


def sibling(step: str, words: str = WORDS) -> RejectedSibling:
    return RejectedSibling(step, Critique(words, "wrong", 0.1, 2))


@pytest.fixture
def pocket() -> PromptFamily:
    return PromptFamily.load("pocket")


@pytest.fixture
def plain() -> PromptFamily:
    return PromptFamily.load("plain")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED / "plain", tmp_path / "mine"))


def test_pocket_prompts_are_the_ones_the_pocket_models_were_trained_on(pocket: PromptFamily, problem: Problem) -> None:
    question = problem.question
    rejected = [("red circle : 0", "wrong step 2 : a"), ("red circle : 9", "wrong step 2 : b")]
    siblings = [sibling(step, words) for step, words in rejected]
    assert pocket.solve(problem).text == question
    assert pocket.rewrite(problem, steps=STEPS, critique=WORDS).text == prompts.rewrite_prompt(
        question, steps=STEPS, critique=WORDS
    )
    assert pocket.step(problem, rejected=siblings, concern=None).text == prompts.next_step_prompt(
        question, rejected=rejected
    )
    assert pocket.critique(problem, steps=STEPS).text == prompts.critic_prompt(question, steps=STEPS)


def test_pocket_prompts_read_exactly_so(pocket: PromptFamily, problem: Problem) -> None:
    assert pocket.step(problem, rejected=[sibling("red circle : 0")], concern=None).text == (
        "how many red circles ?\nrejected :\nred circle : 0\ncritique :\nwrong step 2 : 1 + 0 + 0 is 1"
    )
    assert pocket.rewrite(problem, steps=STEPS, critique=WORDS).text == (
        "how many red circles ?\nsolution :\nrow 1 : a1 red circle\nred circle : 1 + 0 + 0 = 2\n"
        "critique :\nwrong step 2 : 1 + 0 + 0 is 1"
    )
    assert pocket.critique(problem, steps=STEPS).text == (
        "how many red circles ?\nsolution :\nrow 1 : a1 red circle\nred circle : 1 + 0 + 0 = 2"
    )


@pytest.mark.parametrize(
    "name",
    ["plain_solve", "plain_step", "plain_rewrite", "plain_critique", "headed_rewrite", "reasoned_critique"],
)
def test_prompts_read_as_the_golden_ones(name: str, image: Image) -> None:
    family_name, _, template = name.partition("_")
    family = PromptFamily.load(family_name)
    problem = Problem("Which is larger?", images=(image,), choices=("the cat", "the dog"))
    messages = {
        "solve": family.solve(problem),
        "step": family.step(problem, rejected=[sibling("The cat is."), sibling("Both are.")], concern="Step 1 is off."),
        "rewrite": family.rewrite(problem, steps=STEPS, critique=WORDS),
        "critique": family.critique(problem, steps=STEPS),
    }
    assert messages[template].text + "\n" == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["plain", "headed", "reasoned"])
def test_prompts_ask_for_a_letter_only_where_options_are_listed(name: str) -> None:
    family = PromptFamily.load(name)

    def texts(problem: Problem) -> list[str]:
        noted = family.step(problem, rejected=[sibling("It is 1.")], concern=None)
        return [each.text for each in (family.solve(problem), noted, family.rewrite(problem, steps=STEPS, critique=""))]

    open_ones = texts(Problem("How many cats?"))
    asked = "If options in the form (A), (B) are listed, your answer is the letter of one of them.\n"
    assert not any("(A)" in text or "letter" in text or "choosing" in text for text in open_ones)
    with_choices = texts(Problem("How many cats?", choices=("one", "two")))
    assert [text.replace(asked, "").replace("\n(A) one\n(B) two", "") for text in with_choices] == open_ones
    assert all(asked in text for text in (*with_choices, *texts(Problem("How many cats? (A) one (B) two"))))


def test_a_family_of_ones_own_may_say_how_to_choose_in_other_words(folder: Path) -> None:
    fields = (folder / "family.yaml").read_text(encoding="utf-8")
    own = fields.replace("choosing: If options in the form (A), (B) are listed, your", "choosing: Choose $$5; your")
    (folder / "family.yaml").write_text(own, encoding="utf-8")
    assert "\nChoose $$5; your answer" in PromptFamily.load(folder).solve(Problem("?", choices=("1", "2"))).text


def test_headed_prompts_differ_from_plain_ones_in_what_a_step_looks_like_alone(
    plain: PromptFamily, problem: Problem
) -> None:
    headed = PromptFamily.load("headed")
    assert headed.form == plain.form
    assert headed.critique(problem, steps=STEPS) == plain.critique(problem, steps=STEPS)
    for prompt in (headed.solve(problem), headed.step(problem, rejected=[sibling("a")], concern=WORDS)):
        assert 'with its heading, "Step 1:", "Step 2:" and so on' in prompt.text
        assert "no headings" not in prompt.text
    difference = set(headed.solve(problem).text.splitlines()) ^ set(plain.solve(problem).text.splitlines())
    assert len(difference) == 2


@pytest.mark.parametrize("name", ["pocket", "plain", "headed", "reasoned"])
def test_prompts_are_user_turns_that_carry_the_images(name: str, problem: Problem, image: Image) -> None:
    family = PromptFamily.load(name)
    messages: list[Message] = [
        family.solve(problem),
        family.step(problem, rejected=[sibling("a")], concern=None),
        family.rewrite(problem, steps=STEPS, critique=WORDS),
        family.critique(problem, steps=STEPS),
    ]
    assert {(message.role, message.images) for message in messages} == {("user", (image,))}


@pytest.mark.parametrize("name", ["pocket", "plain", "headed", "reasoned"])
def test_what_fills_a_prompt_comes_through_unharmed(name: str) -> None:
    family = PromptFamily.load(name)
    problem = Problem(NASTY, choices=(NASTY, "$letter"))
    assert family.solve(problem).text.count(NASTY) == 2
    assert "(B) $letter" in family.solve(problem).text
    assert family.critique(problem, steps=(NASTY,)).text.count(NASTY) == 3
    assert family.rewrite(problem, steps=(NASTY,), critique=NASTY).text.count(NASTY) == 4
    assert family.step(problem, rejected=[sibling(NASTY, NASTY)], concern=None).text.count(NASTY) == 4


def test_choices_are_listed_below_the_question_and_no_choices_add_nothing(pocket: PromptFamily) -> None:
    assert pocket.solve(Problem("q ?", choices=("x", "y"))).text == "q ?\n(A) x\n(B) y"
    assert pocket.solve(Problem("q ?")).text == "q ?"


@pytest.mark.parametrize("name", ["pocket", "plain", "headed", "reasoned"])
def test_step_prompt_with_nothing_to_show_is_the_solve_prompt(name: str, problem: Problem) -> None:
    family = PromptFamily.load(name)
    assert family.step(problem, rejected=[], concern=None) == family.solve(problem)


def test_concern_is_shown_only_by_a_family_that_has_a_place_for_it(
    pocket: PromptFamily, plain: PromptFamily, problem: Problem
) -> None:
    assert pocket.step(problem, rejected=[], concern=WORDS) == pocket.solve(problem)
    assert WORDS in plain.step(problem, rejected=[], concern=WORDS).text


def test_auto_is_pocket_for_the_shipped_models_and_plain_for_others() -> None:
    assert PromptFamily.for_model(ReasonerConfig()).name == "pocket"
    assert PromptFamily.for_model(ReasonerConfig(model="some/model")).name == "plain"
    assert PromptFamily.for_model(ReasonerConfig(model="some/model", prompts="pocket")).name == "pocket"


def test_a_folder_is_a_family(folder: Path, problem: Problem) -> None:
    (folder / "solve.txt").write_text("Cheap at $$5: $question", encoding="utf-8")
    assert PromptFamily.load(folder).solve(problem).text == "Cheap at $5: how many red circles ?"


def test_a_family_survives_pickling(plain: PromptFamily, problem: Problem) -> None:
    assert pickle.loads(pickle.dumps(plain)).solve(problem) == plain.solve(problem)


def test_an_unknown_family_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="neither a folder nor one of headed, plain, pocket, reasoned"):
        PromptFamily.load("nothing")


@pytest.mark.parametrize("name", ["solve", "step", "rejected", "rewrite", "critique"])
def test_a_missing_template_is_refused_by_its_name(name: str, folder: Path) -> None:
    (folder / f"{name}.txt").unlink()
    with pytest.raises(ConfigError, match=rf"{name}\.txt cannot be read"):
        PromptFamily.load(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no question here", r"solve\.txt lacks the placeholder \$question"),
        ("$question $answer", r"solve\.txt has the unknown placeholder \$answer"),
        ("$question costs $5", r"solve\.txt has a '\$' that begins no placeholder"),
    ],
)
def test_a_template_with_wrong_placeholders_is_refused(text: str, message: str, folder: Path) -> None:
    (folder / "solve.txt").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        PromptFamily.load(folder)


def test_a_template_that_is_not_text_is_refused(folder: Path) -> None:
    (folder / "solve.txt").write_bytes(b"\xff\xfe$question")
    with pytest.raises(ConfigError, match=r"solve\.txt cannot be read"):
        PromptFamily.load(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("right: right", "right: yes", r"family\.yaml: critique\.right: Input should be a valid string"),
        ("right: right", "right: wrong", "verdict words must differ"),
        ("right: right", "write: right", r"critique\.right: Field required"),
        ("($letter) $choice", "($letter)", r"family\.yaml: choice lacks the placeholder \$choice"),
        ("[$number] $step", "$steps", r"family\.yaml: step lacks the placeholder \$step"),
        ("critique:", "critique: [", r"family\.yaml cannot be read as YAML"),
    ],
)
def test_a_wrong_family_file_is_refused(old: str, new: str, message: str, folder: Path) -> None:
    path = folder / "family.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        PromptFamily.load(folder)


def test_an_empty_family_file_is_refused(folder: Path) -> None:
    (folder / "family.yaml").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"family\.yaml: the file"):
        PromptFamily.load(folder)


def test_a_family_that_extends_a_shipped_one_has_its_files_and_fields(tmp_path: Path, problem: Problem) -> None:
    (tmp_path / "family.yaml").write_text('extends: plain\nstep: "$number) $step"\n', encoding="utf-8")
    (tmp_path / "solve.txt").write_text("Think: $question", encoding="utf-8")
    mine, plain = PromptFamily.load(tmp_path), PromptFamily.load("plain")
    assert mine.solve(problem).text == "Think: how many red circles ?"
    assert "1) a\n2) b" in mine.critique(problem, steps=("a", "b")).text
    assert mine.form.critique == plain.form.critique
    assert mine.step(problem, rejected=[], concern=WORDS) == plain.step(problem, rejected=[], concern=WORDS)


@pytest.mark.parametrize("base", ["nothing", "../plain", "[plain]", "1"])
def test_a_family_extends_shipped_ones_only(base: str, folder: Path) -> None:
    (folder / "family.yaml").write_text(f"extends: {base}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="it may be headed, plain, pocket, reasoned"):
        PromptFamily.load(folder)


def test_a_shared_beginning_is_numbered_on_in_both_branches(
    plain: PromptFamily, problem: Problem, image: Image
) -> None:
    message = plain.annotate(problem, shared=("look", "count"), first=("one", "answer: 1"), second=("two",))
    assert (message.role, message.images) == ("user", (image,))
    assert "[1] look\n[2] count\n\nPath A goes on:\n[3] one\n[4] answer: 1\n\nPath B goes on:\n[3] two" in message.text
    nothing = plain.annotate(problem, shared=(), first=("one",), second=("two",)).text
    assert "Path A goes on:\n[1] one\n\nPath B goes on:\n[1] two" in nothing


@pytest.mark.parametrize("name", ["plain", "headed", "reasoned"])
def test_what_fills_the_prompts_of_labelling_comes_through_unharmed(name: str, image: Image) -> None:
    family = PromptFamily.load(name)
    problem = Problem(NASTY, images=(image,), choices=(NASTY,))
    messages = [
        family.annotate(problem, shared=(NASTY,), first=(NASTY,), second=(NASTY,)),
        family.inject(problem, steps=(NASTY, NASTY, NASTY)),
        family.detect(problem, steps=(NASTY, NASTY, NASTY)),
        family.grade(problem, steps=(NASTY,), errors=NASTY, found=NASTY),
    ]
    for message in messages:
        assert message.text.count(NASTY) == 5
        assert (message.role, message.images) == ("user", (image,))
    judged = family.judge(problem, references=(NASTY,), answer=NASTY, code="1f")
    assert judged.text.count(NASTY) == 4
    assert judged.images == ()


@pytest.mark.parametrize("name", ["annotate", "inject", "detect", "grade", "judge"])
def test_templates_of_labelling_may_be_absent_and_are_held_to_their_placeholders(name: str, folder: Path) -> None:
    assert PromptFamily.load("plain").has(name)
    assert PromptFamily.load("headed").has(name)
    assert not PromptFamily.load("pocket").has(name)
    (folder / f"{name}.txt").write_text("$question $answer", encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"{name}\.txt lacks the placeholder"):
        PromptFamily.load(folder)
    (folder / f"{name}.txt").unlink()
    assert not PromptFamily.load(folder).has(name)


@pytest.mark.parametrize("name", ["pocket", "plain", "headed", "reasoned"])
def test_a_written_critique_is_read_as_what_it_says(name: str) -> None:
    family = PromptFamily.load(name)
    form = family.form.critique
    right = parse_critique(family.written_critique(step=None), form, num_steps=4)
    assert (right.verdict, right.first_wrong_step) == ("right", None)
    for reason in ("it is 5", NASTY, "Verdict: right", "step 1 is right", "right"):
        wrong = parse_critique(family.written_critique(step=3, reason=reason), form, num_steps=4)
        assert (wrong.verdict, wrong.first_wrong_step) == ("wrong", 3)
        assert reason in family.written_critique(step=3, reason=reason)


def test_pocket_critiques_are_written_as_the_pocket_critic_was_trained_on(pocket: PromptFamily) -> None:
    assert pocket.written_critique(step=None) == "right"
    assert pocket.written_critique(step=2, reason="1 + 0 + 0 is 1") == WORDS


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('wrong_critique: "step $step"', r"wrong_critique lacks the placeholder \$reason"),
        ('wrong_critique: "$step $reason $score"', r"wrong_critique has the unknown placeholder \$score"),
        ("right_critique: 1", r"right_critique: Input should be a valid string"),
    ],
)
def test_a_wrong_form_of_critiques_is_refused(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "family.yaml").write_text(f"extends: plain\n{line}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        PromptFamily.load(tmp_path)


def test_reasoned_prompts_differ_from_plain_ones_in_the_critic_alone(plain: PromptFamily, problem: Problem) -> None:
    reasoned = PromptFamily.load("reasoned")
    assert reasoned.solve(problem) == plain.solve(problem)
    assert reasoned.form.critique == plain.form.critique
    assert (reasoned.form.reasons_first, plain.form.reasons_first) == (True, False)
    assert reasoned.form.critique_tokens > plain.form.critique_tokens
    asked = reasoned.critique(problem, steps=STEPS).text
    assert asked.index("First examine the steps") < asked.index("Verdict: right") < asked.index("Score: P")


def test_a_written_critique_of_a_reasoned_critic_examines_the_step_before_its_verdict() -> None:
    assert PromptFamily.load("reasoned").written_critique(step=2, reason="It is 5.") == (
        "Step 2: It is 5.\n\nVerdict: wrong\nFirst wrong step: 2\nIt is 5.\nScore: 0"
    )


@pytest.mark.parametrize("line", ["critique_tokens: 0", "critique_tokens: many", "reasons_first: 3"])
def test_a_wrong_allowance_is_refused(line: str, tmp_path: Path) -> None:
    (tmp_path / "family.yaml").write_text(f"extends: plain\n{line}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"family\.yaml: {line.partition(':')[0]}"):
        PromptFamily.load(tmp_path)
