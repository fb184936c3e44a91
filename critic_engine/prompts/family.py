"""A prompt family: a folder of templates, and ``family.yaml``, which defines the form of its texts.

========================  =====================  ======================================================================
file                      must hold              is
========================  =====================  ======================================================================
``solve.txt``             question               the reasoner's prompt for a solution, new or continued
``step.txt``              question, notes        the same, with notes of the critic on the steps so far
``rejected.txt``          step, critique         a note: a rejected next step and its critique
``concern.txt``           critique               the first note: the critique of the steps so far; may be absent
``rewrite.txt``           question, steps,       the reasoner's prompt for a solution that replaces another
                          critique
``critique.txt``          question, steps        the critic's prompt
``annotate.txt``          question, shared,      the annotator's prompt: two branches that diverge after ``shared``, one
                          first, second          of them wrong; may be absent
``inject.txt``            question, steps        asks for errors in a right solution, and their list; may be absent
``detect.txt``            question, steps        asks to list all errors of a solution; may be absent
``grade.txt``             question, steps,       asks for a grade of the found errors against the injected ones; may be
                          errors, found          absent
``judge.txt``             question, references,  asks whether an answer means the same as a reference; may be absent
                          answer, code
========================  =====================  ======================================================================

A family that ``extends`` a shipped one inherits the files and the lines of ``family.yaml`` that it lacks.

A template is a `string.Template`: ``$question`` is a placeholder and ``$$`` a dollar. Text that fills a placeholder is
never read as a template, so questions and steps may hold any characters. The line break that ends a file is no part of
the template. ``question`` is the question with its choices below it, one a line. The reasoner's prompts may hold
``$choosing``, the line of that name in ``family.yaml``; a line of it alone is left out where no options are listed.
"""

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field

from critic_engine.config.models import ModelConfig, is_shipped_name
from critic_engine.errors import ConfigError
from critic_engine.parsing.answers import choice_letter
from critic_engine.parsing.critique_form import CritiqueForm
from critic_engine.parsing.critiques import parse_critique
from critic_engine.types import Message, Problem, RejectedSibling

_SHIPPED = Path(__file__).parent
_PLACEHOLDERS = {
    "solve": {"question"},
    "step": {"question", "notes"},
    "rejected": {"step", "critique"},
    "concern": {"critique"},
    "rewrite": {"question", "steps", "critique"},
    "critique": {"question", "steps"},
    "annotate": {"question", "shared", "first", "second"},
    "inject": {"question", "steps"},
    "detect": {"question", "steps"},
    "grade": {"question", "steps", "errors", "found"},
    "judge": {"question", "references", "answer", "code"},
}
_MAY_HOLD = {name: {"choosing"} for name in ("solve", "step", "rewrite")}
_CHOOSING_LINE = "$choosing\n"
_OPTIONAL = {"concern", "annotate", "inject", "detect", "grade", "judge"}


