"""The published runs as frames, read from the files of ``results/reference``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pandas.errors import EmptyDataError, ParserError

from benchmark.core.errors import UserError, unknown

# Our names, in the order of the paper's tables, and those of the files.
METHODS = {
    "pretraining": "pretrain",
    **{name: name for name in ("mixing", "classifier", "cds", "dds", "soba", "anograd")},
}
FINE_TUNING = "fine_tuning"
TARGETS = (
    *("reuters", "freelaw", "arxiv", "europarl", "gutenberg", "opensubtitles"),
    *("openwebtext2", "pubmed_abstracts", "stackexchange", "wikipedia_en"),
)
RENAMED = {"gutenberg_resplit": "gutenberg"}
GENERIC_METRIC = "eval_c4_loss"
RUNS, FINAL = "reference_runs.csv.gz", "reference_final.csv"
SECONDS = "reference_seconds.csv.gz"
COLUMNS = {
    RUNS: ("run_id", "target", "method", "step", "metric", "value"),
    FINAL: (
        *("target", "method", "init_method", "first_step", "target_final_loss"),
        *("target_final_step", "target_best_loss", "target_best_step", "cfg_learning_rate"),
    ),
    SECONDS: ("run_id", "step", "seconds"),
}


@dataclass(frozen=True)
class Reference:
    """The published runs, methods and targets under our names.

    ``curves``: a row for each training run and logged step, with its ``target``, ``method``,
    ``run_id``, ``step``, ``seconds`` (that this very run took until then), ``target_loss`` and
    ``generic_loss`` (nats a byte, validation), sorted by step within a run.
    ``fine_tuning``: a row for each fine-tuned run, with its ``target``, the ``method`` that it
    starts from, ``rate``, ``first_step``, ``last_step``, ``last_loss``, ``best_step`` and
    ``best_loss``.
    """

    curves: pd.DataFrame
    fine_tuning: pd.DataFrame

    @property
    def targets(self) -> list[str]:
        """Targets with a curve, in the paper's order."""
        present = set(self.curves["target"])
        return [target for target in TARGETS if target in present]

    @property
    def methods(self) -> list[str]:
        """Methods with a curve, in the paper's order."""
        present = set(self.curves["method"])
        return [method for method in METHODS if method in present]


def load_reference(folder: Path) -> Reference:
    """Read the published runs.

    Raises:
        UserError: a file or column is missing, or a name is not known.
    """
    runs, final, seconds = (_read(folder / name) for name in (RUNS, FINAL, SECONDS))
    training = _our_names(runs[runs["method"] != FINE_TUNING], folder / RUNS)
    curves = _curves(training).merge(seconds, on=["run_id", "step"], how="left")
    untimed = curves[curves["seconds"].isna()]
    if not untimed.empty:
        run, step = untimed.iloc[0][["run_id", "step"]]
        raise UserError(f"{folder / SECONDS}: seconds: none for step {step} of run {run}")
    tuned = final[final["method"] == FINE_TUNING].assign(method=lambda rows: rows["init_method"])
    return Reference(curves, _fine_tuning(_our_names(tuned, folder / FINAL)))


def _read(file: Path) -> pd.DataFrame:
    if not file.exists():
        raise UserError(
            f"{file}: not found; the published numbers are part of a checkout of the repository: "
            "run the command in its root, or name their folder with --reference"
        )
    columns = list(COLUMNS[file.name])
    try:
        frame = pd.read_csv(file, low_memory=False)
    except (ParserError, EmptyDataError, UnicodeDecodeError, EOFError, OSError) as error:
        raise UserError(f"{file}: not a readable CSV file: {error}") from error
    absent = [name for name in columns if name not in frame]
    if absent:
        raise UserError(
            f"{file}: no column {', '.join(absent)}; found: {', '.join(map(str, frame))}"
        )
    return frame[columns]


def _our_names(frame: pd.DataFrame, file: Path) -> pd.DataFrame:
    """The frame with our names of methods and targets."""
    ours = {theirs: name for name, theirs in METHODS.items()}
    _check("method", frame["method"], ours, file)
    targets = frame["target"].replace(RENAMED)
    _check("target", targets, TARGETS, file)
    return frame.assign(method=frame["method"].map(ours), target=targets)


def _check(kind: str, names: pd.Series[str], known: Iterable[str], file: Path) -> None:
    known = list(known)
    for name in names.unique():
        if name not in known:
            raise unknown(kind, name, known, at=f"{file}: {kind}: ")


def _curves(training: pd.DataFrame) -> pd.DataFrame:
    """Target and generic loss of each run and step side by side."""
    theirs = {ours: name for name, ours in RENAMED.items()}
    own_metric = "eval_" + training["target"].replace(theirs) + "_loss"
    kinds = {"target_loss": own_metric, "generic_loss": GENERIC_METRIC}
    key = ["target", "method", "run_id", "step"]
    losses = [
        training[training["metric"] == metric].set_index(key)["value"].rename(name)
        for name, metric in kinds.items()
    ]
    return pd.concat(losses, axis=1, join="inner").sort_index().reset_index()


def _fine_tuning(tuned: pd.DataFrame) -> pd.DataFrame:
    names = {
        "cfg_learning_rate": "rate",
        "target_final_step": "last_step",
        "target_final_loss": "last_loss",
        "target_best_step": "best_step",
        "target_best_loss": "best_loss",
    }
    columns = ["target", "method", "first_step", *names.values()]
    return tuned.rename(columns=names)[columns].reset_index(drop=True)
