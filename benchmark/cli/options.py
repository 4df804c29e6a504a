"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmark.core.errors import UserError, unknown

RESULTS = Path("results")
Device = Literal["cpu", "cuda"]


def _require_device(device: str) -> str:
    if device == "cuda":
        # Nobody else waits for torch to be told of a wrong option.
        import torch

        if not torch.cuda.is_available():
            raise UserError("--device: no CUDA device is available here (got 'cuda'); valid: cpu")
    return device


def listed(names: str | None) -> tuple[str, ...]:
    """Names separated by commas; none if the option is not given."""
    return tuple(name.strip() for name in (names or "").split(",") if name.strip())


def known(names: str | None, valid: list[str], what: str) -> tuple[str, ...]:
    """The names in an option, each of them valid.

    Raises:
        UserError: naming the option and the valid names.
    """
    chosen = listed(names)
    for name in chosen:
        if name not in valid:
            raise unknown(what, name, valid, at=f"--{what}s: ")
    return chosen


StudyArgument = Annotated[str, typer.Argument(help="A .yaml file, or an embedded study's name.")]
RecordedArgument = Annotated[
    str, typer.Argument(help="A study's name, .yaml file or folder of results.")
]
ResultsOption = Annotated[
    Path, typer.Option(help="Folder that holds a folder of results for each study.")
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        help="Rows, packages, checkpoints.",
        show_default="$ADAPTBENCH_CACHE or ~/.cache/adaptbench",
    ),
]
JobsOption = Annotated[int, typer.Option(min=1, help="Runs side by side.")]
DeviceOption = Annotated[
    Device, typer.Option(callback=_require_device, help="Where the main model runs.")
]
ThreadsOption = Annotated[
    int, typer.Option(min=1, help="CPU threads a run; part of what makes runs bit-identical.")
]
MethodsOption = Annotated[
    str | None, typer.Option(help="Only these methods (labels, separated by commas).")
]
TargetsOption = Annotated[
    str | None, typer.Option(help="Only these targets (names, separated by commas).")
]
RetryOption = Annotated[bool, typer.Option(help="Run failed runs again.")]
TrackOption = Annotated[
    Literal["tensorboard", "wandb", "trackio"] | None,
    typer.Option(help="Show measurements there too; TensorBoard's files lie beside each record."),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only print what is missing, and what it will take.")
]
ReportOption = Annotated[bool, typer.Option(help="Print the table, draw the figures.")]
RuleOption = Annotated[
    Path | None, typer.Option("--rule", help="Another rule than the one that comes along.")
]
