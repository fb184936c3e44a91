"""Roles turn domain types into prompts, and model text back into domain types.

Import ``make_roles`` from ``factory``, or one role from the module named for it.
"""
