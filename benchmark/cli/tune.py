"""The command ``adaptbench tune``."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.shared import (
    RESULTS,
    CacheOption,
    Device,
    DeviceOption,
    JobsOption,
    ReportOption,
    ResultsOption,
    RetryOption,
    StudyArgument,
    ThreadsOption,
    conclude,
    fail_interrupted,
    interruptible,
    load,
    messages,
    require_device,
    say,
    say_outcome,
    show_report,
)

if TYPE_CHECKING:
    from benchmark.running.local import Outcome, Settings
    from benchmark.study.study import Study


class Stage(StrEnum):
    """The stage after which trials are compared."""

    trained = "trained"
    fine_tuned = "fine_tuned"


def tune(
    study: StudyArgument,
    trials: Annotated[
        int, typer.Option(help="Trials of every method; the first is as the study has it.")
    ],
    jobs: JobsOption = 1,
    stage: Annotated[
        Stage, typer.Option(help="The lowest valid loss after this stage is chosen.")
    ] = Stage.trained,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws and of the trials.")] = 0,
    device: DeviceOption = Device.cpu,
    threads: ThreadsOption = 1,
    results: ResultsOption = RESULTS,
    cache: CacheOption = None,
    retry_failed: RetryOption = False,
    report: ReportOption = True,
) -> None:
    """Tune all methods with equally many trials on valid, then run the study with the choices."""
    from benchmark.running.local import Settings
    from benchmark.running.trials import trial_study, tuned_study
    from benchmark.running.tuning import choose, read_trials, write_chosen
    from benchmark.study.environment import cache_folder

    require_device(device)
    loaded = load(study)
    plan = trial_study(loaded, trials, seed)
    folder = results / plan.study
    file = folder / "chosen.yaml"
    final = tuned_study(loaded, file)
    settings = partial(
        Settings,
        cache=cache_folder(cache),
        jobs=jobs,
        threads=threads,
        device=device.value,
        retry_failed=retry_failed,
    )
    _require_ended(_run(plan, settings(results=folder)), folder)
    seen = read_trials(folder, stage.value)
    chosen = choose(loaded, seen, trials=trials, seed=seed, stage=stage.value)
    write_chosen(file, chosen)
    for row in chosen.chosen:
        say(f"{row.where}: trial {row.trial} chosen, valid loss {row.valid_loss:.4f}")
    say(f"written: {file}")

    outcome = _run(final, settings(results=results / final.study))
    if report:
        show_report(outcome, results / final.study)
    conclude(outcome, results / final.study)


def _run(study: Study, settings: Settings) -> Outcome:
    from benchmark.methods.registry import resolve
    from benchmark.running.local import run_study
    from benchmark.running.progress import StudyProgress

    with interruptible(), StudyProgress(messages) as progress:
        return run_study(resolve(study), settings, progress.hear, progress.building)


def _require_ended(outcome: Outcome, results: Path) -> None:
    """Choose only when every trial has a record; those that failed have one."""
    say_outcome(outcome, results)
    if outcome.stopped:
        fail_interrupted()
    if outcome.died:
        raise typer.Exit(1)
