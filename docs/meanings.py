"""What figures of runs mean, where the code has no one place that says it."""

from __future__ import annotations

MEANINGS = {
    "stage": "`trained` or `fine_tuned`: while the method trains, or in the fine-tuning after it",
    "step": "updates of the main model so far, in this stage",
    "train_loss": "mean loss of the batches trained on since the line before, in nats",
    "valid_loss": "loss on the target's valid rows, in nats a token",
    "generic_loss": "loss on held-out generic rows, in nats a token",
    "flops": "FLOPs of all that the run has done so far, the method's own work included",
    "seconds": "wall time so far, without evaluation and checkpointing",
    "examples": "rows trained on so far, those of auxiliary models included",
    "sampled_rows": "a sample of the generic rows trained on since the line before, by place in "
    "the corpus: see `benchmark/study/row_sample.py`",
    "alignment/chosen": "mean inner product of the chosen rows' gradients with the target's",
    "alignment/offered": "the same mean over all rows offered",
    "classifier_loss": "logistic loss of the classifier at this step, in nats",
    "empty_clusters": "clusters without a generic row",
    "irreducible_loss/chosen": "mean loss of the rows chosen at this step under the reference, in "
    "nats",
    "influence_agreement": "rank correlation of what the network predicts with what was probed, on "
    "rows that it was not fitted on, at the last refresh",
    "loss_change/chosen": "mean loss of the rows chosen at this step after less before the copy "
    "was fine-tuned, in nats",
    "loss_change/offered": "the same mean over all rows of the big batch",
    "objective": "minus the component of the target gradient along the weighted generic gradient, "
    "at the last update that was not left out",
    "outer_gradient_pull": "sum of the influences of the sub-batch's rows along the method's "
    "direction, by the weights that the network gives them",
    "outer_loss": "loss on the target batch that the weight network learns from, in nats a token; "
    "of dds after its virtual step",
    "reducible_loss/chosen": "mean loss of the rows chosen at this step under the main model less "
    "that under the reference, in nats",
    "reducible_loss/offered": "the same mean over all rows of the big batch",
    "target_mass_in_empty_clusters": "share of the target's histogram that no generic row can fill",
    "updates_left_out": "updates of the weight network left out so far, as there was no norm to "
    "divide by",
}
"""Of what lines of measurements hold, but for what `benchmark.study.metrics` describes."""
