"""The options that commands share, as changes to a config."""

from critic_engine.cli.options import Choice


def test_placement_reaches_every_model_so_that_roles_still_share_one() -> None:
    config = Choice("best_of_n", (), None, None, None, device="cpu", dtype="bfloat16").load_config()
    for section in (config.reasoner, config.critic, config.reward_model):
        assert (section.device, section.dtype) == ("cpu", "bfloat16")


def test_what_is_set_comes_last() -> None:
    settings = ("run.seed=3", "critic.device=cuda:1")
    config = Choice("best_of_n", settings, None, None, seed=7, device="cpu", dtype=None).load_config()
    assert (config.run.seed, config.reasoner.device, config.critic.device) == (3, "cpu", "cuda:1")
