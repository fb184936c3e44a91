"""Pools of replicas: a session's requests go to one of them, lost replicas are restarted, retries are bounded.

Import ``ReplicaPool`` and its options from ``pool``; ``supervisor``, ``router`` and ``ring`` are its parts.
"""
