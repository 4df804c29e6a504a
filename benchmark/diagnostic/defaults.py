"""Sizes of a diagnosis unless told otherwise, importable without anything heavy.

Chosen so that two checkpoints cost under 5% of a run of the study ``planted`` (600 steps of
32 rows): at each, 192 gradients of rows, each compared with up to 24 batches; and once, two times
128 rows of fine-tuning and one forward-mode pass over the generic rows. How the rows are shared
out: measures settle with far fewer generic rows than target rows (`convergence`).
"""

AT = "30%,100%"
PROBE_ROWS = 96
BATCHES = 12
BATCH_ROWS = 8
FINE_TUNING_STEPS = 8
FINE_TUNING_ROWS = 16
