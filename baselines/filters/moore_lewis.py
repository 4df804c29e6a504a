"""Moore-Lewis: the rows that read most like the target and least like the corpus to n-gram models.

What: keeps the rows of the lowest cross-entropy, a word, under a model of the target sample's words
less that under a model of as many random generic rows.
Source: Moore and Lewis, ACL 2010: H_target(s) - H_generic(s); words that occur at least twice in
the target sample, all others one unknown word; absolute discounting. Here orders are interpolated,
there models back off.
Defaults: 4-grams, discount .7 (of the paper, from memory); keep 10%, as the classifier filter.
Charged for: six operations a word, order and model, in both fits and over the corpus; one pass over
the target sample.
More: docs/methods/moore_lewis.md
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Annotated

import numpy as np
from pydantic import Field

from baselines.filters.static_selection import StaticHyperparameters, StaticSelection
from baselines.row_text import WORD, all_positions, blocks_of, generic_sample, texts
from benchmark.api import TEXT, Choice, UserError, scan

WORDS = re.compile(WORD)
UNKNOWN = ""
OPERATIONS = 6


class MooreLewisHyperparameters(StaticHyperparameters):
    """Settings of Moore-Lewis."""

    order: Annotated[int, Field(ge=1, le=8), Choice((1, 2, 4))] = 4
    """Words in the longest n-gram."""

    discount: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """Taken off each n-gram's count, in favour of shorter ones."""

    least_count: Annotated[int, Field(ge=1), Choice((1, 2))] = 2
    """Times that a word of the vocabulary occurs in the target sample, at least."""

    def reads(self) -> frozenset[str]:
        return frozenset({TEXT})


class MooreLewis(StaticSelection):
    """Lowest cross-entropy difference of two n-gram models."""

    name = "moore_lewis"
    summary = "lowest cross-entropy difference of two n-gram models, of the target and the corpus"
    chooses_by = "importance"
    style = ("#CC79A7", "p", "-.")
    Hyperparameters = MooreLewisHyperparameters

    def choose(self) -> np.ndarray:
        return np.argsort(self.differences(), kind="stable")[: self.kept_count]

    def differences(self) -> np.ndarray:
        """Cross-entropy under the target's model less that under the corpus', in nats a word.

        ``[len(generic)]``; infinite for rows without words.

        Raises:
            UserError: no word occurs often enough in the target sample.
        """
        task, settings = self.task, self.hyperparameters
        target = self._words(task.target_sample().cpu().numpy())
        generic = self._words(generic_sample(task, self.name, len(target)))
        counts = Counter(chain.from_iterable(target))
        known = {word for word, count in counts.items() if count >= settings.least_count}
        if not known:
            raise UserError(
                f"moore_lewis: least_count {settings.least_count} is more than any word occurs in "
                f"the {len(target)} rows of the target sample: lower it or raise the target's train"
            )
        inside, outside = (
            NgramModel([replaced(words, known) for words in rows], settings.order, len(known) + 1)
            for rows in (target, generic)
        )

        def difference(words: Sequence[str]) -> float:
            row, less = replaced(words, known), settings.discount
            found = inside.cross_entropy(row, less) - outside.cross_entropy(row, less)
            return found if words else np.inf

        def of_part(positions: np.ndarray) -> np.ndarray:
            blocks = (self._words(rows) for rows in blocks_of(task, positions))
            return np.array([difference(words) for block in blocks for words in block])

        depends_on = settings.model_dump(mode="json", exclude={"keep"}) | {"seed": task.seed}
        return scan(task, self.name, depends_on, all_positions(task), of_part, rows_alone=True)

    def _words(self, rows: np.ndarray) -> list[list[str]]:
        """The words of each row, charged for as if read by a model."""
        found = [WORDS.findall(text) for text in texts(self.task, rows)]
        flops = float(OPERATIONS * self.hyperparameters.order * sum(map(len, found)))
        self.task.meter.charge_flops("preparation", flops)
        return found


def replaced(words: Sequence[str], known: set[str]) -> tuple[str, ...]:
    """The words, those that are not ``known`` as the unknown one."""
    return tuple(word if word in known else UNKNOWN for word in words)


class NgramModel:
    """Interpolated absolute discounting, fitted on rows of words from a vocabulary of ``size``.

    ``p(w | h) = (max(c(hw) - d, 0) + d kinds(h) p(w | h without its first word)) / c(h)``, with
    ``c(h)`` how often, and ``kinds(h)`` by how many words, ``h`` is followed. Where it never is,
    the shorter context decides; below single words, all are equally likely.
    """

    def __init__(self, rows: Sequence[tuple[str, ...]], order: int, size: int) -> None:
        self.order, self.size = order, size
        self._counts = Counter(
            row[start:end]
            for row in rows
            for end in range(1, len(row) + 1)
            for start in range(max(0, end - order), end)
        )
        self._followed: Counter[tuple[str, ...]] = Counter()
        for ngram, count in self._counts.items():
            self._followed[ngram[:-1]] += count
        self._kinds = Counter(ngram[:-1] for ngram in self._counts)

    def probability(self, words: tuple[str, ...], discount: float) -> float:
        """Of the last word after those before it."""
        p = 1 / self.size
        for start in range(len(words) - 1, max(0, len(words) - self.order) - 1, -1):
            context = words[start:-1]
            followed = self._followed.get(context)
            if not followed:
                break
            left = max(self._counts.get(words[start:], 0) - discount, 0)
            p = (left + discount * self._kinds[context] * p) / followed
        return p

    def cross_entropy(self, row: tuple[str, ...], discount: float) -> float:
        """In nats a word; 0 for a row without words."""
        ends = range(1, len(row) + 1)
        found = (self.probability(row[max(0, e - self.order) : e], discount) for e in ends)
        return -sum(map(math.log, found)) / max(1, len(row))
