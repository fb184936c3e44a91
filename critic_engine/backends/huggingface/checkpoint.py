"""Loading a Hugging Face checkpoint of a chat model from a folder or hub id, or raising one clear error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from critic_engine.errors import ModelLoadError

_PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".ckpt"}
_MAX_REASON_CHARACTERS = 300
_POCKET_WEIGHTS = Path(__file__).parents[2] / "pocket" / "weights"


@dataclass(frozen=True, slots=True)
class CheckpointOptions:
    """The checkpoint to load, its device and its permissions."""

    model: str
    """A local folder or a hub id."""
    device: str = "auto"
    """``auto`` takes CUDA, then MPS, then the CPU; or a torch device such as ``cuda:1``."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """``auto`` is float32 on a CPU, else the checkpoint's own type."""
    is_remote_code_trusted: bool = False
    """Whether Python code that comes with the model may run."""
    is_pickle_allowed: bool = False
    """Whether weights that are not safetensors may be loaded."""


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A loaded model with its processor and tokenizer."""

    model: Any
    """A ``transformers`` model with ``generate``, in evaluation mode, on its device."""
    processor: Any
    """Renders chats and encodes text and images; the tokenizer itself when the model takes no images."""
    tokenizer: Any
    end_token_ids: frozenset[int]
    """A sample ends with any of these."""
    pad_token_id: int
    max_context_tokens: int | None
    """Tokens of the model's context; None when the configuration does not say."""

    @property
    def has_vision(self) -> bool:
        """Whether the model takes images."""
        return hasattr(self.processor, "image_processor")


def pocket_folder(role: Literal["reasoner", "critic"], model: str = "pocket") -> Path:
    """Return the folder of the shipped checkpoint of ``role``; ``model`` is one of ``SHIPPED_MODELS``.

    Raises:
        ModelLoadError: it is not there.
    """
    folder = _POCKET_WEIGHTS / model.partition(":")[2] / role
    if not (folder / "config.json").is_file():
        raise ModelLoadError(f"the {model} {role} is missing from {folder}; name another model")
    return folder


def load_checkpoint(options: CheckpointOptions) -> Checkpoint:
    """Return the loaded checkpoint; this imports torch and transformers and may take long.

    Raises:
        ModelLoadError: no such folder, no model in it, weights that may not be unpickled, weights that do not fit the
            configuration, code that may not run, no chat template, or any other failure to load.
    """
    with opening(options) as source:
        from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

        processor, config, takes_images = open_processor(source)
        auto_class = AutoModelForImageTextToText if takes_images else AutoModelForCausalLM
        checkpoint = _checkpoint_of(open_model(options, source, auto_class=auto_class, config=config), processor)
    require_chat_template(options.model, checkpoint.processor, checkpoint.tokenizer)
    return checkpoint


def check_folder(options: CheckpointOptions) -> None:
    """Refuse a path that is plainly no model folder, without loading anything; a hub id passes.

    Raises:
        ModelLoadError: no such folder, no model in it, or weights that may not be unpickled.
    """
    folder = Path(options.model).expanduser()
    if not folder.is_dir():
        if folder.exists():
            raise ModelLoadError(f"model {options.model} is a file; give the folder of the checkpoint")
        if options.model.startswith((".", "/", "~")) or options.model.count("/") > 1 or "\\" in options.model:
            raise ModelLoadError(f"model {options.model}: there is no such folder")
        return
    if not (folder / "config.json").is_file():
        raise ModelLoadError(f"model {options.model} has no config.json; it is not a Hugging Face model folder")
    suffixes = {path.suffix for path in folder.iterdir()}
    if ".safetensors" in suffixes:
        return
    if not suffixes & _PICKLE_SUFFIXES:
        raise ModelLoadError(f"model {options.model} has no weights; it needs a .safetensors file")
    if not options.is_pickle_allowed:
        raise ModelLoadError(
            f"model {options.model} has pickled weights only, which can run code when they are loaded; "
            "convert them to safetensors, or set is_pickle_allowed to true if you trust them"
        )


@contextlib.contextmanager
def opening(options: CheckpointOptions) -> Iterator[dict[str, Any]]:
    """Give the arguments for each ``from_pretrained`` of the checkpoint; turn any failure inside into one error.

    Raises:
        ModelLoadError: the folder is plainly not one, or the code inside fails.
    """
    check_folder(options)
    folder = Path(options.model).expanduser()
    source = {
        "pretrained_model_name_or_path": str(folder) if folder.is_dir() else options.model,
        "trust_remote_code": options.is_remote_code_trusted,
    }
    try:
        with _quiet_progress():
            yield source
    except ModelLoadError:
        raise
    except Exception as error:
        raise _load_error(options.model, error) from error


