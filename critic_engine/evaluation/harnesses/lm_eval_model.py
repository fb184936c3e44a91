"""A method as a model of lm-eval, for tasks that generate text.

lm-eval finds no model of another package by itself, so this module runs its command line with the model added::

    python -m critic_engine.evaluation.harnesses.lm_eval_model \
        --model critic_engine --model_args method=guided,reasoner=…,critic=… --tasks gsm8k

In a program, ``lm_eval.simple_evaluate(model=CriticEngineLM(method="guided"), …)`` takes the class of this module.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn, Protocol

from critic_engine.errors import CriticEngineError
from critic_engine.evaluation.harnesses.completions import ADVICE, question_of, read_until, without_until
from critic_engine.evaluation.harnesses.method_model import MethodModel
from critic_engine.types import Answer, Problem

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance
    from lm_eval.api.model import LM


class ResponseCache(Protocol):
    """The cache that lm-eval gives a model (``--use_cache``)."""

    def add_partial(self, attr: str, req: object, res: str) -> None:
        """Keep the response ``res`` to a request of the method ``attr``."""
        ...


class SearchLm:
    """Answers prompts by searches; the methods are those that lm-eval calls."""

    cache_hook: ResponseCache

    def __init__(self, **arguments: object) -> None:
        """Read the configuration, as ``MethodModel.of_program`` does; models are loaded at the first prompt."""
        self._model = MethodModel.of_program(arguments)

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:
        """Return a completion for each prompt: the chosen path, cut at ``until``; empty where no answer was found.

        A prompt that stands there again, as with ``repeats``, is drawn again with another seed. The other arguments of
        generation have no effect, which is said once.
        """
        for request in requests:
            self._model.leave_out(without_until(request.args[1]), advice=ADVICE)

        def completion(position: int, answer: Answer) -> str:
            return self._model.completion(answer, stop=read_until(requests[position].args[1]))

        def keep(position: int, answer: Answer) -> None:
            if answer.answer is not None:
                self.cache_hook.add_partial("generate_until", requests[position].args, completion(position, answer))

        problems = [Problem(request.args[0]) for request in requests]
        answers = self._model.answers(problems, on_answer=keep, is_quiet=disable_tqdm)
        return [completion(position, answer) for position, answer in enumerate(answers)]

    def loglikelihood(self, requests: Sequence[Instance]) -> NoReturn:
        """Refuse: a search has no probability of a given text."""
        raise NotImplementedError(
            "a search gives no log-likelihood; choose a task whose output_type is generate_until, such as the "
            "generative variant of a multiple-choice task"
        )

    def loglikelihood_rolling(self, requests: Sequence[Instance]) -> NoReturn:
        """Refuse: a search has no probability of a given text."""
        self.loglikelihood(requests)

    @property
    def tokenizer_name(self) -> str:
        """Name of the form in which chats become prompts."""
        return "critic_engine"

    def apply_chat_template(self, chat_history: Sequence[Mapping[str, str]], add_generation_prompt: bool = True) -> str:
        """Return the turns of a chat as one question.

        Raises:
            ValueError: the last turn is not the user's: the task begins the answer itself, which a search cannot do.
        """
        return question_of([(turn["role"], turn["content"]) for turn in chat_history])

    def get_model_info(self) -> dict[str, object]:
        """Return the cost of all searches so far, which lm-eval writes into ``config`` of its results."""
        return {"critic_engine": self._model.figures()}

    def close(self) -> None:
        """Release the models."""
        self._model.close()


@functools.cache
def _model_class() -> type[LM]:
    """Return the registered class; it is made on first use, because its base is imported lazily."""
    import lm_eval.models  # noqa: F401  # Its own models, which it registers only while none is.
    from lm_eval.api.model import LM
    from lm_eval.api.registry import register_model

    class CriticEngineLM(SearchLm, LM):  # type: ignore[misc]
        def __init__(self, **arguments: object) -> None:
            LM.__init__(self)
            SearchLm.__init__(self, **arguments)

    register_model("critic_engine")(CriticEngineLM)
    return CriticEngineLM


def __getattr__(name: str) -> type[LM]:
    if name == "CriticEngineLM":
        return _model_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main() -> None:
    """Run lm-eval's command line with the model ``critic_engine`` registered."""
    if importlib.util.find_spec("lm_eval") is None:
        sys.exit("error: lm_eval is not installed; run: pip install 'critic-engine[lm-eval]'")
    from lm_eval.__main__ import cli_evaluate

    _model_class()
    try:
        cli_evaluate()
    except CriticEngineError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
