"""Graders: decide whether an answer is right by the references, with three outcomes and no random choice.

``make_grader`` gives a grader by its name. ``relation`` is the default: the relation by which searches vote. The rules
named after benchmarks are those of their authors or of the harness that most people run, with its oddities: several
read the whole response, and take the article "A" for a letter. Where such a program asks a language model to find the
answer in a response, the engine's own reading takes that place; where it draws a choice at random, or asks a model
whether the answer is right, the outcome is unsure.

``audit`` lists the answers that a grader and the relation grade differently. ``model_judge`` asks a model for its
opinion, which is no grade.
"""
