"""Reading model text: steps, answers and critiques. Model text is hostile: every reader takes time linear in it."""
