"""Pools of replicas: requests go to the least loaded one, lost replicas are restarted, retries are bounded.

Import ``ReplicaPool`` and its options from ``pool``; ``supervisor`` and ``router`` are its parts.
"""
