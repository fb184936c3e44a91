"""Models and searches in Ray actors, on this machine or others. Only this package imports ray.

Import ``connect`` from ``cluster``, model pools from ``model_pools`` and search workers from ``search_pool``.
"""
