"""The test that says, before training, whether online selection can be expected to help.

At checkpoints of plain pretraining, how well the gradients of a few generic rows agree with those
of the target's train sample: is the agreement more than noise, does it single out rows, does it
last, does it point where fine-tuning goes? `measures` holds the definitions, arrays in and numbers
out; `diagnose` runs all of it for one (model, target, seed). The ancestor of the test is the
gradient dump of the public code of arXiv 2311.11973; the decision rule is ours and read from
``rule.yaml``, which says whether it has been fitted.
"""
