"""What the cells of the atlas gained, as one table, and means over them with intervals."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import design
import numpy as np
import pandas as pd

from benchmark.diagnostic.evidence.scores import Score, resampled_counts, with_bounds
from benchmark.diagnostic.recommend.outcomes import Outcome, read_outcomes
from benchmark.report.results.inputs import REFERENCE, load_results
from benchmark.report.results.multipliers import multipliers_of
from benchmark.study.study import Study

CELL = ["study", "target"]
COVERAGE = ("none", "1%", "5%", "20%", "a domain", "the corpus")
"""How much of the target's kind the generic corpus holds, from nothing to nothing else."""
FACTORS = ("steps", "sample", "coverage", "corpus", "downsampling", "noise")
SAMPLES = ("30 to 139", "140 to 646", "647 to 3,000")
"""Thirds of the logarithmic range of sample rows."""


def folders(part: str | None = None) -> list[Path]:
    """Results of the study files, of one part or of both, in order."""
    found = sorted(design.HERE.glob(f"atlas_{part or '*'}_*/study.json"))
    return [file.parent for file in found]


def read_cells(results: Sequence[Path]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A row for each cell, method and end, with its ``gain`` (NaN: none), and how it was made.

    ``gain`` is 100 x log(loss of pretraining / loss), of pretraining itself 0; ``multiplier`` how
    many times fewer FLOPs than the whole pretraining it took to reach pretraining's last loss, a
    bound on it where ``sign`` says so.
    """
    kinds = {name: source["kind"] for name, source in design.read_sources().items()}
    rows: list[dict[str, Any]] = []
    made: dict[str, Any] = {"runs": 0, "failed": Counter(), "seconds": 0.0, "commits": set()}
    for folder in results:
        finished, loaded = read_outcomes(folder), load_results(folder)
        multipliers = multipliers_of(loaded)
        assert multipliers is not None, "read_outcomes refuses a study without pretraining"
        made["runs"] += finished.runs
        made["failed"].update(
            record.spec.method.label for record in loaded.records if record.status != "done"
        )
        made["seconds"] += sum(
            (datetime.fromisoformat(r.finished) - datetime.fromisoformat(r.started)).total_seconds()
            for r in loaded.records
        )
        made["commits"] |= set(finished.commits)
        for outcome in finished.outcomes:
            where = setting(outcome, loaded.study, kinds)
            spec = outcome.record.spec
            factors = multipliers.by_pair[spec.model_name, spec.target_name]
            for label in loaded.methods:
                factor = factors[label]["flops"]
                for end in ("as_trained", "fine_tuned", "equal_flops"):
                    own = 0.0 if label == REFERENCE else outcome.gains.get(end, {}).get(label)
                    rows.append(
                        {
                            **where,
                            "method": label,
                            "end": end,
                            "gain": np.nan if own is None else own,
                            "multiplier": factor.mean,
                            "sign": factor.sign,
                        }
                    )
    return pd.DataFrame(rows), made


def cell_of(study: str) -> tuple[int, int, int]:
    """Levels of steps, corpus and downsampling of the study file with this name."""
    place = int(study.rsplit("_", 1)[1]) - 1
    return list(itertools.product(range(3), range(3), range(3)))[place]


def setting(outcome: Outcome, study: Study, kinds: dict[str, str]) -> dict[str, Any]:
    """Where in the design a cell is."""
    spec = outcome.record.spec
    cell = cell_of(study.study)
    kind = kinds[spec.target_name.rsplit("_", 1)[0]]
    planted = study.targets[spec.target_name].planted
    share = "none" if planted is None else f"{planted.share:.0%}"
    low, high = np.log(design.SAMPLE)
    third = int(3 * (np.log(spec.target.train) - low) / (high - low))
    return {
        "study": study.study,
        "target": spec.target_name,
        "source": outcome.source,
        "rows": spec.target.train,
        "steps": f"{design.STEPS[cell[0]]}",
        "sample": SAMPLES[min(third, 2)],
        "coverage": {"covered": COVERAGE[4], "control": COVERAGE[5]}.get(kind, share),
        "corpus": f"{design.CORPUS[cell[1]]:g} MB",
        "downsampling": f"1 of {design.DOWNSAMPLING[cell[2]]}",
        "noise": "half" if design.is_noisy(cell) else "none",
    }


def by_method(cells: pd.DataFrame, end: str, value: str = "gain") -> pd.DataFrame:
    """A column for each method, a row for each cell, of one end."""
    some = cells[cells["end"] == end]
    wide = some.pivot(index=CELL, columns="method", values=value)
    return wide[list(dict.fromkeys(cells["method"]))]


def sources_of(cells: pd.DataFrame, wide: pd.DataFrame) -> np.ndarray:
    """The source of each row of `by_method`."""
    known = cells.drop_duplicates(CELL).set_index(CELL)["source"]
    return known.loc[wide.index].to_numpy(dtype=str)


def mean(values: np.ndarray, sources: np.ndarray) -> Score:
    """The mean over the cells that have a value; a 95% interval by a bootstrap over sources."""
    has = np.isfinite(values)
    if not has.any():
        return Score(np.nan, np.nan, np.nan)
    if len(np.unique(sources[has])) == 1:
        # How much sources differ is not known of one.
        return Score(float(values[has].mean()), np.nan, np.nan)
    values, counts = values[has], resampled_counts(sources[has])
    with np.errstate(invalid="ignore"):
        return with_bounds(values.mean(keepdims=True), counts @ values / counts.sum(axis=1))
