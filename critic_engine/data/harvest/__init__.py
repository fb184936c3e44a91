"""Makes the findings of labelled trees: pairs, critiques, step labels and injected errors."""
