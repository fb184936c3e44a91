"""Graders: decide whether an answer is right by the references, with three outcomes and no random choice."""
