"""A recommendation for the terminal, within 80 columns."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from benchmark.diagnostic.recommend.records import RecommendationRecord, Recommended
from benchmark.diagnostic.recommend.rule import ENDS


def terminal_recommendation(record: RecommendationRecord) -> Group:
    """A table for each end, what to train, and what to know of it."""
    parts: list[Table | Text] = []
    for name, found in record.ends.items():
        title = f"{record.target} ({record.model}), {ENDS[name]}: train {found.method}"
        regret = f", expected regret {found.regret:.2f}%"
        parts += [Text(title + regret, style="bold"), _table(found), Text(found.why), Text("")]
    return Group(*parts, *(Text(line) for line in notes(record)), Text(""))


def _table(found: Recommended) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("method", overflow="fold")
    for column in ("change of loss", "90% interval", "P(best)", "regret"):
        table.add_column(column, justify="right", no_wrap=True)
    ordered = sorted(found.expected.items(), key=lambda each: each[1].change)
    for label, each in ordered:
        mark = " <-" if label == found.method else " =" if label in found.no_difference else ""
        table.add_row(
            Text(label + mark),
            f"{each.change:+.1f}%",
            f"{each.low:+.1f} to {each.high:+.1f}",
            f"{each.probability_best:.0%}",
            f"{each.regret:.2f}%",
        )
    return table


def notes(record: RecommendationRecord) -> list[str]:
    """What a reader must know of where the numbers come from."""
    measured = record.measured
    lines = [
        f"Expected change of test loss against pretraining, below 0 is better; at equal FLOPs of "
        f"valid loss. Rule of tier {measured.tier}, fitted on {record.fitted_on}."
    ]
    if any(found.no_difference for found in record.ends.values()):
        lines.append("=: less than one seed's spread from the recommended one, no difference.")
    if record.outside:
        lines.append(
            f"Outside what the rule has seen: {', '.join(record.outside)}: what is above is a "
            "guess there."
        )
    if record.left_out:
        lines.append(f"Not known to the rule, left out: {', '.join(record.left_out)}.")
    if measured.gradients == "one by one":
        lines.append("The model cannot be vectorised: gradients were computed one row at a time.")
    if record.share is not None:
        steps = ", ".join(map(str, measured.checkpoints))
        lines.append(
            f"Cost: {measured.cost.flops:.3g} FLOPs, {record.share:.1%} of training once, the "
            f"pretraining up to the last checkpoint included (steps {steps})."
        )
    return lines
