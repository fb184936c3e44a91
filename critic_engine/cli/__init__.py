"""The command line: one command a file, and nothing heavy imported before a command runs.

Import ``main`` from ``main``; the commands are loaded by name.
"""
