"""Figures of speed and memory, beside those that are aimed at: ``python -m tests.speed``."""
