"""Evaluation: whether search helps a model on a task, what it costs, and how far a critic can be trusted."""
