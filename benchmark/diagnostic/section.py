"""What the diagnostic has said of a study's targets, as a section of its report."""

from __future__ import annotations

from pathlib import Path

from benchmark.diagnostic.records import DiagnosisRecord, Estimate, read_diagnosis
from benchmark.report.tables.blocks import NOTHING
from benchmark.report.tables.grid import Grid, grid

CELL = ("model", "target", "seed")
MEASURES = ("reliability", "excess_reliability", "headroom", "transfer_correlation")


def diagnosis_grids(folder: Path) -> list[Grid]:
    """The verdicts, a row for each ``diagnosis/*.json`` of a results folder; none without any.

    Raises:
        UserError: a file is no diagnosis.
    """
    records = [read_diagnosis(file) for file in sorted((folder / "diagnosis").glob("*.json"))]
    if not records:
        return []
    answers = [answer for record in records for answer in record.verdict.answers.items()]
    asked = {key: answer.text for key, answer in answers}
    numeric = ("seed", *(name.replace("_", " ") for name in MEASURES), *asked.values())
    columns = ("model", "target", *numeric, "in words", "share of a run's FLOPs")
    basis = sorted({record.verdict.fitted_on or record.verdict.status for record in records})
    rule = (
        "Measures at the last checkpoint; the probability of each claim, and by how much the loss "
        f"is expected to differ (log ratio); rule: {', '.join(basis)}"
    )
    rows = [_row(record, tuple(asked)) for record in records]
    return [grid("Verdicts", columns, rows, (*numeric, columns[-1]), rule)]


def _row(record: DiagnosisRecord, asked: tuple[str, ...]) -> tuple[str, ...]:
    measures = (record.last.measures.get(name) for name in MEASURES)
    answers = (record.verdict.answers.get(key) for key in asked)
    return (
        record.model,
        record.target,
        str(record.seed),
        *(_number(measure, "{:.2f}") for measure in measures),
        *(
            NOTHING
            if answer is None or answer.probability is None
            else f"{_number(answer.probability, '{:.0%}')} ({_number(answer.gain, '{:+.1%}')})"
            for answer in answers
        ),
        record.verdict.sentence,
        f"{record.cost.share:.1%}",
    )


def _number(estimate: Estimate | None, form: str) -> str:
    value = None if estimate is None else estimate.value
    return NOTHING if value is None else form.format(value)
