"""What is told of data: how sources became splits, and which near-duplicates were removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pydantic import Field

from benchmark.core.frozen import Frozen
from benchmark.data.near import Kind, Match

EXAMPLES = 2
"""Of each split that loses rows, each split that they are near to, and each kind."""


class NearDuplicate(Frozen):
    """One removed row and what it is near to, by their places in the stores."""

    split: str
    """The split that it was removed from."""
    row: int
    """Its place in that split's store."""
    near_to: str
    """The split of the held-out text."""
    held_row: int
    """The place of that text's first row in its store."""
    kind: Kind
    """Whether the row itself is near to a held-out row, or its document to a held-out document."""
    similarity: float
    """Estimated Jaccard similarity of their token 5-grams."""


class NearDuplicates(Frozen):
    """Rows that are not trained on because they resemble held-out ones.

    ``removed`` maps a split to the rows left out of it, by the split that they are near to;
    ``domains`` counts those of the generic corpus by provenance domain.
    """

    removed: dict[str, dict[str, int]]
    domains: dict[str, int]
    examples: tuple[NearDuplicate, ...]
    """A few of them."""


def _is_none(value: object) -> bool:
    return value is None


class DataReport(Frozen):
    """How sources became splits; counts are of rows unless named otherwise.

    The splits are ``generic`` and ``generic_valid``, ``target_train``, ``target_valid`` and
    ``target_test``.
    ``domain_rows`` counts the generic training rows of each provenance domain.
    ``duplicates_removed`` maps a split to the rows left out of it, by the split that holds the
    same row. A row repeated within its own split counts under that split's own name.
    ``left_out`` says of the generic corpus and of the target what was not read or not used.
    """

    sources: dict[str, str]
    """The sources of ``generic`` and ``target``, in words."""
    stores: dict[str, str]
    """The folders of their rows, inside ``rows`` of the cache."""
    tokenizer: str
    """What made tokens of the text: ``bytes``, or a tokeniser's name or folder."""
    vocabulary_size: int
    """Number of different tokens, padding included."""
    width: int
    """Tokens a row."""
    rows: dict[str, int]
    """Rows of each split."""
    domain_rows: dict[str, int]
    documents: dict[str, int]
    """Documents that each split has rows of."""
    duplicates_removed: dict[str, dict[str, int]]
    near_duplicates: NearDuplicates | None = Field(default=None, exclude_if=_is_none)
    """What was removed because it resembles held-out rows; absent where those are kept."""
    fingerprints: dict[str, str]
    """Digest of the rows of each split."""
    left_out: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    notes: tuple[str, ...] = Field(default=(), exclude_if=lambda found: not found)
    """What the task has to say of the splits, such as labels that one of them lacks."""


class NearTally:
    """Near-duplicates as they are found, a few of which are kept to be shown."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.domains: Counter[int] = Counter()
        self.examples: list[tuple[int, Match]] = []
        self._shown: Counter[tuple[str, Kind]] = Counter()

    def count(self, row: int, domain: int, match: Match) -> None:
        """Add a removed row of a provenance domain."""
        self.counts[match.split] += 1
        self.domains[domain] += 1
        kind = (match.split, match.kind)
        # All rows of a document have one match: its first row stands for it.
        if self._shown[kind] < EXAMPLES and all(match is not shown for _, shown in self.examples):
            self._shown[kind] += 1
            self.examples.append((row, match))


def near_duplicates(
    tallies: Mapping[str, NearTally], generic: str, names: tuple[str, ...]
) -> NearDuplicates:
    """The report of the splits that lose rows; ``names`` are the domains of split ``generic``."""
    return NearDuplicates(
        removed={split: dict(sorted(tally.counts.items())) for split, tally in tallies.items()},
        domains={names[i]: count for i, count in sorted(tallies[generic].domains.items())},
        examples=tuple(
            NearDuplicate(
                split=split,
                row=row,
                near_to=match.split,
                held_row=match.position,
                kind=match.kind,
                similarity=round(match.similarity, 3),
            )
            for split, tally in tallies.items()
            for row, match in tally.examples
        ),
    )
