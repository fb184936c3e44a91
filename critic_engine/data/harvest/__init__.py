"""From labelled trees to findings: whatever asks models, and what is found."""
