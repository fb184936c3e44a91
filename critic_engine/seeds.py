"""Seeds that depend on what they are for, and on nothing else."""

import hashlib


def derive_seed(*parts: int | str) -> int:
    """Return a seed in [0, 2**63) that is a hash of ``parts``: the same everywhere, unrelated for unequal parts."""
    # Not repr: which characters it escapes depends on the Unicode tables of the Python that runs.
    return int.from_bytes(hashlib.blake2b(ascii(parts).encode(), digest_size=8).digest()) >> 1
