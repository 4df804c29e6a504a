"""Clusters of the generic rows, found from their text: the domains of CRISP.

Rows are embedded, k-means is fitted on a sample of the generic ones, and then every generic row
and every row of the target sample goes to its nearest centre. Two embeddings: ``lsi``, latent
semantic indexing (hashed n-grams, TF-IDF, truncated SVD), or any sentence-transformers model that
averages over tokens; those are loaded by transformers alone. Byte rows of a line of text hold few
whole words, and short character n-grams make clusters that are purer.
More: docs/methods/crisp.md
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from pydantic import Field
from threadpoolctl import threadpool_limits
from torch import Tensor

from baselines.mixtures.domains import Domains
from baselines.row_text import (
    NgramFeatures,
    NgramSettings,
    all_positions,
    blocks_of,
    generic_sample,
    texts,
)
from benchmark.api import Choice, Hyperparameters, Task, UserError, scan

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

LSI = "lsi"
KMEANS_BATCH = 1024
FEWEST_FITTED, FITTED_A_CLUSTER = 20_000, 256
POWER_ITERATIONS, OVERSAMPLES = 2, 10
ENCODED_ROWS = 128

Embed = Callable[[np.ndarray], np.ndarray]
"""Token rows ``[n, T]`` to unit vectors ``[n, d]``."""

Assign = Callable[[np.ndarray], np.ndarray]
"""Token rows ``[n, T]`` to the numbers of their clusters ``[n]``."""


class ClusterSettings(Hyperparameters):
    """How generic rows are clustered."""

    count: Annotated[int, Field(ge=2, le=65536), Choice((16, 64, 256))] = 64
    """Number of clusters."""

    embedding: Annotated[str, Field(min_length=1)] = LSI
    """``lsi``, or the hub id or folder of a sentence-transformers model."""

    components: Annotated[int, Field(ge=2, le=1024)] = 64
    """Dimension of the ``lsi`` embedding."""

    ngrams: NgramSettings = NgramSettings()
    """What the ``lsi`` embedding counts."""

    fitted_rows: Annotated[int | None, Field(ge=2)] = None
    """Generic rows, at most, that embedding and k-means are fitted on; None: 256 a cluster, and at
    least 20,000.
    """

    @property
    def sample_rows(self) -> int:
        """Generic rows, at most, to fit on."""
        return self.fitted_rows or max(FEWEST_FITTED, FITTED_A_CLUSTER * self.count)


@dataclass(frozen=True)
class Clusters:
    """The cluster of each generic row ``[len(generic)]`` and of each row of the target ``[k]``."""

    labels: np.ndarray
    target_labels: np.ndarray


def cluster_domains(labels: np.ndarray, count: int) -> Domains:
    """Generic rows by cluster, ``labels`` ``[len(generic)]`` being below ``count``."""
    return Domains(labels, tuple(f"cluster_{number}" for number in range(count)))


def cluster(task: Task, settings: ClusterSettings) -> Clusters:
    """Cluster the generic rows and place the target sample; a function of the task's seed.

    Uses as many threads as torch does.
    Charged to preparation: for LSI, two FLOPs a non-zero entry and component of every row, and the
    SVD (`_svd_flops`); for k-means, two FLOPs a dimension of every distance, in the fit and in
    the assignment. A sentence-transformers model is counted by the FLOP counter.

    Raises:
        UserError: fewer rows than clusters or components, a sentence-transformers model that
            cannot be loaded or pools otherwise, or one asked to read rows that are not text.
    """
    # What a method adds to these settings does not change its clusters.
    names = set(ClusterSettings.model_fields)
    depends_on = settings.model_dump(mode="json", include=names) | {"seed": task.seed}

    def compute() -> dict[str, Tensor]:
        with threadpool_limits(torch.get_num_threads()):
            sample = generic_sample(task, "clusters", settings.sample_rows)
            assign = _fit(task, settings, sample)

            def of_part(positions: np.ndarray) -> np.ndarray:
                return np.concatenate([assign(rows) for rows in blocks_of(task, positions)])

            everything = all_positions(task)
            labels = scan(task, "labels", depends_on, everything, of_part, rows_alone=True)
            target_labels = assign(task.target_sample().cpu().numpy())
        return {"rows": torch.from_numpy(labels), "target": torch.from_numpy(target_labels)}

    found = task.once("clusters", depends_on, compute, rows_alone=True)
    return Clusters(found["rows"].cpu().numpy(), found["target"].cpu().numpy())


def _fit(task: Task, settings: ClusterSettings, sample: np.ndarray) -> Assign:
    """Embedding and k-means fitted on ``sample`` ``[n, T]``."""
    from sklearn.cluster import MiniBatchKMeans

    if len(sample) < settings.count:
        raise UserError(
            f"count: {settings.count} clusters cannot be fitted on {len(sample)} generic rows: "
            "lower count or raise fitted_rows"
        )
    embed = (
        _lsi(task, settings, sample)
        if settings.embedding == LSI
        else text_encoder(task, settings.embedding)
    )
    kmeans = MiniBatchKMeans(
        settings.count, batch_size=KMEANS_BATCH, n_init=3, random_state=_seed(task, "k-means")
    )
    points = embed(sample)
    kmeans.fit(points)
    distances = 2.0 * settings.count * points.shape[1]
    task.meter.charge_flops("preparation", kmeans.n_steps_ * KMEANS_BATCH * distances)

    def assign(rows: np.ndarray) -> np.ndarray:
        task.meter.charge_flops("preparation", len(rows) * distances)
        return np.asarray(kmeans.predict(embed(rows)), dtype=np.int64)

    return assign


def _lsi(task: Task, settings: ClusterSettings, sample: np.ndarray) -> Embed:
    """Latent semantic indexing fitted on ``sample`` ``[n, T]``."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.preprocessing import normalize

    if len(sample) <= settings.components:
        raise UserError(
            f"components: {settings.components} need more than {len(sample)} generic rows: "
            "lower components or raise fitted_rows"
        )
    count = NgramFeatures(task, settings.ngrams, of_characters=(1, 3))
    features = count(sample)
    weigh = TfidfTransformer(sublinear_tf=True).fit(features)
    reduce = TruncatedSVD(
        settings.components,
        n_iter=POWER_ITERATIONS,
        n_oversamples=OVERSAMPLES,
        random_state=_seed(task, "svd"),
    )
    reduce.fit(weigh.transform(features))
    task.meter.charge_flops("preparation", _svd_flops(features, settings.components))

    def embed(rows: np.ndarray) -> np.ndarray:
        features = weigh.transform(count(rows))
        task.meter.charge_flops("preparation", 2.0 * features.nnz * settings.components)
        return np.asarray(normalize(reduce.transform(features)))

    return embed


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

    return embed


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


def _seed(task: Task, purpose: str) -> int:
    """A seed in scikit-learn's range."""
    return task.derived_seed(purpose) % 2**32
