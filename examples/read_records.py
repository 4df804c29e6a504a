"""What a study's records say, in pandas: ``read_records.py [FOLDER]``.

Prints how each method's test loss compares with pretraining's, in both stages, and the step at
which its valid loss first was as low as pretraining's last. Reads a folder of results, by default
the committed records of the embedded study ``mini``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from benchmark.study.frames import metrics_frame, study_frame

COMMITTED = Path("results/published/mini")
RUN = ["model", "target", "seed"]


def against_pretraining(results: Path) -> pd.DataFrame:
    """Test loss over that of pretraining less one, in percent: mean over models and seeds."""
    # A row for each run and stage; a failed run has one row, without losses.
    losses = study_frame(results).pivot_table("test_loss", [*RUN, "stage"], "method", sort=False)
    change = 100 * losses.div(losses["pretraining"], axis=0).sub(1)
    return change.groupby(["target", "stage"], sort=False).mean().T


def steps_to_pretraining(results: Path) -> pd.DataFrame:
    """First measured step with a valid loss of at most pretraining's last, mean; NaN: none."""
    # A row for each measured step of each run: docs/reference/metrics.md names the columns.
    trained = metrics_frame(results).query("stage == 'trained'")
    last = trained[trained["method"] == "pretraining"].groupby(RUN)["valid_loss"].last()
    joined = trained.join(last.rename("goal"), on=RUN)
    reached = joined[joined["valid_loss"] <= joined["goal"]]
    first = reached.groupby([*RUN, "method"])["step"].min()
    steps = first.groupby(["method", "target"]).mean().unstack()
    return steps.reindex(trained["method"].unique())


def main() -> None:
    results = Path(sys.argv[1]) if len(sys.argv) > 1 else COMMITTED
    print("test loss against pretraining, in percent")
    print(against_pretraining(results).round(1).to_string())
    print("\nstep at which valid loss is as low as pretraining's last")
    print(steps_to_pretraining(results).to_string(na_rep="never", float_format="{:.0f}".format))


if __name__ == "__main__":
    main()
