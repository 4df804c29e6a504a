"""What has been recommended for a study's targets, as tables of its report."""

from __future__ import annotations

from pathlib import Path

from benchmark.diagnostic.recommend.records import FOLDER, read_recommendation
from benchmark.diagnostic.recommend.rule import ENDS
from benchmark.report.tables.grid import Grid, grid


def recommendation_grids(folder: Path) -> list[Grid]:
    """A row for each method, end and recommendation of a results folder; none without any.

    Raises:
        UserError: a file is no recommendation.
    """
    records = [read_recommendation(file) for file in sorted((folder / FOLDER).glob("*.json"))]
    if not records:
        return []
    rows, advice = [], []
    for record in records:
        where = (record.model, record.target, str(record.measured.tier))
        for name, found in record.ends.items():
            advice.append(
                (
                    *where,
                    ENDS[name],
                    found.method,
                    f"{found.regret:.2f}%",
                    found.why,
                    "; ".join(record.outside) or "-",
                )
            )
            for label, each in found.expected.items():
                rows.append(
                    (
                        *where,
                        ENDS[name],
                        label,
                        f"{each.change:+.1f}%",
                        f"{each.low:+.1f} to {each.high:+.1f}",
                        f"{each.probability_best:.0%}",
                    )
                )
    basis = "; ".join(sorted({record.fitted_on for record in records}))
    rule = (
        "Expected change of test loss against pretraining (at equal FLOPs, of valid loss) with its "
        f"90% interval, and the probability of being the best of these; rules fitted on {basis}"
    )
    place = ("model", "target", "tier", "end")
    columns = (*place, "train", "expected regret", "why", "outside what the rule has seen")
    every = (*place, "method", "change", "90% interval", "P(best)")
    return [
        grid("Recommendations", columns, advice, ("tier", "expected regret"), rule),
        grid("What is expected of each method", every, rows, ("tier", "change", "P(best)"), rule),
    ]
