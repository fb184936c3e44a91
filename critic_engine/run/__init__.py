"""Many problems: the runner, the SQLite run directory, findings, reports and limits on problem size.

Import ``Runner`` from ``runner``, ``RunStore`` from ``store`` and ``Findings`` from ``findings``.
"""
