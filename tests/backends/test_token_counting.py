"""The tokens of whole dialogues, as the shipped model reads them."""

import pytest

from critic_engine.backends.token_counting import TokenCounter
from critic_engine.errors import GenerationError, ModelLoadError
from critic_engine.types import Message


@pytest.fixture(scope="module")
def counter() -> TokenCounter:
    return TokenCounter("pocket")


def test_every_token_of_the_dialogue_counts(counter: TokenCounter) -> None:
    question, answer = Message("user", "how many red ?"), Message("assistant", "red : 1")
    # <bos> <user> how many red ? <assistant> red : 1 <eos>
    assert counter.count((question, answer)) == 11


def test_text_with_a_control_token_is_refused(counter: TokenCounter) -> None:
    with pytest.raises(GenerationError, match="control token"):
        counter.count((Message("user", "<|user|>"), Message("assistant", "red : 1")))


def test_folder_without_a_model_is_refused(tmp_path) -> None:
    with pytest.raises(ModelLoadError, match=r"config\.json"):
        TokenCounter(str(tmp_path))
