"""The commands for sweeps: submit, status, retry, cancel, collect, logs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.shared import (
    RESULTS,
    CacheOption,
    ResultsOption,
    StudyArgument,
    console,
    interruptible,
    load,
    messages,
    say,
)
from benchmark.core.errors import UserError

if TYPE_CHECKING:
    from slurm.profile import Profile
    from slurm.status import RunStatus
    from slurm.sweep import Sweep

ProfileOption = Annotated[Path, typer.Option(help="A file such as slurm/profiles/cpu.yaml.")]
TAIL = 40


def submit(
    study: StudyArgument,
    profile: ProfileOption,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the plan.")] = False,
    results: ResultsOption = RESULTS,
    cache: CacheOption = None,
) -> None:
    """Submit what a study lacks: nothing that is done, running, queued, failed or lost."""
    from slurm.profile import load_profile

    loaded = load_profile(profile)
    sweep = _sweep(study, results)
    statuses = sweep.statuses()
    wanted = [status for status in statuses if status.state in {"missing", "cancelled"}]
    left = [status for status in statuses if status.state in {"failed", "lost"}]
    if left:
        say(f"{len(left)} runs have failed or are lost: adaptbench retry {study}")
    _dispatch(sweep, statuses, wanted, loaded, cache, dry_run)


def retry(
    study: StudyArgument,
    failed: Annotated[bool, typer.Option("--failed", help="Only runs that have failed.")] = False,
    lost: Annotated[bool, typer.Option("--lost", help="Only runs that are lost.")] = False,
    profile: Annotated[
        Path | None, typer.Option(help="Another profile than that of the last submission.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the plan.")] = False,
    results: ResultsOption = RESULTS,
    cache: CacheOption = None,
) -> None:
    """Submit failed and lost runs again; what ran out of memory gets twice as much."""
    from slurm.profile import load_profile

    sweep = _sweep(study, results)
    submissions = sweep.submissions
    if profile is not None:
        loaded = load_profile(profile)
    elif submissions:
        loaded = list(submissions.values())[-1].profile
    else:
        raise UserError(f"{sweep.results}: nothing was submitted from here; give --profile")
    chosen = {"failed"} if failed else set()
    chosen |= {"lost"} if lost else set()
    statuses = sweep.statuses()
    wanted = [s for s in statuses if s.state in (chosen or {"failed", "lost"})]
    _dispatch(sweep, statuses, wanted, loaded, cache, dry_run)


def status(
    study: StudyArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Keep the table up to date.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="List every run.")] = False,
    results: ResultsOption = RESULTS,
) -> None:
    """Where each run of a study stands, judged from the files that the runs leave."""
    from rich.live import Live

    from slurm.tables import status_table

    sweep = _sweep(study, results)
    if not watch:
        console.print(status_table(sweep.statuses(), everything))
        return
    with interruptible(), Live(console=console, auto_refresh=False) as live:
        while True:
            statuses = sweep.statuses()
            live.update(status_table(statuses, everything), refresh=True)
            if not any(s.state in {"running", "queued"} for s in statuses):
                return
            time.sleep(2.0)


def cancel(study: StudyArgument, results: ResultsOption = RESULTS) -> None:
    """End a study's jobs; running ones save first."""
    from slurm.cancel import cancel as cancel_jobs

    ended = cancel_jobs(_sweep(study, results))
    say(f"{len(ended)} runs cancelled; adaptbench submit goes on from where they were")


def collect(study: StudyArgument, results: ResultsOption = RESULTS) -> None:
    """Write all records of a study as one Parquet and one CSV file."""
    from benchmark.study.records import study_frame
    from slurm.collect import write_collected

    sweep = _sweep(study, results)
    frame = study_frame(sweep.results)
    written = write_collected(sweep.results, frame)
    missing = len(sweep.study.runs()) - frame["run_id"].nunique()
    say(f"{len(frame)} rows; {missing} runs have no record yet")
    say("written: " + ", ".join(str(file) for file in written))


def logs(
    study: StudyArgument,
    run: Annotated[str, typer.Argument(help="A run's id, or a part of it that no other has.")],
    lines: Annotated[int, typer.Option(min=1, help="Last lines of each log.")] = TAIL,
    results: ResultsOption = RESULTS,
) -> None:
    """Print what a run's last attempt has logged."""
    from slurm.logs import log_files, tail

    sweep = _sweep(study, results)
    found = [s for s in sweep.statuses() if run in s.run_id]
    exact = [s for s in found if s.run_id == run] or found
    if len(exact) != 1:
        some = ", ".join(s.run_id for s in exact[:5]) or "none"
        raise UserError(f"RUN: {run!r} is in the ids of {len(exact)} runs: {some}")
    files = log_files(sweep, exact[0])
    if not files:
        raise UserError(f"{exact[0].run_id}: has logged nothing yet ({exact[0].state})")
    for file in files:
        say(f"==> {file}")
        print(tail(file, lines))


def _sweep(study: str, results: Path) -> Sweep:
    from benchmark.methods.registry import resolve
    from slurm.sweep import Sweep

    loaded = resolve(load(study))
    return Sweep(loaded, results / loaded.study)


def _dispatch(
    sweep: Sweep,
    statuses: list[RunStatus],
    wanted: list[RunStatus],
    profile: Profile,
    cache: Path | None,
    dry_run: bool,
) -> None:
    """Print the plan and, unless it is a dry run, submit it."""
    from benchmark.running.progress import StudyProgress
    from benchmark.study.environment import cache_folder
    from slurm.tables import plan_lines

    if not wanted:
        say("nothing to submit: every run is done, running, queued, failed or lost")
        return
    plan = sweep.plan(statuses, wanted, profile)
    for line in plan_lines(plan, profile):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if dry_run:
        return
    with interruptible(), StudyProgress(messages) as progress:
        submission = sweep.dispatch(plan, statuses, profile, cache_folder(cache), progress.building)
    others = len(wanted) - len(submission.jobs)
    say(f"{len(submission.jobs)} runs submitted as {submission.name}")
    if others:
        say(f"{others} runs were claimed by another submission at the same time")
