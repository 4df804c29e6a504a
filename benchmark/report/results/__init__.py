"""The records of a study as the arrays and frames that tables and figures are made of.

Imports `benchmark.study` and `benchmark.report.statistics`.
"""
