"""The pocket world: boards of coloured shapes, questions, an oracle, and the two small models that ship with it."""
