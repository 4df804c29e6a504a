"""The command that times the steps of a study's methods."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmark.cli.messages import console, interruptible, messages, say_written
from benchmark.cli.options import (
    RESULTS,
    CacheOption,
    DeviceOption,
    MethodsOption,
    ResultsOption,
    StudyArgument,
    ThreadsOption,
    known,
)
from benchmark.cli.studies import load
from benchmark.methods.registry import resolve
from benchmark.report.tables.rendering import terminal
from benchmark.report.tables.time_blocks import time_blocks
from benchmark.running.progress import StudyProgress
from benchmark.running.times.measure import Bench, measure
from benchmark.study.environment import cache_folder
from benchmark.study.step_times import write_times

app = typer.Typer()


@app.command("time", epilog="Example: adaptbench time mine.yaml --methods pretraining,dds")
def time_study(
    study: StudyArgument,
    methods: MethodsOption = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of every method.")] = 9,
    steps: Annotated[
        int, typer.Option(min=1, help="Steps of each phase in a turn that count.")
    ] = 3,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = 1,
    results: ResultsOption = RESULTS,
    cache: CacheOption = None,
) -> None:
    """Time the steps of every method of a study, alone and in turn.

    Run it while the machine does nothing else. Tables at equal seconds use these times.
    """
    loaded = resolve(load(study), cache_folder(cache))
    labels = known(methods, [entry.label for entry in loaded.methods], "method")
    runs = [run for run in loaded.runs() if not labels or run.method.label in labels]
    bench = Bench(cache_folder(cache), device, threads, rounds, steps)
    with interruptible(), StudyProgress(messages) as progress:
        times = measure(loaded, runs, bench, progress.building, progress.counting)
    for block in time_blocks(times):
        console.print(terminal(block))
    say_written([write_times(results / loaded.study, times)])
