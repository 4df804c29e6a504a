"""The rule: none until it is fitted; then probabilities with intervals; nothing in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmark.core.errors import UserError
from benchmark.diagnostic.evidence.gains import QUESTIONS
from benchmark.diagnostic.rule import NOT_FITTED, RULE, load_rule
from benchmark.diagnostic.summary import Estimated
from benchmark.diagnostic.terminal import outside_words

CHEAP = {"ngram_divergence": 0.1, "classifier_auc": 0.9, "loss_gap": 0.3}


def estimated(headroom: float = 0.8, spread: float = 0.1) -> Estimated:
    rng = np.random.default_rng(0)
    values = {
        "reliability": 0.7,
        "excess_reliability": 0.3,
        "headroom": headroom,
        "transfer_correlation": 0.5,
    }
    replicates = [
        {name: value + spread * rng.normal() for name, value in values.items()} for _ in range(50)
    ]
    return Estimated(values, replicates, batches=8)


@pytest.fixture
def fitted() -> dict[str, Any]:
    """The content of a rule file with one fit for all questions."""
    content: dict[str, Any] = yaml.safe_load(RULE.read_text())
    fitted_on = {"study": "a test", "targets": ["a", "b"], "settings": {}, "at": ["100%"]}
    content |= {"status": "fitted", "fitted_on": fitted_on}
    for question in content["questions"].values():
        question["fit"] = {
            "log_odds": {"intercept": -1.0, "weights": {"headroom": 2.0}},
            "gain": {"intercept": 0.01, "weights": {"headroom": 0.05}},
        }
    return content


def written(folder: Path, content: dict[str, Any]) -> Path:
    file = folder / "rule.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def test_the_shipped_rule_says_whether_it_is_fitted() -> None:
    rule = load_rule()
    verdict = rule.judge(estimated(), CHEAP)
    assert tuple(verdict.answers) == QUESTIONS
    given = [answer.probability is not None for answer in verdict.answers.values()]
    if rule.status == NOT_FITTED:
        assert not any(given)
        assert verdict.fitted_on is None
    else:
        assert all(given)
        assert verdict.fitted_on


def test_a_fitted_rule_gives_probabilities(tmp_path: Path, fitted: dict[str, Any]) -> None:
    verdict = load_rule(written(tmp_path, fitted)).judge(estimated(), CHEAP)
    for answer in verdict.answers.values():
        found = answer.probability
        assert found is not None
        assert found.value == pytest.approx(1 / (1 + np.exp(1 - 2 * 0.8)))
        assert found.low is not None
        assert found.high is not None
        assert 0 < found.low < found.value < found.high < 1
        assert answer.gain is not None
        assert answer.gain.value == pytest.approx(0.01 + 0.05 * 0.8)
    assert verdict.fitted_on == "2 targets of the study a test"


def test_a_rule_may_use_a_cheap_predictor(tmp_path: Path, fitted: dict[str, Any]) -> None:
    weights = {"loss_gap": -2.0}
    fitted["questions"]["static_as_trained"]["fit"]["log_odds"]["weights"] = weights
    rule = load_rule(written(tmp_path, fitted))
    assert rule.features == ("headroom", "loss_gap")
    answer = rule.judge(estimated(), CHEAP).answers["static_as_trained"]
    assert answer.probability is not None
    assert answer.probability.value == pytest.approx(1 / (1 + np.exp(1 + 2 * 0.3)))


def test_an_undefined_measure_gives_no_probability(tmp_path: Path, fitted: dict[str, Any]) -> None:
    rule = load_rule(written(tmp_path, fitted))
    found = next(
        iter(rule.judge(estimated(headroom=float("nan")), CHEAP).answers.values())
    ).probability
    assert found is not None
    assert found.value is None
    fitted["questions"]["static_as_trained"]["fit"]["log_odds"]["weights"] = {"persistence": 1.0}
    missing = load_rule(written(tmp_path, fitted)).judge(estimated(), CHEAP)
    probability = missing.answers["static_as_trained"].probability
    assert probability is not None
    assert probability.value is None


def test_the_sentence_follows_the_intervals(tmp_path: Path, fitted: dict[str, Any]) -> None:
    rule = load_rule(written(tmp_path, fitted))
    clear, unclear = (
        rule.judge(estimated(spread=spread), CHEAP).sentence for spread in (0.01, 2.0)
    )
    assert clear.startswith("The sample ranks generic rows reproducibly, its ranking is more")
    assert unclear.startswith("The sample is too small to rank generic rows reproducibly")
    assert "do not clearly point" in unclear
    assert "not" not in clear


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "roughly"}, r"status: .*'provisional: not fitted'.*\(got 'roughly'\)"),
        ({"status": NOT_FITTED}, r"allows no fit"),
        ({"fitted_on": None}, r"needs fitted_on"),
        ({"when": 1}, r"when: unknown key 'when'.*valid: fitted_on, questions, status"),
    ],
)
def test_a_rule_that_does_not_say_what_it_is(
    tmp_path: Path, fitted: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    file = written(tmp_path, fitted | change)
    with pytest.raises(UserError, match=message) as refused:
        load_rule(file)
    assert str(file) in str(refused.value)


def test_a_weight_for_an_unknown_measure(tmp_path: Path, fitted: dict[str, Any]) -> None:
    fitted["questions"]["static_as_trained"]["fit"]["gain"]["weights"] = {"headrom": 1.0}
    with pytest.raises(UserError, match=r"unknown measure 'headrom' \(did you mean 'headroom'"):
        load_rule(written(tmp_path, fitted))


def test_a_study_unlike_those_of_the_rule_gets_no_probability(
    tmp_path: Path, fitted: dict[str, Any]
) -> None:
    seen = {"parameters": [40_000, 120_000], "steps": [320, 320], "sample": [100, 5000]}
    fitted["fitted_on"]["seen"] = seen
    rule = load_rule(written(tmp_path, fitted))
    assert rule.outside(100_000, 320, 100) == ()
    outside = rule.outside(10_000_000, 60, 1000)
    assert outside == (
        "10,000,000 parameters of the model (seen: 40,000 to 120,000)",
        "60 steps of pretraining (seen: 320)",
    )
    assert rule.outside(100_000, 320, 100, "images") == ("task images (seen: language_modelling)",)
    verdict = rule.judge(estimated(), CHEAP, outside)
    assert verdict.outside == outside
    assert {answer.probability for answer in verdict.answers.values()} == {None}
    said = outside_words(verdict.outside, verdict.fitted_on)
    assert said.startswith("Outside what the rule has seen: 10,000,000 parameters")


def test_a_rule_that_does_not_say_what_it_has_seen_speaks_of_every_study(
    tmp_path: Path, fitted: dict[str, Any]
) -> None:
    assert load_rule(written(tmp_path, fitted)).outside(1, 1, 1) == ()
