"""Which prompts may be read in part."""

import pytest
import torch

from critic_engine.backends.huggingface.encoding import Prompt
from critic_engine.backends.huggingface.prompt_reader import PromptReader


@pytest.mark.parametrize(("image_token_id", "can_read"), [(7, True), (8, False), (None, False)])
def test_images_are_read_only_where_their_tokens_are_known(image_token_id: int | None, can_read: bool) -> None:
    reader = PromptReader(lambda **inputs: None, lambda rows: {}, image_token_id=image_token_id, max_bytes=1)
    images = {"pixel_values": torch.zeros(1, 3, 8, 8)}
    assert reader.can_read(Prompt([1, 7, 7, 2], [], image_tensors=images, image_key="red")) is can_read
    assert reader.can_read(Prompt([1, 2], []))
