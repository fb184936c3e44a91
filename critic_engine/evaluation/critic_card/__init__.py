"""The card of a critic or reward model: its judgements of labelled solutions, and the figures made of them."""
