"""A method as a model of lmms-eval, for tasks that generate text about images.

An entry point names it: ``lmms-eval --model critic_engine --model_args method=guided,reasoner=…,critic=… --tasks mme``.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from critic_engine.errors import ProblemError
from critic_engine.evaluation.harnesses.completions import ADVICE, read_until, without_until
from critic_engine.evaluation.harnesses.method_model import MethodModel
from critic_engine.images.loading import load_image
from critic_engine.types import Answer, Image, Problem

if TYPE_CHECKING:
    from lmms_eval.api.instance import GenerationResult, Instance
    from lmms_eval.api.model import lmms
    from lmms_eval.models.registry_v2 import ModelManifest

# lmms-eval gives it to tasks without one, for prompts with examples; a solution may hold blank lines.
_DEFAULT_UNTIL = "\n\n"


class SearchLmms:
    """Answers prompts about images by searches; the methods are those that lmms-eval calls."""

    task_dict: Mapping[str, Mapping[str, Mapping[int, Any]]]
    """The documents by task, split and number; lmms-eval fills it."""

    def __init__(self, **arguments: object) -> None:
        """Read the configuration, as ``MethodModel.of_program`` does; models are loaded at the first prompt."""
        self._model = MethodModel.of_program(arguments)
        self._name = str(arguments.get("method", "guided"))

    def generate_until(self, requests: Sequence[Instance]) -> list[GenerationResult]:
        """Return a completion for each prompt with its tokens: the chosen path, cut at ``until``; empty without answer.

        A prompt that stands there again, as with ``repeats``, is drawn again with another seed. Images stand before the
        text. The other arguments of generation have no effect, which is said once.

        Raises:
            ProblemError: a document holds something other than text and images, such as a video.
        """
        for request in requests:
            self._model.leave_out(without_until(request.args[1]), advice=ADVICE)
        problems = [self._problem(request) for request in requests]
        answers = self._model.answers(problems)
        return [self._result(request, answer) for request, answer in zip(requests, answers, strict=True)]

    def loglikelihood(self, requests: Sequence[Instance]) -> NoReturn:
        """Refuse: a search has no probability of a given text."""
        raise NotImplementedError("a search gives no log-likelihood; choose a task whose output_type is generate_until")

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> NoReturn:
        """Refuse: a search answers one question."""
        raise NotImplementedError("a search answers one question; choose a task whose output_type is generate_until")

    def clean(self) -> None:
        """Release the models."""
        self._model.close()

    def _problem(self, request: Instance) -> Problem:
        context, _, doc_to_visual, doc_id, task, split = request.args
        visuals = doc_to_visual(self.task_dict[task][split][doc_id])
        listed = visuals if isinstance(visuals, list | tuple) else [visuals]
        try:
            return Problem(context, tuple(self._image(visual) for visual in listed if visual is not None))
        except (ProblemError, ValueError) as error:
            raise ProblemError(f"document {doc_id} of {task}: {error}") from error

    def _image(self, visual: Any) -> Image:
        return load_image(visual, max_pixels=self._model.config.run.max_image_pixels)

    def _result(self, request: Instance, answer: Answer) -> GenerationResult:
        from lmms_eval.api.instance import GenerationResult, TokenCounts
        from lmms_eval.models.model_utils.usage_metrics import log_usage

        input_tokens, output_tokens = answer.prompt_tokens, answer.num_tokens
        log_usage(self._name, request.task_name, input_tokens=input_tokens, output_tokens=output_tokens)
        stop = [each for each in read_until(request.args[1]) if each != _DEFAULT_UNTIL]
        return GenerationResult(self._model.completion(answer, stop=stop), TokenCounts(input_tokens, output_tokens))


def manifest() -> ModelManifest:
    """Return the entry that lmms-eval takes into its list of models."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(model_id="critic_engine", simple_class_path=f"{__name__}.CriticEngineLmms")


@functools.cache
def _model_class() -> type[lmms]:
    """Return the model's class; it is made on first use, because its base is imported lazily."""
    from lmms_eval.api.model import lmms

    class CriticEngineLmms(SearchLmms, lmms):  # type: ignore[misc]
        def __init__(self, **arguments: object) -> None:
            lmms.__init__(self)
            SearchLmms.__init__(self, **arguments)

    return CriticEngineLmms


def __getattr__(name: str) -> type[lmms]:
    if name == "CriticEngineLmms":
        return _model_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
