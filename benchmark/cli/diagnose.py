"""The command that says before training whether online selection can help a target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from benchmark.cli.messages import console, interruptible, messages, say_written
from benchmark.cli.options import (
    RESULTS,
    CacheOption,
    DeviceOption,
    ResultsOption,
    RuleOption,
    StudyArgument,
    ThreadsOption,
    listed,
)
from benchmark.cli.specs import prepared, pretraining_specs
from benchmark.cli.studies import load
from benchmark.data import PreparedData
from benchmark.diagnostic import defaults
from benchmark.diagnostic.convergence import write_convergence
from benchmark.diagnostic.diagnose import diagnose
from benchmark.diagnostic.figure import write_figure
from benchmark.diagnostic.matrix_figure import write_matrix_figure
from benchmark.diagnostic.pretrained import Checkpoint, Pretraining, given
from benchmark.diagnostic.records import write_diagnosis
from benchmark.diagnostic.rule import RULE, Rule, load_rule
from benchmark.diagnostic.settings import Normalisation, Settings, parse_at
from benchmark.diagnostic.terminal import legend, terminal_summary
from benchmark.study.contents import with_contents
from benchmark.study.environment import cache_folder, describe
from benchmark.study.records import Environment
from benchmark.study.study import RunSpec
from benchmark.training.start import set_up_torch

app = typer.Typer()


@app.command("diagnose", epilog="Example: adaptbench diagnose mine.yaml --target contracts")
def diagnose_study(
    study: StudyArgument,
    model: Annotated[str | None, typer.Option(help="Only this model.", show_default="all")] = None,
    target: Annotated[
        str | None, typer.Option(help="Only this target.", show_default="all")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of pretraining.", show_default="the study's first"),
    ] = None,
    at: Annotated[
        str, typer.Option(help="Checkpoints of pretraining, in percent of its steps.")
    ] = defaults.AT,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(help="Weights of your own instead, such as a run's trained.safetensors."),
    ] = None,
    probe_rows: Annotated[
        int, typer.Option(min=1, help="Generic rows to look at.")
    ] = defaults.PROBE_ROWS,
    batches: Annotated[
        int, typer.Option(min=1, help="Disjoint batches of the target.")
    ] = defaults.BATCHES,
    batch_rows: Annotated[
        int, typer.Option(min=1, help="Target rows in each batch.")
    ] = defaults.BATCH_ROWS,
    normalisation: Annotated[
        Normalisation, typer.Option(help="True cosines, or the paper code's one-sided ones.")
    ] = "cosine",
    parts: Annotated[
        str | None,
        typer.Option(
            help="Parts of the model (beginnings of parameters' names, separated by commas) to "
            "show the agreement with fine-tuning of.",
            show_default="the first word of each name",
        ),
    ] = None,
    rule: RuleOption = None,
    convergence: Annotated[
        bool, typer.Option("--convergence", help="Draw the measures against the probe's size.")
    ] = False,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = 1,
    results: ResultsOption = RESULTS,
    cache: CacheOption = None,
) -> None:
    """Tell from a target's train sample, before training, whether online selection can help."""
    loaded = with_contents(load(study), cache_folder(cache))
    specs = pretraining_specs(loaded, model, target, seed)
    job = _Job(
        study=loaded.study,
        shares=parse_at(at),
        files=tuple(checkpoint or ()),
        settings=Settings(
            probe_rows=probe_rows,
            batches=batches,
            batch_rows=batch_rows,
            normalisation=normalisation,
            parts=listed(parts),
        ),
        folder=results / loaded.study / "diagnosis",
        cache=cache_folder(cache),
        environment=describe(device, threads),
        rule=load_rule(rule or RULE),
        convergence=convergence,
    )
    set_up_torch(job.environment.device, job.environment.threads)
    with interruptible():
        for spec in specs:
            job.run(spec)
    console.print(legend())


@dataclass(frozen=True)
class _Job:
    """A diagnosis of each (model, target) asked for."""

    study: str
    shares: tuple[float, ...]
    files: tuple[Path, ...]
    settings: Settings
    folder: Path
    cache: Path
    environment: Environment
    rule: Rule
    convergence: bool

    def run(self, spec: RunSpec) -> None:
        """Diagnose one (model, target, seed), publish it and print it."""
        data = prepared(spec, self.cache)
        self.settings.require_rows(spec.target_name, len(data.target_train), len(data.generic))
        at = f"{spec.model_name}, {spec.target_name}"
        with messages.status(escape(at)) as status:
            diagnosis = diagnose(
                self.study,
                spec,
                data,
                self._checkpoints(spec, data, lambda what: status.update(escape(f"{at}: {what}"))),
                self.settings,
                self.rule,
                self.environment,
                lambda what: status.update(escape(f"{at}: {what}")),
            )
        written = [write_diagnosis(self.folder, diagnosis.record)]
        written += write_figure(self.folder, diagnosis.record)
        written += write_matrix_figure(self.folder, diagnosis.record)
        if self.convergence:
            written += write_convergence(self.folder, diagnosis)
        console.print(terminal_summary(diagnosis.record))
        say_written(written)

    def _checkpoints(
        self, spec: RunSpec, data: PreparedData, hear: Callable[[str], None]
    ) -> list[Checkpoint]:
        if self.files:
            return given(self.files)
        pretraining = Pretraining(
            spec,
            data,
            self.cache,
            self.environment,
            lambda step, of, loss: hear(f"pretraining step {step} of {of}, loss {loss:.3f}"),
        )
        return pretraining.checkpoints(self.shares)
