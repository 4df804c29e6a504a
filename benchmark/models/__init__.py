"""The main model and what is computed with it: losses, influences, updates, checkpoints.

Imports `benchmark.core`; `benchmark.data` is its sibling and neither imports the other.
"""
