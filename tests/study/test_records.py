"""Records of runs: what is left out when it is usual."""

from __future__ import annotations

from benchmark.methods.registry import resolve
from benchmark.study.loading import find_study, load_study
from benchmark.study.records import RunRecord
from tests.report.conftest import make_record


def test_a_record_names_what_is_not_exact_and_old_ones_stay_readable() -> None:
    names = "step", "valid_loss", "generic_loss", "flops", "seconds", "examples"
    lines = [{"stage": stage} | dict.fromkeys(names, 1) for stage in ("trained", "fine_tuned")]
    usual = make_record(resolve(load_study(find_study("mini"))).runs()[0], lines)
    text = usual.model_dump_json()
    assert "central_differences" not in text
    assert RunRecord.model_validate_json(text) == usual
    approximated = usual.model_copy(update={"central_differences": ("influence",)})
    again = RunRecord.model_validate_json(approximated.model_dump_json())
    assert again.central_differences == ("influence",)
