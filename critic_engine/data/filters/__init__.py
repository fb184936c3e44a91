"""Filters that keep rows out of the training data without asking a model, one kind a module."""
