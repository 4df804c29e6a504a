"""The commands that run a study on this machine: run, tune."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.messages import fail_interrupted, interruptible, messages, say, say_written
from benchmark.cli.options import (
    RESULTS,
    CacheOption,
    DeviceOption,
    DryRunOption,
    JobsOption,
    MethodsOption,
    ReportOption,
    ResultsOption,
    RetryOption,
    StudyArgument,
    TargetsOption,
    ThreadsOption,
    TrackOption,
    known,
)
from benchmark.cli.planning import show_plan
from benchmark.cli.studies import load
from benchmark.methods.registry import resolve
from benchmark.running.local import Outcome, Settings, run_study
from benchmark.running.planning import ended_runs, known_estimates, lanes
from benchmark.running.progress import StudyProgress
from benchmark.running.time_left import TimeLeft
from benchmark.running.tracking import require_tracker
from benchmark.running.trials import trial_study, tuned_study
from benchmark.running.tuning import choose, read_trials, write_chosen
from benchmark.study.environment import cache_folder
from benchmark.study.stages import Stage
from benchmark.study.study import Study

app = typer.Typer()


@app.command(epilog="Example: adaptbench run mine.yaml --jobs 2 --methods pretraining,dds")
def run(
    study: StudyArgument,
    jobs: JobsOption = 1,
    methods: MethodsOption = None,
    targets: TargetsOption = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = 1,
    results: ResultsOption = RESULTS,
    cache: CacheOption = None,
    retry_failed: RetryOption = False,
    report: ReportOption = True,
    track: TrackOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Run what a study lacks, then print its table and draw its figures."""
    require_tracker(track)
    loaded = resolve(load(study), cache_folder(cache))
    settings = Settings(
        results=results / loaded.study,
        cache=cache_folder(cache),
        jobs=jobs,
        threads=threads,
        device=device,
        retry_failed=retry_failed,
        track=track,
        labels=known(methods, [entry.label for entry in loaded.methods], "method"),
        targets=known(targets, list(loaded.targets), "target"),
    )
    if dry_run:
        show_plan(loaded, settings)
        return
    _conclude(_run(loaded, settings), settings, report)


@app.command(epilog="Example: adaptbench tune mine.yaml --trials 8 --jobs 2")
def tune(
    study: StudyArgument,
    trials: Annotated[
        int, typer.Option(help="Trials of every method; the first is as the study has it.")
    ],
    jobs: JobsOption = 1,
    stage: Annotated[
        Stage, typer.Option(help="The lowest valid loss after this stage is chosen.")
    ] = "trained",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws and of the trials.")] = 0,
    for_every_target: Annotated[
        bool,
        typer.Option(
            "--for-every-target",
            help="Choose once, by the mean over targets, and stop: studies of other targets name "
            "the file in their key tuned.",
        ),
    ] = False,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = 1,
    results: ResultsOption = RESULTS,
    cache: CacheOption = None,
    retry_failed: RetryOption = False,
    report: ReportOption = True,
) -> None:
    """Tune all methods with equally many trials on valid, then run the study with the choices."""
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
        device=device,
        retry_failed=retry_failed,
    )
    _require_ended(_run(resolve(plan, cache_folder(cache)), settings(results=folder)), folder)
    seen = read_trials(folder, stage)
    chosen = choose(
        loaded, seen, trials=trials, seed=seed, stage=stage, for_every_target=for_every_target
    )
    write_chosen(file, chosen)
    for row in chosen.chosen:
        say(f"{row.where}: trial {row.trial} chosen, valid loss {row.valid_loss:.4f}")
    say_written([file])
    if for_every_target:
        return
    last = settings(results=results / final.study)
    _conclude(_run(resolve(final, cache_folder(cache)), last), last, report)


def _run(study: Study, settings: Settings) -> Outcome:
    ended = ended_runs(study, settings.results)
    time_left = TimeLeft(
        lanes(settings.jobs, settings.threads, settings.device),
        known_estimates(settings.results, settings.device, ended).seconds,
        time.monotonic,
    )
    with interruptible(), StudyProgress(messages, time_left) as progress:
        return run_study(study, settings, progress.hear, progress.building, say)


def _conclude(outcome: Outcome, settings: Settings, report: bool) -> None:
    """Present the study; ends the command if not all runs are done."""
    if report and (outcome.found or outcome.done or outcome.failed):
        from benchmark.cli.presenting import present  # figures load for seconds

        present(settings.results)
    _require_ended(outcome, settings.results)
    if outcome.failed:
        raise typer.Exit(1)


def _require_ended(outcome: Outcome, results: Path) -> None:
    """Say what became of the runs; ends the command if some have no record, not even of failure."""
    found = f", {len(outcome.found)} found done" if outcome.found else ""
    say(f"{len(outcome.done)} run now{found}, {len(outcome.failed)} failed; {results}")
    for run_id, reason in {**outcome.failed, **outcome.died}.items():
        say(f"{run_id}: {reason}")
    if outcome.stopped:
        fail_interrupted()
    if outcome.died:
        raise typer.Exit(1)
