"""``doctor`` says what there is, and fails when the models do not load."""

import itertools
import platform

import PIL.Image
import pytest
from transformers import GenerationConfig

from tests.backends.families import FAMILIES, save_chain


def test_doctor_reports_the_machine_and_a_model_that_does_not_load(cli) -> None:
    result = cli("doctor", "--reasoner", "./gone", "--json")
    (facts,) = result.rows
    assert facts["python"] == platform.python_version()
    assert facts["cores"] >= 1
    assert facts["devices"][0] == "cpu"
    assert facts["models"]["load_s"] is None
    assert "there is no such folder" in facts["models"]["error"]
    assert (result.code, result.err) == (2, "")


@pytest.mark.slow
def test_shipped_models_answer_a_pocket_problem(cli) -> None:
    result = cli("doctor")
    assert result.code == 0
    assert "pocket and pocket loaded in" in result.out


def test_step_split_says_into_which_steps_the_reasoner_falls(cli) -> None:
    result = cli("doctor", "--step-split", "delimiter", "--set", "reasoner.backend=scripted", "--json")
    (facts,) = result.rows
    steps = facts["steps"]
    assert "models" not in facts
    assert (steps["is_same_text"], steps["is_cut_alike"], steps["has_steps"]) == (True, True, True)
    assert steps["in_one_piece"]["steps"][0]["text"].startswith("step 1 : find")
    assert [step["text"] for step in steps["step_by_step"]["steps"]] == [
        step["text"] for step in steps["in_one_piece"]["steps"]
    ]
    assert (steps["warnings"], steps["error"], result.code, result.err) == ([], None, 0, "")


def test_step_split_that_finds_no_steps_says_so(cli, tmp_path) -> None:
    PIL.Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    scripted = ["--set", "reasoner.backend=scripted", "--question", "how many ?", "--image", "a.png"]
    result = cli("doctor", "--step-split", "delimiter", "--step-delimiter", r"\n\n", *scripted)
    assert "question       how many ?" in result.out
    assert r"warning        the delimiter '\n\n' never occurs" in result.out
    assert result.code == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--question", "how many ?"], "--question goes with --step-split only"),
        (["--max-step-tokens", "9"], "--max-step-tokens goes with --step-split only"),
        (["--step-split", "tokens", "--step-delimiter", ";"], "--step-delimiter goes with --step-split delimiter only"),
        (["--step-split", "tokens", "--step-template", "#"], "--step-template goes with --step-split template only"),
        (["--step-split", "tokens", "--image", "a.png"], "--image goes with --question only"),
        (["--step-split", "tokens", "--question", " "], "--question is empty text"),
        (["--step-split", "tokens", "--critic", "pocket"], "--critic goes without --step-split only"),
    ],
)
def test_options_that_do_not_go_together_are_refused(cli, options: list[str], message: str) -> None:
    result = cli("doctor", *options)
    assert message in result.err
    assert (result.code, result.out) == (2, "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--reasoner", "./gone"], "there is no such folder"),
        (["--question", "how many ?", "--image", "gone.png"], "gone.png"),
    ],
)
def test_step_split_that_cannot_be_tried_is_wrong_usage(cli, options: list[str], message: str) -> None:
    result = cli("doctor", "--step-split", "tokens", "--json", *options)
    assert message in result.rows[0]["steps"]["error"]
    assert result.code == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("split", "num_steps"), [(["delimiter"], 7), (["sentence"], 7), (["tokens", "--max-step-tokens", "30"], 3)]
)
def test_the_shipped_reasoner_falls_into_steps(cli, split: list[str], num_steps: int) -> None:
    result = cli("doctor", "--step-split", *split, "--json")
    steps = result.rows[0]["steps"]
    assert len(steps["step_by_step"]["steps"]) == num_steps
    assert steps["is_same_text"]
    assert steps["step_by_step"]["answer"] == steps["in_one_piece"]["answer"] is not None
    assert (steps["warnings"], result.code) == ([], 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "foo.bar=1"], "foo is not a known key"),
        (["--set", "evaluator.kind=checker"], "evaluator.kind"),
        (["--set", "reasoner.prompts=gone"], "prompts gone is neither a folder"),
        (["--step-split", "template", "--step-template", "$foo"], "step_template is '$foo'"),
        (["--step-split", "delimiter", "--step-delimiter", ""], "expander.delimiter"),
        (["--step-split", "tokens", "--set", "expander.kind=solution"], "only steps are tried"),
    ],
)
@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_wrong_config_is_refused_before_anything_is_said(cli, options: list[str], message: str, as_json: list) -> None:
    result = cli("doctor", *options, *as_json)
    (line,) = result.err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert (result.code, result.out) == (2, "")


