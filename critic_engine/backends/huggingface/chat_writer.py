"""Writing requests by a model's chat template, whose form is found out once by writing trial chats."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from critic_engine.backends.huggingface.control_tokens import control_tokens, encoding_errors, refuse_control_tokens
from critic_engine.backends.huggingface.thought_markers import ThoughtMarkers, find_markers
from critic_engine.errors import GenerationError, ModelLoadError
from critic_engine.protocols import GenerationRequest
from critic_engine.types import ChatOptions, Message

ContentForm: TypeAlias = Literal["text", "parts", "text with image tokens"]

_SWITCHES = ("enable_thinking", "thinking")
_EFFORT = "reasoning_effort"
_TRIAL, _REPLY, _SYSTEM = "Question zq1", "Reply zq2", "System zq3"
# A list that was printed instead of gone through.
_PRINTED_PART = re.compile(r"""['"]type['"]: ['"](?:text|image)['"]""")
_EXPRESSION = re.compile(r"\{[{%](.*?)[%}]\}", re.DOTALL)
_STRING = re.compile(r"'[^']*'|\"[^\"]*\"")
_NUM_TAIL_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class TurnStart:
    """Where a sample begins: the thought that it continues, if any."""

    markers: ThoughtMarkers | None = None
    """The model's markers; None if it knows none."""
    is_open: bool = False
    """Whether the sample begins inside a thought."""
    is_fresh: bool = True
    """Whether no word and no closed thought stands before it in the turn, so that it may well begin with a thought."""

    @property
    def may_think(self) -> bool:
        """Whether a thought is to be reckoned with."""
        return self.is_open or (self.is_fresh and self.markers is not None)


@dataclass(frozen=True, slots=True)
class WrittenChat:
    """A request as text."""

    text: str
    """The messages, and the beginning of the model's turn as the template writes it."""
    prefix: str
    """The beginning of the turn that the request gives."""
    start: TurnStart


class ChatWriter:
    """Writes requests as the text that a model reads, in which one token stands for each image."""

    def __init__(self, processor: Any, tokenizer: Any, *, has_vision: bool) -> None:
        """Write by the chat template of ``processor``, or of ``tokenizer`` where that has none.

        Raises:
            ModelLoadError: the template takes none of the forms of a chat, or never begins the model's turn.
        """
        self._processor = processor
        self._tokenizer = tokenizer
        self._has_vision = has_vision
        # The processor's own template goes before that of its tokenizer.
        self._template = None if processor.chat_template else tokenizer.get_chat_template()
        self.source = str(self._template or processor.chat_template)
        """The source of the template."""
        self.markers = find_markers(tokenizer, self.source)
        """The markers of the model's thoughts; None if it knows none."""
        self._control_tokens = control_tokens(tokenizer)
        self._variables = _variables(self.source)
        self.content_form: ContentForm = self._find_content_form()
        """How the template takes a message's content."""
        self.merges_system = not self._takes_system()
        """Whether a system message stands at the beginning of the user's, since the template takes none."""
        self._check_turn()

    @property
    def switches(self) -> tuple[str, ...]:
        """The template's variables that turn thoughts on and off."""
        return tuple(name for name in _SWITCHES if name in self._variables)

    @property
    def has_effort(self) -> bool:
        """Whether the template knows ``reasoning_effort``."""
        return _EFFORT in self._variables

    def write(self, request: GenerationRequest) -> WrittenChat:
        """Return the whole chat.

        Raises:
            GenerationError: it has images for a model that reads text only, its text holds a control token, the chat
                cannot be rendered, or its options are none that the template knows.
        """
        if not self._has_vision and any(message.images for message in request.messages):
            raise GenerationError("the request has images, but the model reads text only; choose one that sees")
        refuse_control_tokens(self._control_tokens, [message.text for message in request.messages])
        own = self.markers.tokens if self.markers else ()
        refuse_control_tokens([token for token in self._control_tokens if token not in own], [request.prefix])
        # The prefix goes behind the generation prompt, where the model itself would have written it. Rendering it as a
        # message to be continued loses its last newline in every template that trims, and what a template puts before
        # the assistant's words (such as an opened thought) may differ between the two.
        variables = self._template_variables(request.chat)
        with encoding_errors():
            text = self.render(request.messages, variables)
        text += self._thought_switch(request.chat, _behind_messages(text, request.messages))
        return WrittenChat(text, request.prefix, self._start(_behind_messages(text, request.messages), request.prefix))

    def render(
        self,
        messages: Sequence[Message],
        variables: Mapping[str, object] = MappingProxyType({}),
        *,
        begins_turn: bool = True,
    ) -> str:
        """Return what the template writes for ``messages``, with the beginning of the model's turn unless told not to.

        Raises whatever the template raises.
        """
        if self.merges_system:
            messages = _without_system(messages)
        chat = [{"role": message.role, "content": self._content(message)} for message in messages]
        text: str = self._processor.apply_chat_template(
            chat,
            chat_template=self._template,
            tokenize=False,
            add_generation_prompt=begins_turn,
            **variables,
        )
        return text

    def is_begun(self, text: str) -> bool:
        """Return whether a text holds the tokens that begin one, so that the tokenizer is not to add them."""
        bos = self._tokenizer.bos_token
        # Processors add them to what a template has not begun; a text model reads what its template wrote.
        return not self._has_vision or bool(bos and text.startswith(bos))

    def _content(self, message: Message) -> object:
        match self.content_form:
            case "text":
                return message.text
            case "text with image tokens":
                return f"{self._processor.image_token}\n" * len(message.images) + message.text
            case "parts":
                return [*({"type": "image"} for _ in message.images), {"type": "text", "text": message.text}]

    def _template_variables(self, chat: ChatOptions) -> dict[str, object]:
        variables = dict(chat.template_kwargs)
        if chat.thinking != "auto":
            variables |= dict.fromkeys(self.switches, chat.thinking == "on")
        if chat.reasoning_effort is not None:
            if not self.has_effort:
                raise GenerationError("the model's chat template knows no reasoning_effort; leave it out")
            variables[_EFFORT] = chat.reasoning_effort
        return variables

    def _thought_switch(self, chat: ChatOptions, turn: str) -> str:
        """Return what opens or closes a thought at the end of the prompt, where the template alone did not.

        ``turn`` is the model's turn as the template begins it.
        """
        markers = self.markers
        if chat.thinking == "auto" or markers is None:
            if chat.thinking == "on" and not self.switches:
                raise GenerationError("thinking is on, and the model's chat template knows no thoughts; set it to auto")
            return ""
        is_open, is_closed = markers.is_open(turn), markers.closing in turn
        if chat.thinking == "on":
            is_left_to_model = is_open or bool(self.switches) or markers.always_thinks
            return "" if is_left_to_model else markers.opening + ("\n" if markers.opening.startswith("<") else "")
        if is_open and not markers.always_thinks:
            return f"\n{markers.closing}\n\n" if turn.endswith("\n") else markers.closing
        is_expected = markers.always_thinks or (markers.is_known_to_template and not self.switches)
        return markers.empty_thought if is_expected and not is_closed else ""

    def _start(self, turn: str, prefix: str) -> TurnStart:
        if self.markers is None:
            return TurnStart()
        begun = turn + prefix
        is_fresh = not prefix.strip() and self.markers.closing not in begun
        return TurnStart(self.markers, is_open=self.markers.is_open(begun), is_fresh=is_fresh)

    def _find_content_form(self) -> ContentForm:
        """Return the first form in which the template writes a question, with an image if the model sees."""
        forms: list[ContentForm] = ["parts"] if self._has_vision else ["text", "parts"]
        if self._has_vision and getattr(self._processor, "image_token", None):
            forms.append("text with image tokens")
        reasons = []
        for form in forms:
            self.content_form = form
            try:
                text = self._trial_text()
            except Exception as error:
                reasons.append(f"it refuses {form} ({_one_line(error)})")
                continue
            if _TRIAL in text and not _PRINTED_PART.search(text):
                return form
            reasons.append(f"it does not write the words of {form}")
        raise self._unfit("; ".join(reasons))

    def _trial_text(self) -> str:
        from critic_engine.types import Image

        self.merges_system = False
        images = (Image(b"", "image/png", 1, 1),) if self._has_vision else ()
        text = self.render([Message("user", _TRIAL, images)])
        if images and text == self.render([Message("user", _TRIAL)]):
            raise ValueError("it writes nothing for an image")
        return text

    def _takes_system(self) -> bool:
        try:
            return _SYSTEM in self.render([Message("system", _SYSTEM), Message("user", _TRIAL)])
        except Exception:
            return False

    def _check_turn(self) -> None:
        """Refuse a template that leaves out the beginning of the model's turn, which it writes before a reply."""
        question = Message("user", _TRIAL)
        begun = self.render([question])
        if begun != self.render([question], begins_turn=False):
            return
        try:
            whole = self.render([question, Message("assistant", _REPLY)], begins_turn=False)
        except Exception:
            return  # A template for questions alone.
        header, _, _ = whole.removeprefix(begun).partition(_REPLY)
        if self.markers is not None:
            for marker in (self.markers.opening, self.markers.closing):
                header = header.replace(marker, "")
        if whole.startswith(begun) and _REPLY in whole and header.strip():
            raise self._unfit(
                f"it ignores add_generation_prompt, and would leave out {header.strip()!r} before the model's words"
            )

    def _unfit(self, reason: str) -> ModelLoadError:
        name = getattr(self._tokenizer, "name_or_path", "") or "this model"
        return ModelLoadError(
            f"the chat template of {name} cannot be used: {reason}; correct the template, or choose another model"
        )


def _behind_messages(text: str, messages: Sequence[Message]) -> str:
    """Return the end of a chat behind the words of its last message, which may themselves speak of markers."""
    words = messages[-1].text.strip() if messages else ""
    place = text.rfind(words) if words else -1
    return text[place + len(words) :] if place >= 0 else text[-_NUM_TAIL_CHARACTERS:]


def _without_system(messages: Sequence[Message]) -> list[Message]:
    """Return the messages with the system's words at the beginning of the first other message."""
    system = [message.text for message in messages if message.role == "system"]
    rest = [message for message in messages if message.role != "system"]
    if not system or not rest:
        return list(messages)
    first = rest[0]
    return [Message(first.role, "\n\n".join([*system, first.text]), first.images), *rest[1:]]


def _variables(source: str) -> frozenset[str]:
    """Return the names of our options that stand in a template's expressions, outside its strings."""
    expressions = " ".join(_STRING.sub("", found[1]) for found in _EXPRESSION.finditer(source))
    return frozenset(name for name in (*_SWITCHES, _EFFORT) if re.search(rf"(?<![\w.]){name}\b", expressions))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
