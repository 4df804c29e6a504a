"""The reference alignment matrix: what the public code of arXiv 2311.11973 writes down.

For every ordered pair of checkpoints (A, B), directions x rows, of row i's share of its batch's
gradient at A along the unit gradient of a batch at B: ``share_i <g_i(A), grad L(B)> / |grad L(B)|``
(`gradient_cosine` there, which is no cosine). Directions are batches of the target and, as the
null, of generic text; rows are of both, of documents that no direction has seen. Beside it, the
rows' agreement with the displacement of a fine-tuning (`dot_prod_with_delta_params`), for the whole
model and for parts of it. That code has no summary, no threshold and no decision; ours are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from pydantic import Field
from torch import Tensor, nn

from benchmark.core.frozen import Frozen
from benchmark.core.randomness import generator
from benchmark.core.rounding import rounded
from benchmark.diagnostic.alignment import one_sided, with_displacement
from benchmark.diagnostic.documents import Halves, halves
from benchmark.diagnostic.gradients import RowGradients
from benchmark.diagnostic.measures import Array
from benchmark.diagnostic.probe import Probe
from benchmark.models.influence import Direction, parameters_of
from benchmark.models.row_gradients import parameters_in
from benchmark.models.whole_gradients import flattened

KINDS = ("target", "generic")
WHOLE = "all"
DIGITS = 6
"""Significant digits that are written: those of single precision."""

Floats = tuple[float, ...]


class MatrixPair(Frozen):
    """One ordered pair of checkpoints: rows' gradients at one, directions at the other."""

    rows_at: str
    """Label of the checkpoint of the rows' gradients."""
    directions_at: str
    """Label of the checkpoint of the directions."""
    values: dict[str, dict[str, tuple[Floats, ...]]]
    """By kind of direction, then by kind of row (``target`` or ``generic``): a list for each
    direction, a number for each row, in nats a token by unit of parameter space."""


class ReferenceMatrix(Frozen):
    """The alignment matrix as the public code of arXiv 2311.11973 computes it; no decision."""

    batch_rows: int
    """Rows of a direction's batch."""
    by_document: dict[str, bool]
    """By kind: whether directions and rows share no document; else, they share the only one."""
    pairs: tuple[MatrixPair, ...]
    """Every ordered pair of checkpoints."""
    displacement_at: str
    """Label of the checkpoint that a short fine-tuning on the directions' half starts from."""
    displacement: dict[str, dict[str, Floats]] = Field(default_factory=dict)
    """By part of the parameters (``all``, or names' beginning), then by kind of row: how far a
    step on the row goes where the fine-tuning went."""


@dataclass(frozen=True)
class Held:
    """Of one checkpoint, by kind: ``directions`` ``[d, P]`` and the gradients of the ``rows``."""

    label: str
    directions: dict[str, Tensor]
    rows: dict[str, RowGradients]


def probe_halves(probe: Probe, seed: int) -> dict[str, Halves]:
    """By kind, the probe's rows that give directions (first) and those that are held out."""
    documents = {"target": probe.target_documents, "generic": probe.generic_documents}
    return {
        kind: halves(documents[kind], generator(seed, "reference matrix", kind)) for kind in KINDS
    }


def hold(
    label: str, found: Mapping[str, RowGradients], split: Mapping[str, Halves], batch_rows: int
) -> Held:
    """What the matrix needs of a checkpoint's gradients of the probe's rows."""
    directions = {}
    for kind in KINDS:
        first = found[kind].part(split[kind].first)
        directions[kind] = first.batch_means(min(batch_rows, len(first.values)))
    rows = {kind: found[kind].part(split[kind].second) for kind in KINDS}
    return Held(label, directions, rows)


def alignment_matrix(directions: Tensor, rows: RowGradients) -> Array:
    """``gradient_cosine`` of rows with directions ``[d, P]``: ``[d, r]``."""
    found = one_sided(directions @ rows.values.T, rows.shares, directions.norm(dim=1))
    return found.double().cpu().numpy()


def agreement_by_part(
    model: nn.Module, rows: RowGradients, displacement: Direction, parts: Sequence[str]
) -> dict[str, Array]:
    """``dot_prod_with_delta_params`` of rows, ``[r]``, for the whole model and each part of it.

    A part is the parameters whose names begin with it; only they count, in the length too.

    Raises:
        UserError: no name begins with a part.
    """
    change = flattened({name: displacement[name] for name in parameters_of(model)})
    found = {}
    for part in (WHOLE, *parts):
        mask = _mask(model, () if part == WHOLE else (part,), change)
        moved = change * mask
        agreed = with_displacement(rows.values @ moved, rows.shares, moved.norm())
        found[part] = agreed.double().cpu().numpy()
    return found


def top_parts(model: nn.Module) -> tuple[str, ...]:
    """The first part of every parameter's name, in the model's order."""
    return tuple(dict.fromkeys(name.split(".")[0] for name in parameters_of(model)))


def reference_matrix(
    held: Sequence[Held],
    split: Mapping[str, Halves],
    batch_rows: int,
    agreement: Mapping[str, Mapping[str, Array]],
) -> ReferenceMatrix:
    """The record of all pairs; ``agreement`` by kind of row, then by part, at the last."""
    return ReferenceMatrix(
        batch_rows=batch_rows,
        by_document={kind: split[kind].by_document for kind in KINDS},
        pairs=tuple(_pair(a, b) for a, b in product(held, held)),
        displacement_at=held[-1].label,
        displacement={
            part: {kind: _written(agreement[kind][part]) for kind in KINDS}
            for part in agreement[KINDS[0]]
        },
    )


def _pair(rows: Held, directions: Held) -> MatrixPair:
    values = {
        of: {
            kind: tuple(_written(row) for row in alignment_matrix(directions.directions[of], each))
            for kind, each in rows.rows.items()
        }
        for of in KINDS
    }
    return MatrixPair(rows_at=rows.label, directions_at=directions.label, values=values)


def _written(values: Array) -> Floats:
    return tuple(rounded(value, DIGITS) for value in values)


def _mask(model: nn.Module, parts: Sequence[str], like: Tensor) -> Tensor:
    names = set(parameters_in(model, parts))
    marks = [np.full(value.numel(), name in names) for name, value in parameters_of(model).items()]
    return like.new_tensor(np.concatenate(marks).astype(float))
