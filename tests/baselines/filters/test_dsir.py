"""DSIR: the published formulas, the public package as oracle, what is selected."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from data_selection import HashedNgramDSIR
from data_selection.hashed_ngram_dsir import get_ngram_counts
from pydantic import ValidationError

from baselines.filters.dsir import Dsir, hashed_ngrams, log_ratio
from benchmark.api.state import restore, state_of
from benchmark.data.tokenizers import ByteTokenizer
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
from tests.conftest import sentences

BASE_RATE = 1 / 3
ODD_TEXTS = [
    "Don't stop -- 12,000 ships!",
    "ÉTÉ à Zürich; naïve café",
    "?!... ",
    "one",
    "日本語 text. and_under_scores  two  spaces\nnewline",
    "cut in two: \ufffd",
]


def test_counts_are_those_of_the_public_package() -> None:
    buckets = 10_000
    for text in ODD_TEXTS:
        np.testing.assert_array_equal(
            hashed_ngrams([text], buckets).counts(buckets), get_ngram_counts(text)
        )


def test_log_weights_are_those_of_the_public_package(tmp_path: Path) -> None:
    generic = [*sentences("garden", 40, 0), *sentences("harbour", 40, 1), *ODD_TEXTS]
    target = sentences("harbour", 30, 2)
    task = make_task(TextRows(generic, 64), byte_rows(target, 64))
    # What a row holds of its text, so that both see the same.
    seen = [ByteTokenizer().decode(row) for row in byte_rows(generic, 64)]
    theirs = oracle_log_weights(tmp_path, seen, target)
    np.testing.assert_allclose(
        build(Dsir, task, keep=0.5).log_weights(), theirs, rtol=1e-12, atol=1e-10
    )


def test_the_targets_counts_are_smoothed_before_they_are_normalised() -> None:
    """As the public code's later versions do; with the counts of the package as released."""
    generic, target = sentences("garden", 20, 0), sentences("harbour", 10, 2)
    task = make_task(TextRows(generic, 64), byte_rows(target, 64))
    counts = {text: get_ngram_counts(text) for text in (*generic, *target)}
    smoothed = sum(counts[text] for text in target) + 0.5
    everything = sum(counts[text] for text in generic)
    ratio = np.log(smoothed / smoothed.sum() + 1e-8) - np.log(everything / everything.sum() + 1e-8)
    expected = [counts[text] @ ratio for text in generic]
    found = build(Dsir, task, keep=0.5, target_smoothing=0.5).log_weights()
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-10)


def test_records_without_smoothing_are_as_before_it_was_there() -> None:
    settings = Dsir.Hyperparameters
    assert "target_smoothing" not in settings().model_dump()
    assert settings(target_smoothing=0.1).model_dump()["target_smoothing"] == 0.1
    assert settings.model_validate(settings().model_dump()) == settings()


def oracle_log_weights(folder: Path, generic: list[str], target: list[str]) -> np.ndarray:
    for name, texts in (("generic", generic), ("target", target)):
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    oracle = HashedNgramDSIR(
        [str(folder / "generic.jsonl")],
        [str(folder / "target.jsonl")],
        cache_dir=str(folder / "cache"),
        num_proc=1,
    )
    oracle.fit_importance_estimator(num_tokens_to_fit="all")
    oracle.compute_importance_weights()
    return np.asarray(np.load(oracle.log_importance_weights_dir / "0.npy"))


def test_formula_by_hand() -> None:
    """Two buckets, 3 : 1 in the target and 1 : 1 in the generic corpus."""
    ratio = log_ratio(np.array([3.0, 1.0]), np.array([5.0, 5.0]))
    np.testing.assert_allclose(ratio, [math.log(0.75 / 0.5), math.log(0.25 / 0.5)], atol=1e-6)
    unseen = log_ratio(np.array([1.0, 0.0]), np.array([0.5, 0.5]))[1]
    assert unseen == pytest.approx(math.log(1e-8) - math.log(0.5))


