"""Figures of a study, a file each, and the look that they share."""
