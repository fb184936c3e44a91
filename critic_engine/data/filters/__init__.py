"""What keeps a row out of the training data without asking a model: one kind of objection a module."""
