"""Where the shipped pocket models lie, for their training and their tests."""

from critic_engine.backends.loading import POCKET_WEIGHTS

REASONER = POCKET_WEIGHTS / "reasoner"
CRITIC = POCKET_WEIGHTS / "critic"
