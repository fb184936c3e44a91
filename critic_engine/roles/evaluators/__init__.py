"""Evaluators: each gives a trajectory a value by one method.

Import ``make_evaluator`` from ``factory``, or one evaluator from the module named for it.
"""
