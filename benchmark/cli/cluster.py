"""The commands for a study on a cluster: submit, status, logs, retry, cancel."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live

from benchmark.cli.messages import console, interruptible, messages, say, show
from benchmark.cli.options import RESULTS, CacheOption, ResultsOption, StudyArgument, TrackOption
from benchmark.cli.studies import load
from benchmark.core.errors import UserError
from benchmark.methods.registry import resolve
from benchmark.running.progress import StudyProgress
from benchmark.running.tracking import Tracker, require_tracker
from benchmark.study.environment import cache_folder
from slurm.cancel import cancel as cancel_jobs
from slurm.logs import log_files, tail
from slurm.profile import Profile, load_profile
from slurm.status import RunStatus
from slurm.sweep import Sweep
from slurm.tables import plan_lines, status_table

TAIL = 40
ProfileOption = Annotated[Path, typer.Option(help="A file such as slurm/profiles/cpu.yaml.")]
PlanOption = Annotated[bool, typer.Option("--dry-run", help="Only print the plan.")]

app = typer.Typer()


@app.command(epilog="Example: adaptbench submit mine.yaml --profile my_cluster.yaml --dry-run")
def submit(
    study: StudyArgument,
    profile: ProfileOption,
    dry_run: PlanOption = False,
    results: ResultsOption = RESULTS,
    cache: CacheOption = None,
    track: TrackOption = None,
) -> None:
    """Submit what a study lacks: nothing that is done, running, queued, failed or lost."""
    require_tracker(track)
    loaded = load_profile(profile)
    sweep = _sweep(study, results, cache)
    statuses = sweep.statuses()
    wanted = [status for status in statuses if status.state in {"missing", "cancelled"}]
    left = [status for status in statuses if status.state in {"failed", "lost"}]
    if left:
        say(f"{len(left)} runs have failed or are lost: adaptbench retry {study}")
    _dispatch(sweep, statuses, wanted, loaded, cache, dry_run, track)


@app.command(epilog="Example: adaptbench retry mine.yaml --lost")
def retry(
    study: StudyArgument,
    failed: Annotated[bool, typer.Option("--failed", help="Only runs that have failed.")] = False,
    lost: Annotated[bool, typer.Option("--lost", help="Only runs that are lost.")] = False,
    profile: Annotated[
        Path | None, typer.Option(help="Another profile than that of the last submission.")
    ] = None,
    dry_run: PlanOption = False,
    results: ResultsOption = RESULTS,
    cache: CacheOption = None,
    track: TrackOption = None,
) -> None:
    """Submit failed and lost runs again; what ran out of memory gets twice as much."""
    require_tracker(track)
    sweep = _sweep(study, results, cache)
    submissions = sweep.submissions
    if track is None and submissions:
        track = list(submissions.values())[-1].track
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
    _dispatch(sweep, statuses, wanted, loaded, cache, dry_run, track)


@app.command(epilog="Example: adaptbench status mine.yaml --watch")
def status(
    study: StudyArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Keep the table up to date.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="List every run.")] = False,
    results: ResultsOption = RESULTS,
) -> None:
    """Where each run of a study stands, judged from the files that the runs leave."""
    sweep = _sweep(study, results)
    if not watch:
        statuses = sweep.statuses()
        console.print(status_table(statuses, sweep.selections(statuses), everything))
        return
    with interruptible(), Live(console=console, auto_refresh=False) as live:
        while True:
            statuses = sweep.statuses()
            table = status_table(statuses, sweep.selections(statuses), everything)
            live.update(table, refresh=True)
            if not any(s.state in {"running", "queued"} for s in statuses):
                return
            time.sleep(2.0)


@app.command(epilog="Example: adaptbench cancel mine.yaml")
def cancel(study: StudyArgument, results: ResultsOption = RESULTS) -> None:
    """End a study's jobs; running ones save first."""
    ended = cancel_jobs(_sweep(study, results))
    say(f"{len(ended)} runs cancelled; adaptbench submit goes on from where they were")


@app.command(epilog="Example: adaptbench logs mine.yaml dds-s0 --lines 100")
def logs(
    study: StudyArgument,
    run: Annotated[str, typer.Argument(help="A run's id, or a part of it that no other has.")],
    lines: Annotated[int, typer.Option(min=1, help="Last lines of each log.")] = TAIL,
    results: ResultsOption = RESULTS,
) -> None:
    """Print what a run's last attempt has logged."""
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


def _sweep(study: str, results: Path, cache: Path | None = None) -> Sweep:
    loaded = resolve(load(study), cache_folder(cache))
    return Sweep(loaded, results / loaded.study)


def _dispatch(
    sweep: Sweep,
    statuses: list[RunStatus],
    wanted: list[RunStatus],
    profile: Profile,
    cache: Path | None,
    dry_run: bool,
    track: Tracker | None,
) -> None:
    """Print the plan and, unless it is a dry run, submit it."""
    if not wanted:
        say("nothing to submit: every run is done, running, queued, failed or lost")
        return
    if dry_run:
        with interruptible(), StudyProgress(messages) as progress:
            hears = progress.building, progress.counting
            plan = sweep.timed_plan(statuses, wanted, profile, cache_folder(cache), *hears)
    else:
        plan = sweep.plan(statuses, wanted, profile)
    for line in plan_lines(plan, profile):
        show(line)
    if dry_run:
        return
    with interruptible(), StudyProgress(messages) as progress:
        submission = sweep.dispatch(
            plan, statuses, profile, cache_folder(cache), progress.building, track
        )
    others = len(wanted) - len(submission.jobs)
    say(f"{len(submission.jobs)} runs submitted as {submission.name}")
    if others:
        say(f"{others} runs were claimed by another submission at the same time")
