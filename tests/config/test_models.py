import pytest
from pydantic import ValidationError

from critic_engine.config.models import EndpointConfig, ModelConfig


@pytest.mark.parametrize("off", [None, "off", False])
def test_session_header_can_be_turned_off(off: object) -> None:
    assert EndpointConfig().session_header == "x-session-id"
    assert EndpointConfig.model_validate({"session_header": off}).session_header is None


@pytest.mark.parametrize(
    "options",
    [
        {"session_header": "Authorization"},
        {"session_header": "content-length"},
        {"session_header": "two words"},
        {"session_header": "x\r\ny"},
        {"session_header": ""},
        {"session_field": "model"},
        {"session_field": "a-b"},
    ],
)
def test_session_takes_no_header_or_field_of_the_client(options: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="session_"):
        EndpointConfig.model_validate(options)


def test_a_field_is_set_by_session_field_or_extra_body_and_not_by_both() -> None:
    section = {"model": "openai:x", "openai_api": {"session_field": "user"}}
    with pytest.raises(ValidationError, match="extra_body holds user"):
        ModelConfig.model_validate({**section, "extra_body": {"user": "me"}})
    assert ModelConfig.model_validate({**section, "extra_body": {"other": 1}}).extra_body == {"other": 1}
