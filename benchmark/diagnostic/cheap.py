"""Predictors that need no gradient: what the measures of alignment must be better than.

They compare the target's train sample to as many random generic rows, as cells in sequence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon

from benchmark.core.randomness import derived_key, generator

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from benchmark.data import PreparedData

CHEAP = {
    "ngram_divergence": "Jensen-Shannon divergence of token bigrams from generic text, in bits",
    "classifier_auc": "ROC AUC of a linear n-gram classifier, target or generic, on unseen rows",
    "loss_gap": "loss on target rows less that on generic rows, at the last checkpoint",
}
BUCKETS = 2**16
FOLDS = 5
LARGEST_SAMPLE = 1000
Rows = NDArray[np.integer]


def text_predictors(data: PreparedData, seed: int) -> dict[str, float]:
    """The predictors of `CHEAP` that need no model."""
    rng = generator(seed, "diagnosis", "text")
    size = min(len(data.target_train), len(data.generic) // 2, LARGEST_SAMPLE)
    target = data.target_train.tokens(rng.permutation(len(data.target_train))[:size])
    chosen = rng.permutation(len(data.generic))[: 2 * size]
    generic, other = (data.generic.tokens(part) for part in np.split(chosen, 2))
    return {
        "ngram_divergence": ngram_divergence(target, generic, other),
        "classifier_auc": classifier_auc(target, generic, seed),
    }


def ngram_divergence(target: Rows, generic: Rows, other: Rows) -> float:
    """Jensen-Shannon divergence between the bigrams of target and generic rows, in bits.

    Rows ``[n, T]``, as many of each. Small samples differ even when their sources do not: the
    divergence between two generic samples is taken off.
    """
    counts = [ngram_counts(rows, (2, 2)).sum(axis=0) for rows in (target, generic, other)]
    a, b, c = (np.asarray(each, dtype=float).ravel() for each in counts)
    return float(jensenshannon(a, b, base=2) ** 2 - jensenshannon(b, c, base=2) ** 2)


def classifier_auc(target: Rows, generic: Rows, seed: int) -> float:
    """ROC AUC over `FOLDS` folds of a logistic regression on n-grams of one to three tokens.

    Rows ``[n, T]``. 0.5: it cannot tell target rows from generic ones; 1: it always can.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.preprocessing import normalize

    features = normalize(ngram_counts(np.concatenate([target, generic]), (1, 3)))
    labels = np.repeat([1, 0], [len(target), len(generic)])
    random_state = derived_key(seed, "diagnosis folds", 0) % 2**32
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=random_state)
    classifier = LogisticRegression(C=10.0, solver="liblinear")
    scores = cross_val_predict(classifier, features, labels, cv=folds, method="decision_function")
    return float(roc_auc_score(labels, scores))


def ngram_counts(rows: Rows, orders: tuple[int, int]) -> csr_matrix:
    """Counts of hashed n-grams of tokens, from the shortest to the longest order.

    ``[n, T] -> [n, BUCKETS]``, sparse; what holds padding (token 0) is not counted.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        ngram_range=orders,
        n_features=BUCKETS,
        token_pattern=r"\S+",
        norm=None,
        alternate_sign=False,
    )
    # Of pairs both sides, of images the pixels and the label: what is given counts as well.
    cells = np.abs(rows)
    counts: csr_matrix = vectorizer.transform(" ".join(map(str, row[row > 0])) for row in cells)
    return counts
