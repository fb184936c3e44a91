"""A plan that tests of its arithmetic and of its words begin with."""

from critic_engine.run.search_plan import DrawCost, SearchPlan, Wordings

# A solution of 6 steps of 30 tokens, as the search draws them, each with a critique of 20.
PLAN = SearchPlan(
    kind="step",
    num_problems=2,
    solution=DrawCost(8, 180.0, 100.0, 0.0, 180.0),
    num_unfinished=0,
    steps_per_solution=6.0,
    draw=DrawCost(16, 30.0, 120.0, 90.0, 30.0),
    wordings=Wordings(True, 7.5, 0.25, 0.0),
    evaluation=DrawCost(8, 20.0, 200.0, 0.0, 20.0),
    num_unvalued=0,
    max_tokens=1800,
    max_simulations=None,
    num_proposals=1,
)
