"""The studies called paper_*: the settings of the published runs, on text laid out as theirs."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmark.data import prepare
from benchmark.methods.registry import resolve
from benchmark.report.paper.reference import FINAL, FINE_TUNING, METHODS, RENAMED, TARGETS
from benchmark.study.loading import embedded_studies, load_study
from benchmark.study.study import RunSpec, Study
from tests.conftest import sentences

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
PUBLISHED = [name for name in embedded_studies() if name.startswith("paper_")]
RATES = {"": 2e-3, "_low_rate": 2e-4}
STOPPED_EARLY = {("reuters", "mixing"), ("reuters", "soba")}


def studies(name: str) -> Study:
    return resolve(load_study(embedded_studies()[name]))


def published() -> dict[tuple[str, str, float], dict[str, Any]]:
    frame = pd.read_csv(REFERENCE / FINAL)
    frame = frame[frame["method"] != FINE_TUNING]
    ours = {theirs: name for name, theirs in METHODS.items()}
    return {
        (
            RENAMED.get(row["target"], row["target"]),
            ours[row["method"]],
            row["cfg_learning_rate"],
        ): row
        for row in frame.to_dict("records")
    }


def of_published_runs() -> dict[tuple[str, str, float], RunSpec]:
    return {
        (target, run.method.label, rate): run
        for target in TARGETS
        for ending, rate in RATES.items()
        if f"paper_{target}{ending}" in PUBLISHED
        for run in studies(f"paper_{target}{ending}").runs()
    }


def test_there_is_a_run_for_each_that_was_published_and_no_other() -> None:
    assert of_published_runs().keys() == published().keys()


@pytest.mark.parametrize(("place", "row"), published().items(), ids=lambda part: str(part)[:40])
def test_a_run_has_the_settings_that_were_published(
    place: tuple[str, str, float], row: dict[str, Any]
) -> None:
    run = of_published_runs()[place]
    training, settings = run.training, run.method.hyperparameters
    target, method, rate = place
    assert (run.target_name, training.rate) == (target, rate)
    assert (training.batch, training.warmup) == (row["cfg_batch_size"], row["cfg_warmup_steps"])
    assert training.evaluate_every == row["cfg_eval_every_steps"]
    if (target, method) not in STOPPED_EARLY:
        assert training.steps == row["cfg_num_steps"]
    if row["cfg_generic_batch_size"] > training.batch:
        assert training.rows_scored(settings) == row["cfg_generic_batch_size"]
        assert training.rows_scored(settings) <= training.big_batch
    if row["cfg_meta_model"] == "cnn":
        network = settings["network"]
        assert (network["kind"], network["embedding"], network["hidden"]) == (
            *("convolution", 128, 128),
        )
        assert settings["network_rate"] == row["cfg_meta_learning_rate"]
    if method in ("dds", "soba", "anograd"):
        assert settings["update_every"] == 1
    if method == "mixing":
        assert settings["form"] == "gradient"
        assert settings["share"] == pytest.approx(1 - row["cfg_generic_weight"])
    if method == "classifier":
        assert 1 / settings["downsampling"] == row["cfg_classifier_top_frac"]
    if method == "dds":
        assert settings["look_ahead"] == row["cfg_soft_lr"]
    if method == "soba":
        assert settings["hessian"] is not bool(row["cfg_soba_hessian_free"])
    if method == "anograd":
        assert settings["hessian"] is not bool(row["cfg_anograd_hessian_free"])
    if method == "cds":
        steps, factor = training.steps, settings["adaptation_rate_factor"]
        assert int(settings["pretrain_share"] * steps) == row["cfg_cds_num_pretrain_steps"]
        assert round(settings["adaptation_share"] * steps) == row["cfg_cds_num_fine_tune_steps"]
        assert factor * rate == pytest.approx(row["cfg_cds_fine_tune_lr"])


@pytest.mark.parametrize("name", PUBLISHED)
def test_rows_are_the_first_256_bytes_of_each_document(name: str) -> None:
    data = studies(name).data
    assert (data.width, data.examples, data.tokenizer, data.whitespace) == (
        *(256, "first", "bytes", "collapse"),
    )


def test_the_scaled_study_differs_in_its_steps_alone() -> None:
    small, arxiv = studies("paper_small"), studies("paper_arxiv")
    assert small.training.steps * 15 == arxiv.training.steps
    assert [entry.label for entry in small.methods] == list(METHODS)
    assert {run.label: run.hyperparameters for run in arxiv.methods}.items() <= {
        run.label: run.hyperparameters for run in small.methods
    }.items()
    assert small.data == arxiv.data


def test_text_is_read_as_it_lies_in_c4_and_the_pile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    web = [f"{text}\nsecond line" for text in sentences("garden", 600, seed=0)]
    for shard in range(2):
        file = tmp_path / "c4" / "en" / f"c4-train.{shard:05d}-of-00002.json.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(file, "wt") as stream:
            for text in web[shard::2]:
                stream.write(json.dumps({"text": text, "url": "", "timestamp": ""}) + "\n")
    papers = tmp_path / "data" / "pile" / "arxiv" / "00.jsonl"
    papers.parent.mkdir(parents=True)
    meta = {"pile_set_name": "ArXiv"}
    lines = (json.dumps({"text": t, "meta": meta}) for t in sentences("harbour", 200, seed=1))
    papers.write_text("\n".join(lines))
    run = studies("paper_arxiv").runs()[0]
    local = {"dataset": "json", "data_files": ["c4/en/c4-train.*.json.gz"], "max_documents": 500}
    content = run.data.model_dump() | {"generic": local, "generic_valid": 20}
    sizes = run.target.model_copy(update={"train": 100, "valid": 20, "test": 40})
    prepared = prepare(type(run.data).model_validate(content), sizes, tmp_path / "cache")
    assert len(prepared.generic) + len(prepared.generic_valid) <= 500
    assert (len(prepared.target_train), prepared.width) == (100, 256)
    first = prepared.generic.tokens(np.zeros(1, int))[0]
    assert " second line" in bytes(first[first > 0].tolist()).decode()
