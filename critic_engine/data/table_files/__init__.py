"""The kinds of files that hold tables, one a module, each opened as a ``Table``; see ``data.tables``."""
