"""Static classifier filter: keep the rows that a linear n-gram classifier finds most target-like.

What: a logistic regression on hashed n-grams of words and of characters learns to tell the target
sample from generic rows; the whole generic corpus is scored once and its top fraction is kept.
Source: the model-based filter of DCLM (arXiv 2406.11794: fastText on words and pairs of them).
Defaults: keep 10%, pairs of words (DCLM); 10,000 generic rows (ours); C 1 (LIBLINEAR).
Charged for: by non-zero entry, 4 FLOPs an epoch of the fit (dual coordinate descent: a product
with the weights and their update) and 2 for every generic row's score; one pass over the target
sample.
More: docs/methods/classifier_filter.md
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from baselines.filters.static_selection import StaticHyperparameters, StaticSelection
from baselines.row_text import (
    NgramFeatures,
    NgramSettings,
    WordFeatures,
    all_positions,
    by_blocks,
    generic_sample,
)
from benchmark.api import TOKENS, LogUniform, Task, scan

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

MOST_EPOCHS = 1000

Count = Callable[[np.ndarray], "csr_matrix"]
"""Rows ``[n, T]`` to sparse counts ``[n, buckets]``."""


class ClassifierFilterHyperparameters(StaticHyperparameters):
    """Settings of the static classifier filter."""

    ngrams: NgramSettings = NgramSettings()
    """Which n-grams of what the model reads the classifier counts."""

    longest_phrase: Annotated[int, Field(ge=0, le=5)] = 2
    """Words in the longest n-gram of words that it counts beside them; 0: no words."""

    generic_rows: Annotated[int, Field(ge=1)] = 10_000
    """Generic rows, at most, that the classifier is fitted on."""

    inverse_regularisation: Annotated[
        float, Field(gt=0, allow_inf_nan=False), LogUniform(0.01, 10.0)
    ] = 1.0
    """The larger, the weaker the L2 penalty on the classifier's weights."""

    def reads(self) -> frozenset[str]:
        return frozenset({TOKENS})


class ClassifierFilter(StaticSelection):
    """Top fraction of a linear target-against-generic classifier."""

    name = "classifier_filter"
    summary = "top fraction of a linear n-gram classifier, fitted once (as in DCLM)"
    revision = 2
    chooses_by = "classifier"
    style = ("#CC79A7", "D", "--")
    Hyperparameters = ClassifierFilterHyperparameters

    def __init__(self, task: Task, hyperparameters: ClassifierFilterHyperparameters) -> None:
        super().__init__(task, hyperparameters)
        ngrams, longest = hyperparameters.ngrams, hyperparameters.longest_phrase
        counts: list[Count] = [NgramFeatures(task, ngrams)]
        # Tokens that cannot be decoded are words already.
        if longest and task.decode is not None:
            counts.append(WordFeatures(task, longest, ngrams.buckets))
        self._features = partial(_features, counts)

    def choose(self) -> np.ndarray:
        classifier, task = self._fit(), self.task
        settings = self.hyperparameters.model_dump(mode="json", exclude={"keep"})
        depends_on = settings | {"seed": task.seed}
        with by_blocks(task, self._features) as features:

            def of_part(positions: np.ndarray) -> np.ndarray:
                found = features(positions)
                return np.concatenate([self._score(classifier, block) for block in found])

            everything = all_positions(task)
            scores = scan(task, self.name, depends_on, everything, of_part, rows_alone=True)
        return np.argsort(-scores, kind="stable")[: self.kept_count]

    def _fit(self) -> LogisticRegression:
        from scipy.sparse import vstack
        from sklearn.linear_model import LogisticRegression

        settings = self.hyperparameters
        generic = generic_sample(self.task, "classifier filter", settings.generic_rows)
        target = self.task.target_sample().cpu().numpy()
        features = vstack([self._features(generic), self._features(target)]).tocsr()
        is_target = np.repeat([0, 1], [len(generic), len(target)])
        classifier = LogisticRegression(
            C=settings.inverse_regularisation,
            class_weight="balanced",
            solver="liblinear",
            dual=True,
            max_iter=MOST_EPOCHS,
            random_state=self.task.derived_seed("classifier filter") % 2**32,
        ).fit(features, is_target)
        self._charge(4.0 * features.nnz * int(classifier.n_iter_[0]))
        return classifier

    def _score(self, classifier: LogisticRegression, features: csr_matrix) -> np.ndarray:
        """Logits ``[n]`` of "target"."""
        self._charge(2.0 * features.nnz)
        return np.asarray(classifier.decision_function(features))

    def _charge(self, flops: float) -> None:
        self.task.meter.charge_flops("preparation", flops)


def _features(counts: list[Count], rows: np.ndarray) -> csr_matrix:
    """Counts of each row, those of words and of n-grams each scaled to unit length."""
    from scipy.sparse import hstack
    from sklearn.preprocessing import normalize

    return hstack([normalize(count(rows)) for count in counts]).tocsr()
