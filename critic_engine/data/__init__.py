"""Readers of problems files and of the images they name."""