class FamilyForm(BaseModel):
    """The contents of ``family.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    choice: str
    """Template of one choice: ``$letter`` (A, B, ...) and ``$choice``."""
    step: str
    """Template of one step of a quoted solution: ``$step`` and optionally ``$number`` (from 1)."""
    choosing: str = ""
    """What ``$choosing`` stands for where options are listed: that the answer is the letter of one of them."""
    critique: CritiqueForm
    """The form of its critiques."""
    critique_tokens: int = Field(256, ge=1, le=131072)
    """Most tokens of one critique if ``critic.max_tokens`` does not say otherwise."""
    reasons_first: bool = False
    """Whether its critics examine the steps in words before they give their verdict."""
    right_critique: str
    """Critique of a trajectory without a wrong step."""
    wrong_critique: str
    """Template of any other critique: ``$step``, the number of the first wrong step, and ``$reason``."""
    answer_words: list[str] = []
    """Further words for "answer", such as those of another language, that introduce the answer of a solution."""


@dataclass(frozen=True)
class PromptFamily:
    """Turns problems and trajectories into user messages, images first."""

    name: str
    """Name of a shipped family, or path of its folder."""
    form: FamilyForm
    templates: Mapping[str, string.Template] = field(repr=False)
    """Templates by file name, without the suffix."""

    @classmethod
    def load(cls, name_or_folder: str | Path) -> "PromptFamily":
        """Return the shipped family of that name, or the family in that folder.

        Raises:
            ConfigError: there is no such family, or one of its files is missing or wrong; the message names the file.
        """
        folder = _find(name_or_folder)
        fields = _load_fields(folder / "family.yaml")
        base = cls._load_base(fields.pop("extends", None), folder)
        templates = {} if base is None else dict(base.templates)
        for name, placeholders in _PLACEHOLDERS.items():
            path = folder / f"{name}.txt"
            if path.exists() or (base is None and name not in _OPTIONAL):
                templates[name] = string.Template(_read(path).removesuffix("\n"))
                allowed = placeholders | _MAY_HOLD.get(name, set())
                _check_placeholders(templates[name], str(path), required=placeholders, allowed=allowed)
        inherited = {} if base is None else base.form.model_dump()
        return cls(str(name_or_folder), _read_form({**inherited, **fields}, folder / "family.yaml"), templates)

    @classmethod
    def _load_base(cls, name: object, folder: Path) -> "PromptFamily | None":
        if name is None:
            return None
        known = [shipped for shipped in _shipped() if _SHIPPED / shipped != folder]
        if name not in known:
            raise ConfigError(f"prompts: {folder / 'family.yaml'}: extends is {name!r}; it may be {', '.join(known)}")
        return cls.load(str(name))

    @classmethod
    def for_model(cls, config: ModelConfig) -> "PromptFamily":
        """Return the family the configuration names; ``auto`` is ``pocket`` for the shipped models, else ``plain``."""
        if config.prompts != "auto":
            return cls.load(config.prompts)
        return cls.load("pocket" if is_shipped_name(config.model) else "plain")

    def has(self, name: str) -> bool:
        """Return whether the family has the optional template of that name."""
        return name in self.templates

    def written_critique(self, *, step: int | None, reason: str = "") -> str:
        """Return a critique in the form of the family.

        Args:
            step: The first wrong step, from 1; None when every step is right.
            reason: Why it is wrong, in one line.
        """
        if step is None:
            return self.form.right_critique
        template = string.Template(self.form.wrong_critique)
        written = template.substitute(step=step, reason=reason)
        read = parse_critique(written, self.form.critique, num_steps=step)
        if (read.verdict, read.first_wrong_step) == ("wrong", step):
            return written
        # The reason itself has the form of a verdict, such as "Verdict: right".
        return template.substitute(step=step, reason=f"It is said: {reason}")

    def question(self, problem: Problem) -> str:
        """Return the question with its choices below it, one a line."""
        template = string.Template(self.form.choice)
        choices = [
            template.substitute(letter=choice_letter(index), choice=choice)
            for index, choice in enumerate(problem.choices)
        ]
        return "\n".join((problem.question, *choices))

    def solve(self, problem: Problem) -> Message:
        """Return the prompt for a solution; to continue one, its steps go into the request's prefix."""
        return self._message("solve", problem)

    def step(self, problem: Problem, *, rejected: Sequence[RejectedSibling], concern: str | None) -> Message:
        """Return the prompt for a next step, with the critic's words as notes.

        Without notes, this is ``solve``. A family without ``concern.txt`` ignores ``concern``.

        Args:
            problem: The problem.
            rejected: Rejected next steps, oldest first.
            concern: The critic's words on the steps so far; None if there are none.
        """
        notes = [] if concern is None or not self.has("concern") else [self._fill("concern", critique=concern)]
        notes += [self._fill("rejected", step=each.step, critique=each.critique.words) for each in rejected]
        return self._message("step", problem, notes="\n".join(notes)) if notes else self.solve(problem)

    def rewrite(self, problem: Problem, *, steps: Sequence[str], critique: str) -> Message:
        """Return the prompt for a whole solution that replaces ``steps``, given the critic's words on them."""
        return self._message("rewrite", problem, steps=self._quoted(steps), critique=critique)

    def critique(self, problem: Problem, *, steps: Sequence[str]) -> Message:
        """Return the prompt for a critique of ``steps``, which may stop before an answer."""
        return self._message("critique", problem, steps=self._quoted(steps))

    def annotate(
        self, problem: Problem, *, shared: Sequence[str], first: Sequence[str], second: Sequence[str]
    ) -> Message:
        """Return the prompt that shows two branches; their steps are numbered after the shared ones."""
        num_shared = len(shared)
        return self._message(
            "annotate",
            problem,
            shared=self._quoted(shared),
            first=self._quoted(first, num_before=num_shared),
            second=self._quoted(second, num_before=num_shared),
        )

    def inject(self, problem: Problem, *, steps: Sequence[str]) -> Message:
        """Return the prompt that asks to inject errors into a right solution."""
        return self._message("inject", problem, steps=self._quoted(steps))

    def detect(self, problem: Problem, *, steps: Sequence[str]) -> Message:
        """Return the prompt that asks for all errors of a solution."""
        return self._message("detect", problem, steps=self._quoted(steps))

    def grade(self, problem: Problem, *, steps: Sequence[str], errors: str, found: str) -> Message:
        """Return the prompt that asks to grade ``found`` against ``errors``, both one a line."""
        return self._message("grade", problem, steps=self._quoted(steps), errors=errors, found=found)

    def judge(self, problem: Problem, *, references: Sequence[str], answer: str, code: str) -> Message:
        """Return the prompt that asks whether ``answer`` means the same as a reference, without the images.

        Args:
            problem: The problem.
            references: The accepted answers.
            answer: The answer to judge.
            code: A word that is not in any of these texts; it marks the answer and the verdict.
        """
        texts = {"references": "\n".join(references), "answer": answer, "code": code}
        return Message("user", self._fill("judge", question=self.question(problem), **texts))

    def _message(self, name: str, problem: Problem, **texts: str) -> Message:
        question = self.question(problem)
        # The question itself may list options that are not among its choices.
        has_options = bool(problem.choices) or ("(A)" in question and "(B)" in question)
        choosing = self.form.choosing if has_options else ""
        template = self.templates[name]
        if not choosing:
            template = string.Template(template.template.replace(_CHOOSING_LINE, ""))
        return Message("user", template.substitute(question=question, choosing=choosing, **texts), problem.images)

    def _quoted(self, steps: Sequence[str], *, num_before: int = 0) -> str:
        template = string.Template(self.form.step)
        numbered = enumerate(steps, num_before + 1)
        return "\n".join(template.substitute(number=number, step=step) for number, step in numbered)

    def _fill(self, name: str, **texts: str) -> str:
        return self.templates[name].substitute(texts)


