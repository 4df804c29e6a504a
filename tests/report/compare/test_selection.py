"""How often methods trained on a domain: shares, enrichment, what was seen."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmark.core.errors import UserError
from benchmark.report.compare.frontier import frontier_frame
from benchmark.report.compare.selection import selection_frame, selection_summary, write_selection
from benchmark.report.results.inputs import load_results
from benchmark.study.records import write_index, write_metrics, write_record
from tests.report.conftest import make_metrics, make_record, make_study


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """One method with two seeds; shares of the domain ``planted`` (2% of the rows) by hand."""
    study = make_study(methods=("dds",), seeds=(0, 1), targets=("kjv",))
    write_index(tmp_path, study)
    for spec in study.runs():
        metrics = make_metrics(spec, 0)
        for line in (line for line in metrics if line["stage"] == "trained"):
            late = line["step"] > 300
            line["domain_share/planted"] = (0.3 if spec.seed else 0.1) if late else 0.02
            line["domain_seen/planted"] = line["step"] / 1000
        record = make_record(spec, metrics)
        sizes = {"web": 9800, "planted": 200}
        record = record.model_copy(update={"data": {**record.data, "domain_rows": sizes}})
        write_metrics(tmp_path, spec.run_id, metrics)
        write_record(tmp_path, record)
    return tmp_path


def test_enrichment_is_over_the_domains_share_of_the_corpus(results: Path) -> None:
    frame = selection_frame(results, "planted")
    early = frame[frame["step"] <= 300]
    assert early["enrichment"].tolist() == pytest.approx([1.0] * len(early))
    assert set(frame["base_rate"]) == {0.02}


def test_the_summary_is_of_the_last_quarter(results: Path) -> None:
    (row,) = selection_summary(selection_frame(results, "planted")).itertuples()
    assert row.share == pytest.approx(0.2)
    assert row.enrichment == pytest.approx(10.0)
    assert row.highest_enrichment == pytest.approx((5 + 15) / 2)
    assert row.seen == pytest.approx(0.4)


def test_files_are_written_and_the_same_again(results: Path) -> None:
    files = write_selection(results, "planted")
    assert {file.suffix for file in files} == {".csv", ".md", ".png", ".pdf"}
    before = {file: file.read_bytes() for file in files}
    write_selection(results, "planted")
    assert {file: file.read_bytes() for file in files} == before
    assert pd.read_csv(files[0])["enrichment"].tolist() == pytest.approx([10.0])
    assert "| kjv | dds | 20.0% | 10.0x | 10.0x | 40.0% |" in files[1].read_text()


def test_each_run_has_its_cost_its_losses_and_its_lift(results: Path) -> None:
    lifts = pd.DataFrame(
        [
            {"model": "mini", "target": "kjv", "method": "dds", "seed": seed, "lift": lift}
            for seed, lift in ((0, 5.0), (1, 15.0))
        ]
    )
    loaded = load_results(results)
    frame = frontier_frame(loaded, lifts)
    trained = loaded.stages[loaded.stages["stage"] == "trained"]
    tuned = loaded.stages[loaded.stages["stage"] == "fine_tuned"]
    assert frame["lift"].tolist() == [5.0, 15.0]
    assert frame["cost"].tolist() == trained["flops"].tolist()
    assert frame["trained"].tolist() == trained["test_loss"].tolist()
    assert frame["fine_tuned"].tolist() == tuned["test_loss"].tolist()


def test_an_unknown_domain_is_refused(results: Path) -> None:
    with pytest.raises(UserError, match=r"unknown domain 'plantd' \(did you mean 'planted'"):
        selection_frame(results, "plantd")
