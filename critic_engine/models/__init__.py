"""The models of one engine: each loaded once and shared by its roles, and every request counted.

Import ``Models`` from ``registry`` and the counts of requests and tokens from ``metering``.
"""