def _find(name_or_folder: str | Path) -> Path:
    shipped = _shipped()
    if str(name_or_folder) in shipped:
        return _SHIPPED / str(name_or_folder)
    if Path(name_or_folder).is_dir():
        return Path(name_or_folder)
    raise ConfigError(f"prompts {name_or_folder} is neither a folder nor one of {', '.join(shipped)}", field="prompts")


def _shipped() -> list[str]:
    return sorted(path.parent.name for path in _SHIPPED.glob("*/family.yaml"))


def _load_fields(path: Path) -> dict[str, object]:
    try:
        fields = yaml.safe_load(_read(path))
    except yaml.YAMLError as error:
        raise ConfigError(f"prompts: {path} cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(fields, dict):
        raise ConfigError(f"prompts: {path}: the file must be a mapping of fields")
    return fields


def _read_form(fields: dict[str, object], path: Path) -> FamilyForm:
    try:
        form = FamilyForm.model_validate(fields)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"prompts: {path}: {field or 'the file'}: {first['msg']}", field=field) from error
    letter_and_choice = {"letter", "choice"}
    _check_placeholders(string.Template(form.choice), f"{path}: choice", required={"choice"}, allowed=letter_and_choice)
    _check_placeholders(string.Template(form.step), f"{path}: step", required={"step"}, allowed={"number", "step"})
    wrong, step_and_reason = string.Template(form.wrong_critique), {"step", "reason"}
    _check_placeholders(wrong, f"{path}: wrong_critique", required=step_and_reason, allowed=step_and_reason)
    return form


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"prompts: {path} cannot be read: {error}") from error


def _check_placeholders(template: string.Template, place: str, *, required: set[str], allowed: set[str]) -> None:
    if not template.is_valid():
        raise ConfigError(f"prompts: {place} has a '$' that begins no placeholder; write '$$' for a dollar")
    found = set(template.get_identifiers())
    if missing := sorted(required - found):
        raise ConfigError(f"prompts: {place} lacks the placeholder ${missing[0]}")
    if unknown := sorted(found - allowed):
        raise ConfigError(f"prompts: {place} has the unknown placeholder ${unknown[0]}; it may hold {sorted(allowed)}")
