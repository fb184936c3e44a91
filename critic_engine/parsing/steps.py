"""Cutting a solution into steps."""


def split_steps(text: str, delimiter: str) -> tuple[str, ...]:
    """Return the steps of ``text``, stripped; what is blank between two delimiters is no step."""
    return tuple(step for piece in text.split(delimiter) if (step := piece.strip()))
