"""The search of one problem: the only search loop, the work of its trials, and the replay of logged searches.

Import ``Episode`` and ``SearchEvent`` from ``episode``, node payloads from ``node_state``, ``logged_tree`` from
``replay``.
"""
