"""The report of a comparison: its figures, verdicts, curves, flipped problems and gates."""