def test_models_are_named_as_the_config_has_them(cli) -> None:
    settings = ["reasoner.model=./gone", "evaluator.kind=reward_model", "reward_model.model=./gone"]
    result = cli("doctor", *itertools.chain(*(("--set", setting) for setting in settings)), "--json")
    models = result.rows[0]["models"]
    assert (models["reasoner"], models["critic"]) == ("./gone", None)
    scripted = ["--set", "reasoner.backend=scripted", "--set", "critic.backend=scripted"]
    assert "scripted and scripted loaded in" in cli("doctor", *scripted).out


def test_model_without_a_named_critic_is_its_own_and_its_trial_is_short(cli, tmp_path) -> None:
    save_chain(
        tmp_path / "tiny",
        FAMILIES["r1"],
        ["<think>", *(f" w{number}" for number in range(1100)), "</think>", "answer: 7"],
    )
    result = cli("doctor", "--reasoner", "./tiny", "--set", "reasoner.device=cpu")
    assert "critic         none is named, so the reasoner's model is tried as its own critic" in result.out
    assert "raise reasoner.max_thought_tokens" in result.out
    assert result.code == 1
    (facts,) = cli("doctor", "--reasoner", "./tiny", "--json").rows
    assert facts["models"]["critic"] == "./tiny"
    assert facts["models"]["num_tokens"] <= 4 * 1024


def test_critic_alone_is_not_paired_with_the_pocket_reasoner(cli) -> None:
    result = cli("doctor", "--critic", "./gone")
    assert "name --reasoner too" in result.err
    assert (result.code, result.out) == (2, "")


@pytest.mark.openai_api
def test_endpoint_that_does_not_answer_is_a_finding_with_its_reason(cli) -> None:
    models = ["--reasoner", "openai:qwen", "--critic", "openai:qwen", "--base-url", "http://127.0.0.1:9/v1"]
    result = cli("doctor", *models, "--json")
    assert result.code == 2
    (endpoint,) = result.rows[0]["endpoints"]
    assert "check openai_api.base_url" in endpoint["error"]


CHAIN = (
    "<think>",
    "\nanswer: 99\n",
    "Verdict: wrong\n",
    "</think>",
    "\n\n",
    "I count.\n",
    "Verdict: right\n",
    "answer: 7",
)


def test_text_model_that_thinks_is_told_apart_and_answers_a_problem_without_an_image(cli, tmp_path) -> None:
    save_chain(tmp_path / "tiny", FAMILIES["qwen3"], CHAIN)
    GenerationConfig(temperature=0.6, top_k=20, repetition_penalty=1.1, do_sample=True).save_pretrained(
        tmp_path / "tiny"
    )
    models = ["--reasoner", "./tiny", "--critic", "./tiny"]
    result = cli("doctor", *models)
    assert result.code == 0, result.out + result.err
    assert "and answered '7' in" in result.out
    for line in (
        "reads text only: no problem with an image suits it; context: 4096 tokens",
        "chat template: content as text; system messages as they are",
        "between <think> and </think>; the model may begin with one; switch: enable_thinking",
        "methods        all: a prefix is continued token by token",
        "top_k 20 (here 0), repetition_penalty 1.1 (here none)",
    ):
        assert line in result.out
    (facts,) = cli("doctor", *models, "--json").rows
    (card,) = facts["cards"]
    assert (card["thought"], card["switches"]) == (["<think>", "</think>"], ["enable_thinking"])
    assert card["defaults"] == {"temperature": 0.6, "top_k": 20, "repetition_penalty": 1.1}
    assert facts["models"]["answer"] == "7"
