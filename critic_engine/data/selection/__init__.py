"""Filters findings for training, counts them, and makes training rows and surveys of them."""
