import re

import pytest

from tests.growth import assert_linear


def test_linear_work_passes_and_quadratic_work_does_not() -> None:
    text = "a" * 20_000
    assert_linear(lambda text: re.search("ab", text), text)
    with pytest.raises(AssertionError, match="ten times the text took"):
        assert_linear(lambda text: re.search("a*b", text), text)
