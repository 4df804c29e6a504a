"""Which generic rows a static method would take, given some rows of the target: cheap stand-ins.

Not the methods of `baselines` themselves, which need a task and a model: what they have in common,
on hashed n-grams of tokens.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmark.diagnostic.recommend.ngrams import Rows, hashed_counts

Array = NDArray[np.float64]
Chooser = Callable[[Rows, Rows, Rows, np.random.Generator], Array]
"""Of target rows, generic rows to tell them from, and candidates: a score for each candidate."""
INVERSE_REGULARISATION = 1.0
FLOOR = 1e-8
"""As the public code of DSIR (arXiv 2302.03169)."""


def classifier(target: Rows, other: Rows, candidates: Rows, rng: np.random.Generator) -> Array:
    """Logits of a linear classifier of n-grams of one to three tokens (as DCLM's filter)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import normalize

    features = normalize(hashed_counts(np.concatenate([target, other]), (1, 3)))
    labels = np.repeat([1, 0], [len(target), len(other)])
    fitted = LogisticRegression(
        C=INVERSE_REGULARISATION,
        class_weight="balanced",
        solver="liblinear",
        random_state=int(rng.integers(2**31)),
    ).fit(features, labels)
    return np.asarray(fitted.decision_function(normalize(hashed_counts(candidates, (1, 3)))))


def importance(target: Rows, other: Rows, candidates: Rows, rng: np.random.Generator) -> Array:
    """Log importance weights of n-grams of one and two tokens, with Gumbel noise (as DSIR)."""
    ours, theirs = (
        np.asarray(hashed_counts(rows, (1, 2)).sum(axis=0)).ravel() for rows in (target, other)
    )
    ratio = np.log(ours / ours.sum() + FLOOR) - np.log(theirs / theirs.sum() + FLOOR)
    weights = np.asarray(hashed_counts(candidates, (1, 2)) @ ratio).ravel()
    return np.asarray(weights + rng.gumbel(size=len(candidates)))


CHOOSERS: dict[str, Chooser] = {"classifier": classifier, "importance": importance}


def best(scores: Array, count: int) -> NDArray[np.int64]:
    """Places of the ``count`` highest scores, ties by place."""
    return np.argsort(-scores, kind="stable")[:count]
