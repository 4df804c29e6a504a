"""CRISP: clusters, the smoothed histogram, what is drawn."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from baselines.clusters import Clusters, ClusterSettings, cluster
from baselines.crisp import Crisp, smoothed_histogram
from benchmark.errors import UserError
from benchmark.task import Task

from .tasks import MakeTask, TextRows, batches, build, byte_rows, harbour_share, make_task, prepared

SMALL: dict[str, Any] = {"count": 8, "components": 8, "ngrams": {"buckets": 4096}}
MODEL = {"embedding": "some/model"}


def test_prefers_rows_like_the_target(corpora_tasks: MakeTask) -> None:
    assert harbour_share(prepared(Crisp, corpora_tasks(), **SMALL)) > 0.8


def test_clusters_follow_the_subjects(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks()
    found = cluster(task, ClusterSettings.model_validate(SMALL))
    subjects = task.generic.domains(np.arange(len(task.generic)))
    table = np.zeros((8, 3))
    np.add.at(table, (found.domains.labels, subjects), 1)
    assert table.max(1).sum() / table.sum() > 0.9, "rows of a cluster share their subject"
    assert len(found.target_labels) == task.target_size


def test_histogram_by_hand() -> None:
    shares = np.array([0.5, 0.25, 0.25, 0.0])
    weights = smoothed_histogram(np.array([0, 0, 1, 3]), shares, 0.2)
    np.testing.assert_allclose(weights, [0.5, 0.25, 0.05, 0.2])
    assert weights.sum() == pytest.approx(1)


def test_rows_are_uniform_within_a_cluster_and_clusters_follow_the_weights() -> None:
    task = make_task(TextRows(["x"] * 10), byte_rows(["x"] * 8, 48), batch_size=2000)
    made = build(Crisp, task, count=2)
    labels = np.repeat([0, 1], [2, 8])
    made._clusters = Clusters.from_labels(labels, np.array([0, 0, 0, 1]), count=2)
    made.prepare()
    drawn = np.bincount(made.batch(0).positions, minlength=10) / 2000
    expected = np.repeat([made.weights[0] / 2, made.weights[1] / 8], [2, 8])
    np.testing.assert_allclose(drawn, expected, atol=0.03)


def test_empty_clusters_are_reported_and_never_drawn() -> None:
    task = make_task(TextRows(["x"] * 10), byte_rows(["x"] * 8, 48))
    made = build(Crisp, task, count=4, smoothing=0.5)
    labels = np.repeat([0, 1], 5)
    made._clusters = Clusters.from_labels(labels, np.array([0, 2, 2, 2]), count=4)
    made.prepare()
    assert made.observe(0) == {
        "empty_clusters": 2,
        "target_mass_in_empty_clusters": pytest.approx(0.75 * 0.5),
    }
    assert set(made.batch(0).positions) <= set(range(10))


def test_choice_is_a_function_of_the_seed(corpora_tasks: MakeTask) -> None:
    first, again, other = (
        batches(prepared(Crisp, corpora_tasks(seed=seed), **SMALL)) for seed in (0, 0, 1)
    )
    assert first.equal(again)
    assert not first.equal(other)


def test_goes_on_from_its_state_without_clustering(
    corpora_tasks: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = prepared(Crisp, corpora_tasks(), **SMALL)
    resumed = build(Crisp, corpora_tasks(), **SMALL)
    monkeypatch.setattr("baselines.crisp.cluster", None)
    resumed.load_state_dict(whole.state_dict())
    assert batches(resumed).equal(batches(whole))
    assert resumed.observe(3) == whole.observe(3)
    assert resumed.clusters.target_labels.tolist() == whole.clusters.target_labels.tolist()


def test_clustering_is_charged(corpora_tasks: MakeTask) -> None:
    few, many = (
        prepared(Crisp, corpora_tasks(), **{**SMALL, "count": count}).task.meter.bill()
        for count in (8, 32)
    )
    assert 0 < few.parts["preparation"] < many.parts["preparation"]
    assert few.target_passes == 1


@pytest.mark.parametrize(
    ("settings", "key"),
    [({"count": 64}, "count: 64 .* 20 generic rows"), ({"count": 8}, "components: 64 .* 20 ")],
)
def test_too_few_rows_are_refused(settings: dict[str, Any], key: str) -> None:
    task = make_task(TextRows(["x"] * 20), byte_rows(["x"] * 8, 48))
    with pytest.raises(UserError, match=key):
        prepared(Crisp, task, **settings)


def test_missing_sentence_transformers_is_explained(
    corpora_tasks: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(UserError, match="`pip install sentence-transformers`, or use 'lsi'"):
        prepared(Crisp, corpora_tasks(), **MODEL)


def test_a_sentence_transformers_model_embeds_the_text(
    corpora_tasks: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in that knows one word; real models need a download."""
    seen: list[str] = []

    class KnowsAnchor:
        def __init__(self, name: str, device: str) -> None:
            assert (name, device) == ("some/model", "cpu")

        def encode(self, sentences: list[str], **_: Any) -> np.ndarray:
            seen.extend(sentences)
            return np.array([[1.0, 0] if "anchor" in text else [0, 1.0] for text in sentences])

    package = SimpleNamespace(SentenceTransformer=KnowsAnchor)
    monkeypatch.setitem(sys.modules, "sentence_transformers", package)
    made = prepared(Crisp, corpora_tasks(), count=2, **MODEL)
    assert "anchor" in " ".join(seen)
    with_anchor = made.domains.labels == made.domains.labels[_first_with(made.task, b"anchor")]
    assert all((b"anchor" in text) == same for text, same in _texts(made.task, with_anchor))


def _first_with(task: Task, word: bytes) -> int:
    rows = task.generic.tokens(np.arange(len(task.generic)))
    return next(n for n, row in enumerate(rows) if word in bytes(row.astype(np.uint8)))


def _texts(task: Task, flags: np.ndarray) -> list[tuple[bytes, bool]]:
    rows = task.generic.tokens(np.arange(len(task.generic))).astype(np.uint8)
    return [(bytes(row), bool(flag)) for row, flag in zip(rows, flags, strict=True)]


def test_a_model_that_cannot_be_loaded_is_explained(
    corpora_tasks: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, **_: str) -> None:
        raise OSError(f"{name} is not a local folder\nnor on the hub")

    package = SimpleNamespace(SentenceTransformer=refuse)
    monkeypatch.setitem(sys.modules, "sentence_transformers", package)
    with pytest.raises(UserError, match=r"'some/model' cannot be loaded \(some/model is not"):
        prepared(Crisp, corpora_tasks(), **MODEL)


def test_a_text_model_refuses_rows_of_tokens() -> None:
    task = make_task(TextRows(["x"] * 80), byte_rows(["x"] * 8, 48), vocabulary_size=300)
    with pytest.raises(UserError, match="reads text, and these rows are not bytes"):
        prepared(Crisp, task, **MODEL)


@pytest.mark.parametrize("bad", [{"count": 1}, {"smoothing": 0.0}, {"components": 1}, {"k": 3}])
def test_bad_hyperparameters_are_named(bad: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        Crisp.Hyperparameters.model_validate(bad)


def test_search_space_includes_the_clusters() -> None:
    assert set(Crisp.Hyperparameters.search_space()) == {"count", "smoothing"}
