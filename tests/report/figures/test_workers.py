"""Figures are drawn by processes of their own, which end with the command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from benchmark.core.errors import UserError
from benchmark.report.figures import write
from benchmark.report.figures.write import make_pictures
from benchmark.report.results.inputs import StudyResults, load_results
from tests.command_line import CommandLine
from tests.conftest import wait_for

Build = Callable[..., Path]


@pytest.mark.long
def test_one_figure_is_the_same_as_among_all(build: Build) -> None:
    results = load_results(build())
    everything = make_pictures(results, formats=["png"])
    assert list(everything.made) == [name for name in write.FIGURES if name in everything.made]
    alone = make_pictures(results, ["cost"], formats=["png"])
    assert alone.made == {"cost": everything.made["cost"]}


def test_an_error_of_a_figure_is_raised_as_it_is(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: StudyResults) -> None:
        raise UserError("a record is damaged")

    monkeypatch.setitem(write.FIGURES, "cost", refuse)
    with pytest.raises(UserError, match="a record is damaged"):
        make_pictures(load_results(build()), formats=["png"])


@pytest.mark.long
def test_no_process_outlives_a_killed_command(build: Build, adaptbench: CommandLine) -> None:
    results = build(targets=[f"target_{number}" for number in range(8)], seeds=range(4))
    command = adaptbench.start("plot", results)
    process = psutil.Process(command.pid)
    wait_for(lambda: process.children() or command.poll() is not None)
    workers = process.children(recursive=True)
    assert workers or psutil.cpu_count() == 1
    process.kill()
    command.wait()
    _, left = psutil.wait_procs(workers, timeout=60)
    for worker in left:
        worker.kill()
    assert not left
