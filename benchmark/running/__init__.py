"""Runs as processes of this machine: one worker, a study, tuning; merging of records.

Imports `benchmark.training` and the layers below; no method by name.
"""
