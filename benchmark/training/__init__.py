"""The one training loop, beginnings that runs share, and counts of what was trained on.

Imports `benchmark.api` and the layers below.
"""
