"""A diagnosis for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group
from rich.table import Table
from rich.text import Text

from benchmark.diagnostic.records import CheckpointRecord, DiagnosisRecord, Estimate
from benchmark.diagnostic.rule import NOT_FITTED
from benchmark.diagnostic.summary import MEASURES


def terminal_summary(record: DiagnosisRecord) -> Group:
    """Measures at each checkpoint, the last with 95% intervals; notes, verdict and cost."""
    return Group(_table(record), *(Text(line) for line in _lines(record)), Text(""))


def legend() -> Table:
    """What the measures mean."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, meaning in MEASURES.items():
        table.add_row(_words(name), meaning)
    return table


def _table(record: DiagnosisRecord) -> Table:
    title = f"{record.target} ({record.model}, seed {record.seed})"
    table = Table(title=Text(title), title_justify="left", box=None, pad_edge=False)
    table.add_column("measure")
    for checkpoint in record.checkpoints:
        table.add_column(Text(f"at {checkpoint.label}"), justify="right")
    table.add_column("95% interval", justify="right")
    for name in MEASURES:
        cells = [_value(checkpoint, name) for checkpoint in record.checkpoints]
        table.add_row(_words(name), *cells, _interval(record.last.measures.get(name)))
    return table


def _words(name: str) -> str:
    return name.replace("_", " ")


def _value(checkpoint: CheckpointRecord, name: str) -> str:
    if name not in checkpoint.measures:
        return "-"
    value = checkpoint.measures[name].value
    return "undefined" if value is None else f"{value:.2f}"


def _interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    if estimate.low is None or estimate.high is None:
        return "unbounded"
    return f"{estimate.low:.2f} to {estimate.high:.2f}"


def _lines(record: DiagnosisRecord) -> list[str]:
    verdict, cost = record.verdict, record.cost
    price = (
        f"Cost: {cost.bill.flops:.3g} FLOPs, {cost.share:.2%} of the {cost.run_flops:.3g} that "
        f"training once takes, {cost.bill.seconds:.1f} s; pretraining is shared and not charged."
    )
    notes = [f"Note: {note}." for note in record.notes]
    return [verdict.sentence, *_answers(record), *_matrix(record), *notes, price]


def _matrix(record: DiagnosisRecord) -> list[str]:
    """What is held of the paper code's matrix, which decides nothing."""
    if record.reference_matrix is None:
        return []
    pairs = len(record.reference_matrix.pairs)
    return [
        f"Reference alignment matrix: {pairs} pair{'s' if pairs > 1 else ''} of checkpoints, held "
        "in the JSON and drawn; it is what the paper's code computes, the decision rule is ours."
    ]


def _answers(record: DiagnosisRecord) -> list[str]:
    verdict = record.verdict
    if verdict.status == NOT_FITTED:
        return [f"No fitted rule yet ({verdict.status}): no probability is given."]
    if verdict.outside:
        return [outside_words(verdict.outside, verdict.fitted_on)]
    lines = [f"Rule fitted on {verdict.fitted_on}:"]
    for answer in verdict.answers.values():
        lines.append(f"  {answer.text}: {_probability(answer.probability)}{_gain(answer.gain)}")
    return lines


def outside_words(outside: Iterable[str], fitted_on: str | None) -> str:
    """Why a rule gives no probability of a study unlike those that it was fitted on."""
    return (
        f"Outside what the rule has seen: {', '.join(outside)}; fitted on {fitted_on}: no "
        "probability is given. `adaptbench rule fit` fits one to measured gains of your own."
    )


def _probability(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return "unknown, as a measure is undefined"
    return f"{estimate.value:.0%} ({_interval(estimate)})"


def _gain(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return ""
    return f", expected log ratio of losses {100 * estimate.value:+.1f}%"
