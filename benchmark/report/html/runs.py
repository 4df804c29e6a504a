"""What became of each run of a study, and where runs were made."""

from __future__ import annotations

from collections import Counter

from benchmark.report.results.collapse import selections
from benchmark.report.results.inputs import StudyResults
from benchmark.report.results.rules import HASH_LENGTH
from benchmark.report.tables.grid import Grid, grid
from benchmark.study.collapse import MARK
from benchmark.study.records import RunRecord

NAMES = {"done": "done", "failed": "failed", "pending": "missing"}


def status_counts(results: StudyResults) -> str:
    """How many of the planned runs are done, failed and missing."""
    counts = Counter(results.planned["status"])
    parts = ", ".join(f"{counts[status]:,} {name}" for status, name in NAMES.items())
    return f"{len(results.planned):,} runs: {parts}"


def runs_grid(results: StudyResults) -> Grid:
    """A row for each planned run."""
    columns = (
        *("model", "target", "method", "seed", "status", "reason", "seconds"),
        *("effective rows", "commit", "run"),
    )
    records = {_place(record): record for record in results.records}
    sharpness = selections(results)
    names = ("model", "target", "method", "seed", "status")
    rows = []
    for model, target, method, seed, status in zip(
        *(results.planned[name] for name in names), strict=True
    ):
        record = records.get((model, target, method, seed))
        chosen = str(sharpness.get((model, target, method, seed), ""))
        cells = ("", "", "", "", "") if record is None else _outcome(record, chosen)
        rows.append((model, target, method, seed, NAMES[status], *cells))
    rules = (
        "Seconds of training and fine-tuning, without evaluation and checkpointing",
        "Effective rows: exp(entropy of the weights) at the last evaluation of training, of the "
        f"rows of a batch; {MARK}: fewer than those, a selection that has collapsed; empty: the "
        "method does not draw rows by weight",
    )
    return grid("Runs", columns, rows, ("seed", "seconds", "effective rows"), ". ".join(rules))


def environments_grid(results: StudyResults) -> Grid:
    """Each environment that runs were made in, with the number of its runs."""
    counts = Counter(
        (
            _commit(record),
            environment.host,
            environment.processor,
            environment.device,
            environment.threads,
            environment.processes,
            ", ".join(f"{name} {text}" for name, text in environment.versions.items()),
        )
        for record in results.records
        for environment in [record.environment]
    )
    columns = ("runs", "commit", "host", "processor", "device", "threads", "processes", "versions")
    rows = [(count, *environment) for environment, count in counts.items()]
    machines = {tuple(row[2:7]) for row in rows}
    caution = "Seconds are not comparable between machines" if len(machines) > 1 else ""
    return grid("Environments", columns, rows, ("runs", "threads", "processes"), caution)


def _place(record: RunRecord) -> tuple[str, str, str, int]:
    spec = record.spec
    return spec.model_name, spec.target_name, spec.method.label, spec.seed


def _outcome(record: RunRecord, effective_rows: str) -> tuple[object, ...]:
    at = "" if record.failed_at_step is None else f"step {record.failed_at_step:,}: "
    reason = at + record.reason if record.status == "failed" else ""
    seconds = record.stages[-1].cost.seconds if record.stages else ""
    return reason, seconds, effective_rows, _commit(record)[: HASH_LENGTH + 1], record.run_id


def _commit(record: RunRecord) -> str:
    """The commit, with a plus for uncommitted changes."""
    environment = record.environment
    return environment.commit[:HASH_LENGTH] + ("+" if environment.dirty else "")