def test_a_higher_floor_forgives_unseen_ngrams() -> None:
    seen, unseen = log_ratio(np.array([1.0, 0.0]), np.array([0.5, 0.5]), floor=0.1)
    np.testing.assert_allclose([seen, unseen], [math.log(1.1 / 0.6), math.log(0.1 / 0.6)])


def test_a_text_weighs_the_sum_of_its_ngrams() -> None:
    found = hashed_ngrams(["Anchor, anchor", "", "keel"], 1000)
    values = np.random.default_rng(0).normal(size=1000)
    weights = found.sums(values)
    assert found.counts(1000).sum() == 3 + 2 + 1, "three words, two bigrams; one word"
    assert weights[1] == 0
    assert weights.sum() == pytest.approx(found.counts(1000) @ values)


def test_prefers_rows_like_the_target(corpora_tasks: MakeTask) -> None:
    assert harbour_share(prepared(Dsir, corpora_tasks())) > 0.95


def test_noise_resamples_instead_of_taking_the_best(corpora_tasks: MakeTask) -> None:
    """With as many buckets as sides of a coin, weights are close and the noise decides."""
    share = harbour_share(prepared(Dsir, corpora_tasks(), buckets=2))
    assert BASE_RATE - 0.15 < share < 0.95


def test_no_row_is_too_short() -> None:
    task = make_task(TextRows(["ship"] * 10 + ["rose"] * 10), byte_rows(["ship"] * 8, 48))
    kept = state_of(prepared(Dsir, task, keep=0.5))["kept"]
    assert kept.tolist() == list(range(10))


def test_all_rows_may_be_kept(corpora_tasks: MakeTask) -> None:
    made = prepared(Dsir, corpora_tasks(), keep=1.0)
    assert state_of(made)["kept"].tolist() == list(range(len(made.task.generic)))


def test_selection_is_a_function_of_the_seed(corpora_tasks: MakeTask) -> None:
    first, again = (prepared(Dsir, corpora_tasks()) for _ in range(2))
    other = prepared(Dsir, corpora_tasks(seed=1))
    assert state_of(first)["kept"].equal(state_of(again)["kept"])
    assert not state_of(first)["kept"].equal(state_of(other)["kept"])


def test_goes_on_from_its_state_without_preparing(corpora_tasks: MakeTask) -> None:
    whole, resumed = prepared(Dsir, corpora_tasks()), build(Dsir, corpora_tasks())
    restore(resumed, state_of(whole))
    assert batches(resumed).equal(batches(whole))


def test_rows_of_tokens_are_read_as_words() -> None:
    """Ids far above a byte's; the target uses the second half of the vocabulary."""
    rng = np.random.default_rng(0)
    rows = TextRows([""] * 40, 16)
    rows.array = np.concatenate([rng.integers(1, 500, (20, 16)), rng.integers(500, 999, (20, 16))])
    task = make_task(rows, rng.integers(500, 999, (30, 16)), vocabulary_size=1000)
    assert state_of(prepared(Dsir, task, keep=0.5))["kept"].tolist() == list(range(20, 40))


def test_text_is_what_the_datas_tokenizer_decodes() -> None:
    """Token 1 is the target's word in capitals; as ids, the rows have no word in common."""
    rows = TextRows([""] * 40, 16)
    rows.array = np.repeat([[2], [3]], 20, axis=0)
    words = np.array(["", "SHIP", "ship", "rose"])

    def decode(tokens: np.ndarray) -> list[str]:
        return [" ".join(words[row]) for row in tokens]

    task = make_task(rows, np.ones((30, 1), np.int64), vocabulary_size=4, decode=decode)
    assert state_of(prepared(Dsir, task, keep=0.5))["kept"].tolist() == list(range(20))


def test_the_bill_counts_ngrams_and_target_passes(corpora_tasks: MakeTask) -> None:
    bill = prepared(Dsir, corpora_tasks()).task.meter.bill()
    assert bill.target_passes == 1
    assert bill.parts["preparation"] > 2 * 1000


@pytest.mark.parametrize("bad", [{"buckets": 1}, {"floor": 0.0}, {"keep": 0.0}, {"bucket": 9}])
def test_bad_hyperparameters_are_named(bad: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        Dsir.Hyperparameters.model_validate(bad)