def open_model(options: CheckpointOptions, source: Mapping[str, Any], *, auto_class: Any, config: Any) -> Any:
    """Return the model of an ``AutoModel…`` class, in evaluation mode, on its device.

    Raises:
        ModelLoadError: its files do not set all weights that ``config`` names.
    """
    import torch

    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(best if options.device == "auto" else options.device)
    dtype = "float32" if options.dtype == "auto" and device.type == "cpu" else options.dtype
    model, report = auto_class.from_pretrained(
        **source,
        config=config,
        dtype=dtype,
        use_safetensors=None if options.is_pickle_allowed else True,
        output_loading_info=True,
    )
    unset = sorted([*report["missing_keys"], *(key[0] for key in report["mismatched_keys"])])
    if unset:
        raise ModelLoadError(
            f"model {options.model} lacks {len(unset)} weights that its configuration names, such as {unset[0]}; "
            "the checkpoint is incomplete or of another architecture"
        )
    return model.to(device).eval()


def open_processor(source: Mapping[str, Any]) -> tuple[Any, Any, bool]:
    """Return a checkpoint's processor, or its tokenizer for a text model; its configuration; and whether it has vision.

    ``source`` comes from ``opening``.
    """
    from transformers import AutoConfig, AutoProcessor, AutoTokenizer
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

    config = AutoConfig.from_pretrained(**source)
    takes_images = type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING or (
        "AutoModelForImageTextToText" in (getattr(config, "auto_map", None) or {})
    )
    return (AutoProcessor if takes_images else AutoTokenizer).from_pretrained(**source), config, takes_images


def require_chat_template(model: str, processor: Any, tokenizer: Any) -> None:
    """Raise ``ModelLoadError`` when neither the processor nor the tokenizer of ``model`` has a chat template."""
    if not (processor.chat_template or tokenizer.chat_template):
        raise ModelLoadError(f"model {model} has no chat template; choose an instruction-tuned model")


def _checkpoint_of(model: Any, processor: Any) -> Checkpoint:
    """Return a checkpoint around a loaded model and its processor or tokenizer.

    The model's own sampling defaults are dropped, so that a request alone decides how it is sampled.
    """
    from transformers import GenerationConfig

    tokenizer = getattr(processor, "tokenizer", processor)
    text_config = model.config.get_text_config()
    ends = end_token_ids(model.generation_config.eos_token_id, text_config.eos_token_id, tokenizer.eos_token_id)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(ends, default=0)
    model.generation_config = GenerationConfig(pad_token_id=pad, bos_token_id=tokenizer.bos_token_id)
    return Checkpoint(
        model=model,
        processor=processor,
        tokenizer=tokenizer,
        end_token_ids=ends,
        pad_token_id=pad,
        max_context_tokens=getattr(text_config, "max_position_embeddings", None),
    )


def end_token_ids(*sources: int | list[int] | None) -> frozenset[int]:
    """Return the tokens that end a turn, from the places where a checkpoint names one, several or none."""
    lists = [source if isinstance(source, list) else [source] for source in sources]
    return frozenset(token for tokens in lists for token in tokens if token is not None)


@contextlib.contextmanager
def _quiet_progress() -> Iterator[None]:
    """Keep transformers' progress bars off standard error while a model loads."""
    from transformers.utils import logging

    was_enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            logging.enable_progress_bar()


def _load_error(model: str, error: Exception) -> ModelLoadError:
    reason = " ".join(str(error).split()) or type(error).__name__
    if "trust_remote_code" in reason:
        return ModelLoadError(
            f"model {model} needs Python code of its own; set is_remote_code_trusted to true if you trust that code"
        )
    if "torchvision" in reason.lower():
        return ModelLoadError(
            f"model {model} prepares its images with the package torchvision, which is not installed; "
            "pip install 'critic-engine[vision]'"
        )
    if len(reason) > _MAX_REASON_CHARACTERS:
        reason = reason[:_MAX_REASON_CHARACTERS] + "…"
    return ModelLoadError(f"model {model} cannot be loaded: {reason}")
