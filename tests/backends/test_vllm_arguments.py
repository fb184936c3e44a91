"""What the configuration says becomes arguments of vLLM's engine, or is refused by name."""

import pytest

from critic_engine.backends.vllm.arguments import check_engine_args, make_engine_args
from critic_engine.backends.vllm.generator import VllmGenerator
from critic_engine.config.models import ModelConfig
from critic_engine.errors import ConfigError

SOME_GPU_SHARE = {"num_gpus": 0.5}


def config(*, actor: dict[str, object] | None = None, **engine_args: object) -> ModelConfig:
    return ModelConfig.model_validate(
        {"backend": "vllm", "vllm": {"engine_args": engine_args}, "actor": actor or {}, "model": "some/model"}
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("model", "is decided by critic.model; set that instead"),
        ("dtype", "is decided by critic.dtype; set that instead"),
        ("trust_remote_code", "is decided by critic.is_remote_code_trusted; set that instead"),
        ("load_format", "is decided by critic.is_pickle_allowed; set that instead"),
        ("runner", "is decided by what the engine is used for; leave it out"),
        ("logprobs_mode", "is decided by what the engine is used for; leave it out"),
    ],
)
def test_argument_that_another_field_decides_is_refused(name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        VllmGenerator(config(**{name: "auto"}), section="critic")
    assert caught.value.field == f"critic.vllm.engine_args.{name}"


@pytest.mark.vllm
@pytest.mark.filterwarnings("ignore")
class TestWithVllm:
    def test_unknown_argument_is_refused_with_those_that_are_close(self) -> None:
        with pytest.raises(ConfigError, match=r"did you mean .*tensor_parallel_size") as caught:
            check_engine_args(config(tensor_paralel_size=2), "reasoner")
        assert caught.value.field == "reasoner.vllm.engine_args.tensor_paralel_size"

    def test_known_arguments_pass(self) -> None:
        check_engine_args(config(tensor_parallel_size=2, max_model_len=8192), "reasoner")

    def test_what_the_user_says_goes_before_the_defaults(self) -> None:
        made = make_engine_args(config(block_size=64, max_logprobs=50), model="some/model", runner="generate")
        assert (made.block_size, made.max_logprobs) == (64, 50)

    def test_prompts_are_read_whole_unless_a_step_is_limited(self) -> None:
        def is_chunked(**engine_args: object) -> object:
            made = make_engine_args(config(**engine_args), model="some/model", runner="generate")
            return made.enable_chunked_prefill

        assert is_chunked() is False
        assert is_chunked(max_num_batched_tokens=64) is None
        assert is_chunked(enable_chunked_prefill=True) is True

    def test_share_of_a_gpu_is_a_share_of_its_memory(self) -> None:
        def share(**engine_args: object) -> object:
            made = make_engine_args(config(actor=SOME_GPU_SHARE, **engine_args), model="some/model", runner="generate")
            return made.gpu_memory_utilization

        assert share() == pytest.approx(0.45)
        assert share(gpu_memory_utilization=0.7) == 0.7

    def test_pickles_are_loaded_only_when_allowed(self) -> None:
        def load_format(is_pickle_allowed: bool) -> object:
            allowed = config().model_copy(update={"is_pickle_allowed": is_pickle_allowed})
            return make_engine_args(allowed, model="some/model", runner="generate").load_format

        assert (load_format(False), load_format(True)) == ("safetensors", "auto")
