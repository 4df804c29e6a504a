"""Tier 0: what the text alone says, in seconds, without a model.

The work is bounded: whatever the size of the corpus, at most `POOL` + `OTHERS` of its rows are
read. Of the target, only the train sample is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from benchmark.core.errors import UnmeasurableError
from benchmark.core.randomness import generator
from benchmark.diagnostic.cheap import ngram_divergence
from benchmark.diagnostic.documents import folds, halves
from benchmark.diagnostic.recommend.choosing import CHOOSERS, best
from benchmark.diagnostic.recommend.ngrams import NgramModel, Rows, hashed_counts

if TYPE_CHECKING:
    from benchmark.data import PreparedData

SAMPLE, POOL, OTHERS = 1000, 16_384, 2_048
"""Rows at most: of the target, of generic rows to choose from, and to tell the target from."""
KEPT = 16
"""One in so many rows of the pool is chosen."""
FOLDS = 5
INVERSE_REGULARISATION = 10.0


def require_documents(target: str, rows: Mapping[str, int], documents: Mapping[str, int]) -> None:
    """Refuse a sample or a corpus that cannot be measured.

    ``rows`` and ``documents`` by split, as in a data report.

    Raises:
        UnmeasurableError: the sample is of one document, or the corpus has too few rows for it.
    """
    sample, generic = rows["target_train"], rows["generic"]
    if documents["target_train"] < 2:
        raise of_one_document(target, sample)
    if generic < 2 * sample:
        raise UnmeasurableError(
            f"data.generic: its {generic} rows are fewer than two for each of the {sample} rows of "
            f"targets.{target}.train, to which as many random rows are compared twice: give a "
            "larger corpus or a smaller sample"
        )


def of_one_document(target: str, rows: int) -> UnmeasurableError:
    """What is wrong with rows of a sample that nothing can be held out of."""
    return UnmeasurableError(
        f"targets.{target}.train: {rows} rows of it are of one document, so that nothing can be "
        "held out by document: give a sample of two documents or more"
    )


def text_measures(target_name: str, data: PreparedData, seed: int = 0) -> dict[str, float]:
    """The measures of tier 0 by name; the same data and seed give the same bits.

    Raises:
        UnmeasurableError: the rows that are read of the sample are of one document.
    """
    rng = generator(seed, "recommend", "text")
    sample = np.sort(rng.permutation(len(data.target_train))[:SAMPLE])
    count = len(sample)
    drawn = rng.permutation(len(data.generic))[: max(POOL + OTHERS, 2 * count)]
    target, documents = data.target_train.tokens(sample), data.target_train.documents(sample)
    if len(np.unique(documents)) < 2:
        raise of_one_document(target_name, count)
    first, second = (
        data.generic.tokens(part) for part in (drawn[:count], drawn[count : 2 * count])
    )
    # What tells the target from generic text is not itself chosen from.
    others = min(OTHERS, len(drawn) // 4)
    other, pool = (data.generic.tokens(part) for part in (drawn[:others], drawn[others:]))
    origins = data.generic.documents(drawn[:count])
    found = {
        "ngram_divergence": ngram_divergence(target, first, second),
        "classifier_auc": auc_by_document(target, documents, first, origins, rng),
    }
    for name in CHOOSERS:
        found[f"stand_in_{name}"] = stand_in_gain(
            name, target, documents, other, pool, data.vocabulary_size, seed
        )
    return found


def auc_by_document(
    target: Rows,
    documents: np.ndarray,
    generic: Rows,
    origins: np.ndarray,
    rng: np.random.Generator,
) -> float:
    """ROC AUC of a linear n-gram classifier, target or generic, on rows of unseen documents.

    ``target``, ``generic`` ``[n, T]``; ``documents``, ``origins`` ``[n]`` are those of their rows.
    A mean over folds: scores of two classifiers are not comparable, least where documents are so
    uneven that the classes' shares differ between folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.preprocessing import normalize

    count = min(FOLDS, len(np.unique(documents)), len(np.unique(origins)))
    fold = np.concatenate([folds(each, count, rng) for each in (documents, origins)])
    features = normalize(hashed_counts(np.concatenate([target, generic]), (1, 3)))
    labels, areas = np.repeat([1, 0], [len(target), len(generic)]), []
    for number in range(count):
        held = fold == number
        model = LogisticRegression(C=INVERSE_REGULARISATION, solver="liblinear", random_state=0)
        model.fit(features[~held], labels[~held])
        areas.append(roc_auc_score(labels[held], model.decision_function(features[held])))
    return float(np.mean(areas))


def stand_in_gain(
    name: str,
    target: Rows,
    documents: np.ndarray,
    other: Rows,
    pool: Rows,
    vocabulary: int,
    seed: int,
) -> float:
    """By how much rows that a chooser takes make a better 5-gram model than random rows do.

    In nats a token of target rows whose documents the chooser has not seen, a mean over both
    halves. Rows ``[n, T]``; as many random rows are drawn as are chosen.
    """
    split = halves(documents, generator(seed, "recommend", "halves"))
    count, gains = max(1, len(pool) // KEPT), []
    for number, (seen, held) in enumerate(
        ((split.first, split.second), (split.second, split.first))
    ):
        rng = generator(seed, "recommend", name, number)
        chosen = best(CHOOSERS[name](target[seen], other, pool, rng), count)
        rows = (pool[chosen], pool[rng.permutation(len(pool))[:count]])
        ours, random = (NgramModel(some, vocabulary).loss(target[held]) for some in rows)
        gains.append(random - ours)
    return float(np.mean(gains))
