"""One problem searched: ask, expand, evaluate, tell. It holds the only search loop, and replays logged searches.

Import ``Episode`` and ``SearchEvent`` from ``episode``, node payloads from ``node_state``, ``logged_tree`` from
``replay``.
"""
