"""Rows as unit vectors, for what looks for rows that are alike.

Two embeddings: ``lsi``, latent semantic indexing (hashed n-grams, TF-IDF, truncated SVD; of images
the SVD of their pixels), or any sentence-transformers model that averages over tokens; those are
loaded by transformers alone. Byte rows of a line of text hold few whole words, and short character
n-grams make neighbourhoods that are purer.
More: docs/methods/crisp.md
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from pydantic import Field

from baselines.row_text import NgramFeatures, NgramSettings, blocks_of, by_blocks, pixels, texts
from benchmark.api import PIXELS, TEXT, TOKENS, Hyperparameters, Task, UserError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

LSI = "lsi"
FEWEST_FITTED = 20_000
POWER_ITERATIONS, OVERSAMPLES = 2, 10
ENCODED_ROWS = 128


@dataclass(frozen=True)
class Embed:
    """Token rows ``[n, T]`` to unit vectors ``[n, d]``.

    ``read`` does what needs nothing but the rows, in other processes too, and ``embed`` the rest.
    """

    embed: Callable[[Any], np.ndarray]
    read: Callable[[np.ndarray], Any] | None = None

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        return self.embed(rows if self.read is None else self.read(rows))

    @contextmanager
    def by_blocks(self, task: Task) -> Iterator[Callable[[np.ndarray], Iterator[np.ndarray]]]:
        """As of :func:`baselines.row_text.by_blocks`: the vectors of each block."""
        if self.read is None:
            yield lambda positions: map(self.embed, blocks_of(task, positions))
            return
        with by_blocks(task, self.read) as read:
            yield lambda positions: map(self.embed, read(positions))


class EmbeddingSettings(Hyperparameters):
    """How rows are embedded."""

    embedding: Annotated[str, Field(min_length=1)] = LSI
    """``lsi``, or the hub id or folder of a sentence-transformers model."""

    components: Annotated[int, Field(ge=2, le=1024)] = 64
    """Dimension of the ``lsi`` embedding."""

    ngrams: NgramSettings = NgramSettings()
    """What the ``lsi`` embedding counts."""

    fitted_rows: Annotated[int | None, Field(ge=2)] = None
    """Generic rows, at most, that the ``lsi`` embedding is fitted on; None: 20,000."""

    def reads(self) -> frozenset[str]:
        return frozenset({TOKENS, PIXELS} if self.embedding == LSI else {TEXT})

    @property
    def sample_rows(self) -> int:
        """Generic rows, at most, to fit on."""
        return self.fitted_rows or FEWEST_FITTED


def row_embedding(task: Task, settings: EmbeddingSettings, sample: np.ndarray) -> Embed:
    """The embedding, fitted on ``sample`` ``[n, T]`` where it is ``lsi``; depends on the seed.

    Charged to preparation: for LSI, two FLOPs a non-zero entry and component of every row, and the
    SVD (`_svd_flops`). A sentence-transformers model is counted by the FLOP counter.

    Raises:
        UserError: fewer rows than components, a sentence-transformers model that cannot be loaded
            or pools otherwise, or one asked to read rows that are not text.
    """
    if settings.embedding == LSI:
        return _lsi(task, settings, sample)
    return text_encoder(task, settings.embedding)


def _lsi(task: Task, settings: EmbeddingSettings, sample: np.ndarray) -> Embed:
    """Latent semantic indexing fitted on ``sample`` ``[n, T]``."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.preprocessing import FunctionTransformer, normalize

    if len(sample) <= settings.components:
        raise UserError(
            f"components: {settings.components} need more than {len(sample)} generic rows: "
            "lower components or raise fitted_rows"
        )
    count = pixels if task.image else NgramFeatures(task, settings.ngrams, of_characters=(1, 3))
    features = count(sample)
    weigh = (FunctionTransformer() if task.image else TfidfTransformer(sublinear_tf=True)).fit(
        features
    )
    reduce = TruncatedSVD(
        settings.components,
        n_iter=POWER_ITERATIONS,
        n_oversamples=OVERSAMPLES,
        random_state=task.derived_seed("svd") % 2**32,
    )
    reduce.fit(weigh.transform(features))
    task.meter.charge_flops("preparation", _svd_flops(features, settings.components))

    def embed(counts: csr_matrix) -> np.ndarray:
        features = weigh.transform(counts)
        task.meter.charge_flops("preparation", 2.0 * features.nnz * settings.components)
        return np.asarray(normalize(reduce.transform(features)))

    return Embed(embed, read=count)


def _svd_flops(features: csr_matrix, components: int) -> float:
    """Randomised SVD: products with the matrix and its transpose, each result factorised."""
    width = components + OVERSAMPLES
    rows, buckets = features.shape
    products = 4.0 * features.nnz * width
    factorisations = float(rows + buckets) * width**2
    return float((POWER_ITERATIONS + 1) * (products + factorisations))


def text_encoder(task: Task, name: str) -> Embed:
    """Means of a pretrained encoder's last hidden states over the tokens of each row's text."""
    if task.decode is None:
        raise UserError(f"embedding: {name!r} reads text, and these rows hold none: use {LSI!r}")
    tokenizer, encoder = _load_text_encoder(name)
    encoder.eval().to(task.device)
    longest = min(tokenizer.model_max_length, encoder.config.max_position_embeddings)

    @torch.inference_mode()
    def embed_part(rows: np.ndarray) -> torch.Tensor:
        encoded = tokenizer(
            texts(task, rows),
            padding=True,
            truncation=True,
            max_length=longest,
            return_tensors="pt",
        ).to(task.device)
        states = encoder(**encoded).last_hidden_state
        mask = encoded["attention_mask"].unsqueeze(-1).to(states)
        # A sum points where the mean does, and all vectors are scaled to length one.
        return torch.nn.functional.normalize((states * mask).sum(1), dim=1)

    def embed(rows: np.ndarray) -> np.ndarray:
        parts = np.array_split(rows, math.ceil(len(rows) / ENCODED_ROWS))
        return torch.cat([embed_part(part) for part in parts]).cpu().numpy()

    return Embed(embed)


def _load_text_encoder(name: str) -> tuple[Any, Any]:
    """Tokenizer and model."""
    from transformers import AutoModel, AutoTokenizer

    try:
        pooling = _pooling(name)
        tokenizer = AutoTokenizer.from_pretrained(name)
        # Never a pickle: only safetensors weights are accepted.
        encoder = AutoModel.from_pretrained(name, use_safetensors=True)
    except (OSError, ValueError, KeyError) as error:
        problem = str(error).strip().splitlines()[0]
        raise UserError(
            f"embedding: {name!r} cannot be loaded ({problem}); valid: {LSI!r}, or the hub id or "
            "folder of a sentence-transformers model with safetensors weights"
        ) from error
    if pooling - {"pooling_mode_mean_tokens"}:
        raise UserError(
            f"embedding: {name!r} is made for {', '.join(sorted(pooling))}, and only the mean over "
            f"tokens is supported: use {LSI!r} or a model such as "
            "sentence-transformers/all-MiniLM-L6-v2"
        )
    return tokenizer, encoder


def _pooling(name: str) -> set[str]:
    """How a sentence-transformers model pools its states, empty where it does not say."""
    from transformers.utils.hub import cached_file

    try:
        file = cached_file(name, "1_Pooling/config.json")
    except OSError:
        return set()
    settings = json.loads(Path(str(file)).read_text(encoding="utf-8"))
    return {key for key, value in settings.items() if key.startswith("pooling_mode") and value}
