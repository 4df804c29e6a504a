"""Predicting targets that were left out: what is known in advance of made-up cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from benchmark.diagnostic.cheap import CHEAP
from benchmark.diagnostic.evidence.blocks import (
    gain_block,
    score_blocks,
    summary_blocks,
    verdict,
)
from benchmark.diagnostic.evidence.fitting import candidate_features
from benchmark.diagnostic.evidence.gains import QUESTIONS
from benchmark.diagnostic.evidence.prediction import compare_candidates, fit, predict_left_out
from benchmark.diagnostic.evidence.trials import (
    ALWAYS_YES,
    CORPORA,
    NEW,
    TARGETS,
    THEMSELVES,
    Trial,
    scored,
    trials,
)
from benchmark.diagnostic.rule import Fitted, Question, Rule
from benchmark.diagnostic.settings import Settings
from benchmark.diagnostic.summary import MEASURES

pytestmark = pytest.mark.long

TARGET_COUNT = 8


@pytest.fixture(scope="module")
def cells() -> pd.DataFrame:
    """``headroom`` tells the gain up to noise, ``loss_gap`` half of it, nothing else anything."""
    rng = np.random.default_rng(3)
    rows = []
    for number, effect in enumerate((-0.3, 1.5, 0.9, -1.1, 0.4, -0.7, 1.1, -1.4)):
        for model in ("a", "b"):
            for seed in range(2):
                noise = {name: rng.normal() for name in (*MEASURES, *CHEAP)}
                known = {
                    "headroom": effect + 0.1 * rng.normal(),
                    "loss_gap": effect + rng.normal(),
                    "persistence": np.nan if number == 0 else 0.5,
                }
                gains = dict.fromkeys(QUESTIONS, effect)
                names = {"target": f"t{number}", "corpus": f"c{number // 2}"}
                rows.append({"model": model, "seed": seed, **names, **noise, **known, **gains})
    return pd.DataFrame(rows)


def rule_of(cells: pd.DataFrame, targets: list[str]) -> Rule:
    seen = cells[cells["target"].isin(targets)]
    return Rule(
        status="fitted",
        fitted_on=Fitted(
            study="made_up", targets=tuple(targets), settings=Settings(), at=("100%",)
        ),
        questions={
            name: Question(text=name, fit=fit(seen, name, ("headroom",))) for name in QUESTIONS
        },
    )


@pytest.fixture(scope="module")
def rule(cells: pd.DataFrame) -> Rule:
    return rule_of(cells, ["t0", "t1", "t2", "t3", "t4"])


@pytest.fixture(scope="module")
def found(cells: pd.DataFrame, rule: Rule) -> list[Trial]:
    return trials(cells, rule)


@pytest.fixture(scope="module")
def scores(found: list[Trial]) -> pd.DataFrame:
    return pd.concat([scored(trial) for trial in found])


def test_undefined_measures_are_no_candidates(cells: pd.DataFrame) -> None:
    names = {name for features in candidate_features(cells) for name in features}
    assert names == set(MEASURES) - {"persistence"}


def test_the_best_candidate_is_the_one_that_tells(cells: pd.DataFrame) -> None:
    compared = compare_candidates(cells, [("reliability",), ("headroom",), ("self_alignment",)])
    assert compared["features"].iloc[0] == ("headroom",)
    assert compared["unexplained"].iloc[0] < 0.2 < 0.9 < compared["unexplained"].iloc[1]


def test_a_target_is_not_predicted_from_itself(cells: pd.DataFrame) -> None:
    """Only a fit that has seen the target could tell it by a measure that marks it."""
    marked = cells.assign(reliability=np.where(cells["target"] == "t0", 5.0, 0.0))
    marked[QUESTIONS[0]] = np.where(marked["target"] == "t0", 1.0, -1.0)
    found = predict_left_out(marked, QUESTIONS[0], ("reliability",))
    assert (found.chance < 0.5).all()
    assert found.gain == pytest.approx(-np.ones(len(cells)), abs=0.3)


def test_a_corpus_is_left_out_whole(cells: pd.DataFrame) -> None:
    """Two targets of one corpus with one answer: each would tell the other."""
    marked = cells.assign(reliability=np.where(cells["corpus"] == "c0", 5.0, 0.0))
    marked[QUESTIONS[0]] = np.where(marked["corpus"] == "c0", 1.0, -1.0)
    by_target = predict_left_out(marked, QUESTIONS[0], ("reliability",))
    by_corpus = predict_left_out(marked, QUESTIONS[0], ("reliability",), by="corpus")
    twins = (cells["corpus"] == "c0").to_numpy()
    assert (by_target.chance[twins] > 0.5).all()
    assert (by_corpus.chance[twins] < 0.5).all()


def test_trials_score_what_tells_above_what_does_not(
    cells: pd.DataFrame, found: list[Trial], scores: pd.DataFrame
) -> None:
    assert [trial.name for trial in found] == [TARGETS, CORPORA, NEW, THEMSELVES]
    assert set(found[-2].cells["target"]) == {"t5", "t6", "t7"}
    table = scores.set_index(["trial", "question", "predictor", "score"])["value"]
    for trial in (TARGETS, CORPORA):
        assert table[trial, QUESTIONS[0], "rule", "Spearman"] > 0.8
        assert table[trial, QUESTIONS[0], "rule", "ROC AUC"] > 0.9
        yes = float((cells[QUESTIONS[0]] > 0).mean())
        assert table[trial, QUESTIONS[0], ALWAYS_YES, "accuracy"] == pytest.approx(yes)
        rule_score = table[trial, QUESTIONS[0], "rule", "log loss"]
        assert rule_score < table[trial, QUESTIONS[0], "base rate", "log loss"]
    expected = spearmanr(cells["loss_gap"], cells[QUESTIONS[0]]).statistic
    assert table[THEMSELVES, QUESTIONS[0], "loss_gap", "Spearman"] == pytest.approx(expected)
    assert "persistence" not in set(scores["predictor"])


def test_without_new_targets_there_is_no_trial_on_them(cells: pd.DataFrame) -> None:
    rule = rule_of(cells, list(cells["target"].unique()))
    assert [trial.name for trial in trials(cells, rule)] == [TARGETS, CORPORA, THEMSELVES]


def test_tables_and_sentences_say_who_is_better(
    cells: pd.DataFrame, rule: Rule, found: list[Trial], scores: pd.DataFrame
) -> None:
    block = summary_blocks(scores, found[0])[-1]
    assert f"({len(cells)} cells of {TARGET_COUNT} targets)" in block.title
    spearman = dict(zip(block.head[1:], block.rows[0][1], strict=True))
    assert spearman["best cheap"].text.startswith("loss gap 0.")
    assert spearman["rule less cheap"].best
    assert "the rule is better in" in verdict(scores)
    assert "better in 0" not in verdict(scores)
    names = [name for name, _ in gain_block(cells, rule).rows]
    assert names == [*(f"t{n}" for n in range(5)), "t5 (new)", "t6 (new)", "t7 (new)", "all"]
    assert len(score_blocks(scores, rule)) == 4 * len(QUESTIONS)
