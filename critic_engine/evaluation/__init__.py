"""Figures about answers: how good, how sure, how much better."""
