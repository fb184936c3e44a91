"""Training data: files of problems are read, labelled trees harvested, rows filtered and exported.

Import ``read_problems`` from ``problems``, rows from ``records`` and ``selection.rows``, ``export_rows`` from
``exports``.
"""
