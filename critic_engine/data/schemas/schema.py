"""The schema of a problems file: the columns that hold the parts of a problem, and the form of its answers."""

import string
from dataclasses import dataclass
from typing import Literal, TypeAlias

AnswerForm: TypeAlias = Literal[
    "plain", "named", "unsure", "text", "letter", "index", "label", "marked", "boxed", "list"
]
"""The form of a reference answer. ``text``: the answer itself, or a list of accepted ones. ``letter``: a choice's.
``index``: the number of a choice, counted from 0. ``label``: a choice's label in the column of choices. ``marked``: a
worked solution that ends in ``#### ANSWER``. ``boxed``: one whose last box holds the answer. ``list``: a Python list of
accepted answers as text, or one text. ``named``: a text, or one of the two worked solutions. ``plain``: the same, but a
whole number that may be a choice's text as well as its place is refused. ``unsure``: so is a text of such a number."""

ColumnGroups: TypeAlias = tuple[tuple[str, ...], ...]
"""Groups of columns, of which the first that a row fills is read; a group of several holds one entry a column."""

LETTERS = tuple(string.ascii_uppercase)
"""Columns that hold one choice each, as ``ColumnGroups`` name them."""
NUMBERED_IMAGES = tuple(f"image_{number}" for number in range(1, 17))
"""Columns that hold one image each."""
PLAIN = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The columns that hold the parts of a problem; those that a file does not have are passed over."""

    name: str
    marks: tuple[str, ...] = ()
    """The columns that together tell files of this schema from others; empty if it is never recognised."""
    marking_text: tuple[str, str] | None = None
    """A column and a pattern that is in each of its first cells; also needed for the schema to be recognised."""
    is_counting: bool = False
    """Whether it is recognised only in a file whose answers surely count the choices from 0."""
    unmarked_by: tuple[str, ...] = ()
    """Columns that none of its files has."""
    id: tuple[str, ...] = ("id",)
    """The first that the row fills holds its id."""
    question: tuple[str, ...] = ("question",)
    """The first that the row fills holds the question."""
    open_question: str | None = None
    """Column whose text is the whole question of a row without choices, where the row fills it."""
    context: str | None = None
    """Column whose text belongs to the question."""
    posing: str = "Context: {context}\n{question}"
    """The question of a row that fills ``context``."""
    images: ColumnGroups = (("image",),)
    image_path: str | None = None
    """Path of an image below the folder of images, put together from columns, where a row's image is a name alone."""
    choices: ColumnGroups = ()
    has_inline_choices: bool = False
    """Whether the choices stand in the text of the question."""
    answer: tuple[str, ...] = ("answer",)
    """The first that the row fills holds the reference answer."""
    choice_answer: AnswerForm = "letter"
    """Its form in a row with choices."""
    open_answer: AnswerForm = "text"
    """Its form in a row without."""

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """The columns of each part of a problem."""
        context = () if self.context is None else (self.context,)
        open_question = () if self.open_question is None else (self.open_question,)
        return {
            "id": self.id,
            "question": (*self.question, *open_question),
            "context": context,
            "images": tuple(column for group in self.images for column in group),
            "choices": tuple(column for group in self.choices for column in group),
            "answer": self.answer,
        }

    def lacks(self, columns: tuple[str, ...], *, is_answered: bool = True) -> tuple[str, ...]:
        """Return the columns of which a file needs one to be read by this schema, and has none; empty if it can be."""
        choices = () if self.has_inline_choices else self.parts["choices"]
        needed = [self.question, choices, self.answer if is_answered else ()]
        return next((names for names in needed if names and not set(names) & set(columns)), ())
