"""The measures that a recommendation rests on, and which of them each method's regression uses.

The lists are fixed here, before any study that they are scored on; nothing searches among them.
"""

from __future__ import annotations

import math
from typing import Literal

from benchmark.core.frozen import Frozen
from benchmark.diagnostic.recommend.choosing import CHOOSERS
from benchmark.methods.registry import method_of
from benchmark.study.records import Cost
from benchmark.study.study import MethodEntry, RunSpec

Tier = Literal[0, 1]
VERSION = 2
"""Of all measures: one that changes what a measure is makes kept ones old."""

MEANINGS = {
    "ngram_divergence": "divergence of token bigrams from generic text, in bits",
    "classifier_auc": "AUC of a linear classifier of the target's rows, on unseen documents",
    "stand_in_classifier": "gain of a 5-gram model from rows that a classifier chooses, in nats",
    "stand_in_importance": "gain of a 5-gram model from rows chosen by importance, in nats",
    "gradient_cosine": "cosine of the mean generic and the mean target gradient",
    "alignment_classifier": "alignment of a batch that a classifier chooses, less a random one's",
    "alignment_importance": "alignment of a batch chosen by importance, less a random one's",
    "alignment_gradient": "alignment of a batch chosen by gradients, less a random one's",
    "log_documents": "logarithm (base 2) of the sample's documents",
    "log_passes": "logarithm (base 2) of the rows trained on over those of the sample",
    "log_rows_trained": "logarithm (base 2) of the rows trained on",
    "log_generic_rows": "logarithm (base 2) of the rows of the generic corpus",
}
OF_SETTING = ("log_rows_trained", "log_generic_rows")
"""What every regression uses beside three measures."""
RESTATED = ("log_documents", *OF_SETTING)
"""Measures that are one number of the setting."""
OF_MODEL = ("gradient_cosine", *(name for name in MEANINGS if name.startswith("alignment_")))
"""Measures with another unit in each model, standardised within it."""


class Setting(Frozen):
    """What a recommendation is asked for, in numbers; a rule says which of them it has seen."""

    parameters: int
    """Parameters of the model."""
    rows_trained: int
    """Steps times rows of a batch."""
    sample_rows: int
    """Rows of the target's train sample."""
    sample_documents: int
    """Documents that they are of."""
    generic_rows: int
    """Rows of the generic corpus."""

    @property
    def measures(self) -> dict[str, float]:
        """Those measures that follow from it."""
        return {
            "log_documents": math.log2(self.sample_documents),
            "log_passes": math.log2(self.rows_trained / self.sample_rows),
            "log_rows_trained": math.log2(self.rows_trained),
            "log_generic_rows": math.log2(self.generic_rows),
        }


class Measured(Frozen):
    """The measures of one target, and what they cost."""

    tier: Tier
    """0: of the text alone; 1: of gradients too."""
    task: str
    """The study's task."""
    setting: Setting
    """What was asked."""
    values: dict[str, float]
    """Measures of text and, in tier 1, of gradients, by name."""
    checkpoints: tuple[int, ...] = ()
    """Steps of pretraining at which gradients were taken, of which measures are means."""
    gradients: str = ""
    """How the rows' gradients were computed; empty: not at all."""
    cost: Cost
    """Bill of the measures, the pretraining up to the last checkpoint included."""
    run_flops: float | None = None
    """FLOPs of training the model once, the least that an advised run costs; None: not counted."""

    @property
    def known(self) -> dict[str, float]:
        """Every measure of the tier, those that follow from the setting too."""
        return self.values | self.setting.measures


def known_at(tier: Tier) -> set[str]:
    """Names of the numbers of a setting and of the measures of a tier."""
    of_tier = {name for name in MEANINGS if tier == 1 or name not in OF_MODEL}
    return of_tier | set(Setting.model_fields)


def features_of(entry: MethodEntry, tier: Tier) -> tuple[str, ...]:
    """The measures by which the gain of a method is predicted."""
    kind = method_of(entry, "methods: ").chooses_by
    last = "log_passes" if kind is None else "log_documents"
    if tier == 0:
        told = f"stand_in_{kind}" if kind in CHOOSERS else "classifier_auc"
        return ("ngram_divergence", told, last, *OF_SETTING)
    told = "ngram_divergence" if kind is None else f"alignment_{kind}"
    return ("gradient_cosine", told, last, *OF_SETTING)


def setting_of(
    spec: RunSpec, parameters: int, rows: dict[str, int], documents: dict[str, int]
) -> Setting:
    """The setting of a run; ``rows`` and ``documents`` by split, as in a data report."""
    return Setting(
        parameters=parameters,
        rows_trained=spec.training.steps * spec.training.batch,
        sample_rows=rows["target_train"],
        sample_documents=documents["target_train"],
        generic_rows=rows["generic"],
    )
