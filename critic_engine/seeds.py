"""Random seeds derived by hashing their purpose."""

import hashlib


def derive_seed(*parts: int | str) -> int:
    """Return a seed in [0, 2**63), a hash of ``parts``: equal on all machines, unrelated for unequal parts."""
    # Not repr: the characters it escapes depend on the Unicode tables of the running Python.
    return int.from_bytes(hashlib.blake2b(ascii(parts).encode(), digest_size=8).digest()) >> 1
