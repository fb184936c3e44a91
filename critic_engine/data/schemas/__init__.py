"""Schemas of problems files: which columns hold the parts of a problem, and how they are read.

``benchmarks`` declares those of benchmarks, ``recognition`` chooses that of a file, and ``row_reading`` reads by it.
"""
