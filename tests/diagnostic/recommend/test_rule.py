"""Rules fitted to made-up studies whose truth is known, their files and their refusals."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmark.core.errors import UserError
from benchmark.diagnostic.recommend.advice import forecast, menu, recommend
from benchmark.diagnostic.recommend.fitting import fit_rule
from benchmark.diagnostic.recommend.rule import AdviceRule, load_advice_rule, write_advice_rule
from benchmark.diagnostic.recommend.score_blocks import sentences
from benchmark.diagnostic.recommend.scores import ALL_QUESTIONS
from benchmark.diagnostic.recommend.scoring import score_frozen, score_left_out
from tests.diagnostic.recommend.made_up import MENU, cells, fitted, measured, on, truth


@pytest.fixture(scope="module")
def rule() -> AdviceRule:
    return fitted(cells(24, seed=1))


def test_intervals_hold_nine_in_ten_gains_of_new_sources() -> None:
    """Over simulated studies of a dozen sources, predicting sources that were not fitted to."""
    inside = []
    for seed in range(12):
        some = cells(12, seed)
        rule = fitted(some)
        for cell in cells(12, 1000 + seed, targets=1):
            said = forecast(rule, "as_trained", rule.standardised(cell.measured), list(MENU))
            low, high = said.bounds
            gain = np.array([cell.gains["as_trained"][label] for label in MENU])
            inside.append((low <= gain) & (gain <= high))
    assert 0.85 <= np.mean(inside) <= 0.95


def test_the_best_is_recommended_where_measures_say_so(rule: AdviceRule) -> None:
    right = []
    for cell in cells(20, seed=77, between=0.05, within=0.05):
        expected = {"pretraining": 0.0, **truth(cell)}
        found = recommend(rule, cell.measured, list(MENU))["as_trained"]
        first, second = sorted(expected.values(), reverse=True)[:2]
        if first - second > 1.0:
            right.append(found.method == max(expected, key=lambda label: expected[label]))
    assert len(right) > 15
    assert np.mean(right) == 1.0


def test_probabilities_and_regrets_fit_together(rule: AdviceRule) -> None:
    found = recommend(rule, measured(1.5, np.random.default_rng(0)), list(MENU))["fine_tuned"]
    assert found.method == "dsir"
    assert sum(each.probability_best for each in found.expected.values()) == pytest.approx(1)
    best = found.expected["dsir"]
    assert best.regret == found.regret == min(each.regret for each in found.expected.values())
    assert best.low < best.change < best.high < 0
    assert found.expected["pretraining"].change == 0
    assert "dsir is expected to change the loss by -" in found.why


def test_a_gain_below_the_spread_of_seeds_is_no_difference(rule: AdviceRule) -> None:
    loud = dict.fromkeys(MENU, 50.0)
    ends = {name: end.model_copy(update={"seed_spread": loud}) for name, end in rule.ends.items()}
    of = rule.model_copy(update={"ends": ends})
    found = recommend(of, measured(1.5, np.random.default_rng(0)), list(MENU))["as_trained"]
    assert found.method == "pretraining"
    assert set(found.no_difference) == set(MENU)
    assert "larger than one seed's spread" in found.why


def test_order_and_names_of_cells_change_nothing() -> None:
    some = cells(10, seed=3)
    turned = [replace(cell, source=f"other {cell.source}") for cell in reversed(some)]
    a, b = fitted(some), fitted(turned)
    for cell in cells(3, seed=4):
        standardised = a.standardised(cell.measured)
        for end, label in a.regressions:
            ours, theirs = (rule.expected(end, label, standardised) for rule in (a, b))
            assert theirs == pytest.approx(ours, rel=1e-4, abs=1e-4)
    assert fitted(some) == a


def test_units_of_measures_change_nothing() -> None:
    some = cells(10, seed=3)

    others = []
    for cell in some:
        values = {name: 7.0 + 1000.0 * value for name, value in cell.measured.values.items()}
        other = cell.measured.model_copy(update={"values": values})
        others.append(replace(cell, measured=other))
    ours = recommend(fitted(some), some[0].measured, list(MENU))["as_trained"]
    theirs = recommend(fitted(others), others[0].measured, list(MENU))["as_trained"]
    for label, each in ours.expected.items():
        assert theirs.expected[label].change == pytest.approx(each.change, abs=0.01)


def test_a_rule_is_read_back_as_it_was(rule: AdviceRule, tmp_path: Path) -> None:
    file = tmp_path / "rule.yaml"
    write_advice_rule(file, rule)
    assert load_advice_rule(file) == rule
    assert file.read_text().startswith("# Gain of each method over pretraining")


def test_what_a_rule_was_fitted_on_in_words(rule: AdviceRule) -> None:
    few = rule.fitted_on.model_copy(update={"studies": ("a", "b", "c")})
    assert few.words.endswith(" runs of a, b, c")
    many = rule.fitted_on.model_copy(update={"studies": ("a", "b", "c", "d")})
    assert many.words.endswith(" runs of 4 studies, a to d")


def test_a_rule_says_what_lies_outside(rule: AdviceRule) -> None:
    rng = np.random.default_rng(0)
    assert rule.outside(cells(24, seed=1)[0].measured) == ()
    found = rule.outside(measured(99.0, rng, documents=1_234_567))
    assert any(words.startswith("ngram divergence 99 (seen: -") for words in found)
    # Once: the logarithm of the documents is not named beside them.
    (documents,) = [words for words in found if "documents" in words]
    assert documents.startswith("sample documents 1,234,567 (seen:")
    other = measured(0.0, rng).model_copy(update={"task": "images"})
    assert "task images (seen: language_modelling)" in rule.outside(other)


def test_what_a_rule_cannot_be_asked(rule: AdviceRule, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="fitted on measures of tier 0, asked with those of tier 1"):
        rule.standardised(measured(0.0, np.random.default_rng(0)).model_copy(update={"tier": 1}))
    known = {"mixing": "mixing", "cds": "cds"}
    assert menu(rule, known, ()) == ("mixing",)
    with pytest.raises(UserError, match=r"--methods: unknown method 'mixng' \(did you mean"):
        menu(rule, known, ("mixng",))
    with pytest.raises(UserError, match=r"unknown method of the rule 'cds' .*valid: dds, dsir"):
        menu(rule, known, ("cds",))
    with pytest.raises(UserError, match="'mixing' is dds in the study and mixing in the rule"):
        menu(rule, {"mixing": "dds"}, ())
    with pytest.raises(UserError, match="the rule knows none of them"):
        menu(rule, {"cds": "cds"}, ())
    file = tmp_path / "rule.yaml"
    write_advice_rule(file, rule)
    content = yaml.safe_load(file.read_text())
    for change, message in (
        ({"features_version": 99}, "measures of version 99, these are 2: fit it again"),
        ({"ends": {"later": content["ends"]["as_trained"]}}, "unknown end 'later'"),
        ({"tier": 3}, "tier"),
        ({"scales": {}}, "'all' is missing"),
        ({"evidence": content["evidence"] | {"parameters": [1]}}, "parameters: 1 of 48 cells"),
        ({"evidence": content["evidence"] | {"sources": ["s0"] * 48}}, "not those of fitted_on"),
        ({"seen": {"task": "language_modelling", "ranges": {}}}, "ranges: 'parameters' is missing"),
        ({"ends": {}}, "ends: none is there"),
        ({"ends": {"as_trained": content["ends"]["as_trained"] | {"correlation": {}}}}, "not of"),
        ({"ends": {"as_trained": content["ends"]["as_trained"] | {"predictors": {}}}}, "of one"),
        ({"evidence": content["evidence"] | {"measures": {}}}, "'ngram_divergence' is missing"),
        ({"ends": with_gains(content, [None] * 48)}, "gains: 0 are known, 4 are needed"),
        ({"ends": with_gains(content, [1.0] * 5)}, "ends: as_trained: mixing: 5 gains of 48 cells"),
        ({"ends": with_gains(content, [float("nan")] * 48)}, "less than or equal to 1000"),
    ):
        file.write_text(yaml.safe_dump(content | change))
        with pytest.raises(UserError, match=message):
            load_advice_rule(file)


def with_gains(content: dict[str, Any], gains: list[float | None]) -> dict[str, Any]:
    """The ends of a rule file with other gains of one method at one of them."""
    ends: dict[str, Any] = copy.deepcopy(content["ends"])
    ends["as_trained"]["predictors"]["mixing"]["gains"] = gains
    return ends


def test_too_few_sources_are_refused() -> None:
    some = cells(3, seed=0)
    with pytest.raises(UserError, match=r"3 sources \(s0, s1, s2\), too few"):
        fit_rule(some, MENU, 0, on(some))
    some = cells(4, seed=0)
    with pytest.raises(UserError, match="4 sources are too few to leave one out: 5 at least"):
        score_left_out(some, MENU, 0, on(some))


def test_scores_on_held_out_sources() -> None:
    some = cells(12, seed=5)
    found = score_left_out(some, MENU, 0, on(some))
    table = found.scores.set_index(["end", "score", "question"]).sort_index()
    regret = table.loc[("as_trained", "regret")]
    assert regret.loc["saved over the best on average", "low"] > 0
    assert regret.loc["recommended", "value"] < regret.loc["always pretraining", "value"]
    assert table.loc[("as_trained", "R2", "dsir"), "value"] > 0.7
    assert 0.75 <= table.loc[("as_trained", "coverage", "all methods"), "value"] <= 1
    asked = table.loc[("as_trained", "AUC")]
    assert set(asked.index) == {
        *("mixing > pretraining", "dsir > pretraining", "dds > pretraining"),
        *("dsir > mixing", "dds > mixing"),
        ALL_QUESTIONS,
    }
    assert asked.loc["dsir > mixing", "value"] > 0.9
    counted = asked[(asked["base"] >= 0.3) & (asked["base"] <= 0.7)]
    assert 0 < len(counted) < 5
    assert asked.loc[ALL_QUESTIONS, "value"] == pytest.approx(counted["value"].mean())
    saved = regret.loc["saved over the best on average"]
    assert saved["least"] < saved["value"] < saved["most"]
    # A source is predicted by a rule that has not seen it.
    assert len(found.foretold["as_trained"]) == len(some)


def test_a_frozen_rule_is_scored_on_new_sources_only(rule: AdviceRule) -> None:
    seen = cells(24, seed=1)
    with pytest.raises(UserError, match="--against: the rule was fitted on every source here"):
        score_frozen(seen, rule)
    new = [replace(cell, source=f"new {cell.source}") for cell in cells(6, seed=9)]
    found = score_frozen([*seen[:4], *new], rule)
    assert {each.cell.source for each in found.foretold["as_trained"]} == {
        f"new s{n}" for n in range(6)
    }
    assert found.left_out == ["s0", "s1"]
    # Of one source, there is no range without one or another.
    (saved,) = (
        row
        for _, row in score_frozen(new[:1], rule).scores.iterrows()
        if row["end"] == "as_trained" and row["question"].startswith("saved")
    )
    assert np.isfinite(saved["value"])
    assert np.isnan(saved["least"])
    assert "one source, which says nothing of others" in sentences(score_frozen(new[:1], rule))[0]
