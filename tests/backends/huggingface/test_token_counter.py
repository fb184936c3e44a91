"""The tokens of whole dialogues, as the shipped model reads them."""

import pytest

from critic_engine.backends.huggingface.token_counter import TokenCounter
from critic_engine.errors import GenerationError, ModelLoadError
from critic_engine.types import Message


@pytest.fixture(scope="module")
def counter() -> TokenCounter:
    return TokenCounter("pocket")


def test_every_token_of_the_dialogue_counts(counter: TokenCounter) -> None:
    question, answer = Message("user", "how many red ?"), Message("assistant", "red : 1")
    # <bos> <user> how many red ? <assistant> red : 1 <eos>
    assert counter.count((question, answer)) == 11


def test_texts_without_a_template_count_one_by_one(counter: TokenCounter) -> None:
    # <bos> how many red ? red : 1 and a line break
    assert counter.count_plain(("how many red ?", "red : 1", "\n")) == 9


def test_text_with_a_control_token_is_refused(counter: TokenCounter) -> None:
    with pytest.raises(GenerationError, match="control token"):
        counter.count((Message("user", "<|user|>"), Message("assistant", "red : 1")))
    with pytest.raises(GenerationError, match="control token"):
        counter.count_plain(("red : 1", "<|user|>"))


def test_folder_without_a_model_is_refused(tmp_path) -> None:
    with pytest.raises(ModelLoadError, match=r"config\.json"):
        TokenCounter(str(tmp_path))
