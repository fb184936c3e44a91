"""``doctor`` says what there is, and fails when the models do not load."""

import platform

import pytest


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
