"""The form of a prompt family's critiques: the labels and words that a critic is asked to write."""

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator


class CritiqueForm(BaseModel):
    """The form of one prompt family's critiques; case, markup and punctuation around the words do not matter."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    verdict_label: str
    """Text before the verdict word; empty if a critique begins with the word itself."""
    right: str = Field(min_length=1)
    """Verdict word of a trajectory without a wrong step."""
    wrong: str = Field(min_length=1)
    """Verdict word of any other trajectory."""
    right_synonyms: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Words that are read as ``right``, in any language."""
    wrong_synonyms: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Words that are read as ``wrong``, in any language."""
    step_label: str = Field(min_length=1)
    """Text before the number of the first wrong step."""
    score_label: str = ""
    """Text before a score, ``0.7``, ``70%`` or ``7/10``; empty if critics write none."""

    @model_validator(mode="after")
    def _check_words(self) -> "CritiqueForm":
        words = [word.strip().casefold() for word in (*self.right_words, *self.wrong_words)]
        if "" in words:
            raise ValueError("a verdict word is empty; write one, or leave it out")
        if self.right.casefold() == self.wrong.casefold():
            raise ValueError(f"right and wrong are both {self.right!r}; the verdict words must differ")
        if repeated := next((word for word in words if words.count(word) > 1), None):
            raise ValueError(f"the verdict word {repeated!r} is there twice; the verdict words must differ")
        return self

    @property
    def right_words(self) -> tuple[str, ...]:
        """The words for the verdict right."""
        return (self.right, *self.right_synonyms)

    @property
    def wrong_words(self) -> tuple[str, ...]:
        """The words for the verdict wrong."""
        return (self.wrong, *self.wrong_synonyms)


def literally(words: str) -> str:
    """Return a pattern for ``words``, without a colon at their end, separated by 1 to 4 white space characters."""
    return r"\s{1,4}".join(re.escape(word) for word in words.rstrip(" :").split())
