"""What is asked and what came of it: studies, their runs and keys, records, environments.

Imports `benchmark.core`, `benchmark.data` and `benchmark.models`.
"""
