"""The commands that say which method to train, and how good such advice is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.markup import escape

from benchmark.cli.messages import console, interruptible, messages, say_written
from benchmark.cli.options import (
    RESULTS,
    CacheOption,
    DeviceOption,
    MethodsOption,
    ResultsOption,
    RuleOption,
    TargetsOption,
    ThreadsOption,
    listed,
)
from benchmark.cli.specs import prepared, pretraining_specs
from benchmark.cli.studies import load, results_of
from benchmark.core.errors import UserError
from benchmark.data import PreparedData
from benchmark.data import prepare as prepare_rows
from benchmark.diagnostic.recommend.advice import menu, recommend
from benchmark.diagnostic.recommend.cells import fitted_on, measured_cells, read_studies
from benchmark.diagnostic.recommend.features import Tier
from benchmark.diagnostic.recommend.figure import write_recommendation_figure
from benchmark.diagnostic.recommend.fitting import Cell, fit_rule, menu_of
from benchmark.diagnostic.recommend.measuring import Measuring
from benchmark.diagnostic.recommend.outcomes import Finished
from benchmark.diagnostic.recommend.records import RecommendationRecord, write_recommendation
from benchmark.diagnostic.recommend.rule import load_advice_rule, shipped_rule, write_advice_rule
from benchmark.diagnostic.recommend.scoring import score_frozen, score_left_out
from benchmark.diagnostic.recommend.terminal import terminal_recommendation
from benchmark.diagnostic.recommend.write import write_scores
from benchmark.report.tables.rendering import terminal
from benchmark.study.budget import TrainingConfig
from benchmark.study.contents import with_contents
from benchmark.study.environment import cache_folder, describe
from benchmark.study.study import PRETRAINING, RunSpec, Study
from benchmark.training.start import set_up_torch

StudiesArgument = Annotated[
    list[str], typer.Argument(help="Finished studies: names, .yaml files or folders of results.")
]
TierOption = Annotated[
    int,
    typer.Option(
        min=0, max=1, help="0: from the text alone, in seconds; 1: from gradients too, early on."
    ),
]

app = typer.Typer()


@app.command(
    "recommend",
    epilog="Example: adaptbench recommend mine.yaml --target contracts --budget 5000",
)
def recommend_method(
    study: Annotated[str, typer.Argument(help="A .yaml file, or an embedded study's name.")],
    target: Annotated[str, typer.Option(help="The target to choose a method for.")],
    rule: RuleOption = None,
    tier: Annotated[
        int | None,
        typer.Option(
            min=0, max=1, help="0: text; 1: gradients too.", show_default="that of --rule, else 0"
        ),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(
            min=1, max=10**12, help="Training steps to advise for.", show_default="the study's"
        ),
    ] = None,
    methods: MethodsOption = None,
    model: Annotated[
        str | None, typer.Option(help="The model.", show_default="the study's first")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**63 - 1,
            help="Seed of pretraining (tier 1).",
            show_default="the study's first",
        ),
    ] = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = 1,
    results: ResultsOption = RESULTS,
    cache: CacheOption = None,
) -> None:
    """Tell which method to train on a target, by a rule fitted to finished studies.

    Of the target, only the train sample is read. `recommend fit` fits a rule to studies of yours,
    `recommend score` measures how good one is.
    """
    fitted = shipped_rule(1 if tier else 0) if rule is None else load_advice_rule(rule)
    loaded = with_contents(load(study), cache_folder(cache))
    first = next(iter(loaded.models)) if model is None else model
    (spec,) = pretraining_specs(_with_budget(loaded, budget), first, target, seed)
    entries = {entry.label: entry.method for entry in loaded.methods}
    labels = menu(fitted, entries, listed(methods))
    asked: Tier = fitted.tier if tier is None else (1 if tier else 0)
    measuring = _measuring(cache, device, threads)
    with interruptible():
        data = prepared(spec, measuring.cache)
        with messages.status(escape(target)):
            measured = measuring.measure(spec, data, asked)
    record = RecommendationRecord(
        study=loaded.study,
        model=first,
        target=target,
        protocol=spec.protocol,
        data=data.fingerprint,
        rule=None if rule is None else str(rule),
        fitted_on=fitted.fitted_on.words,
        measured=measured,
        ends=recommend(fitted, measured, labels),
        outside=fitted.outside(measured),
        left_out=tuple(label for label in entries if label not in (*fitted.methods, PRETRAINING)),
        environment=measuring.environment,
    )
    folder = results / loaded.study
    written = [write_recommendation(folder, record), *write_recommendation_figure(folder, record)]
    console.print(terminal_recommendation(record))
    say_written(written)


@app.command(epilog="Example: adaptbench recommend fit mine another --tier 1 --out rule.yaml")
def fit(
    studies: StudiesArgument,
    tier: TierOption = 0,
    targets: TargetsOption = None,
    out: Annotated[Path, typer.Option(help="The file to write the rule to.")] = Path(
        "recommendation.yaml"
    ),
    device: DeviceOption = "cpu",
    threads: ThreadsOption = 1,
    results: ResultsOption = RESULTS,
    cache: CacheOption = None,
) -> None:
    """Fit a rule of recommendations to what finished studies gained."""
    asked: Tier = 1 if tier else 0
    found, cells, left_out = _cells(
        studies, listed(targets), asked, results, _measuring(cache, device, threads)
    )
    rule = fit_rule(cells, menu_of(found), asked, fitted_on(found, cells))
    write_advice_rule(out, rule)
    for why in left_out:
        messages.print(f"left out: {why}", highlight=False, markup=False)
    console.print(f"Fitted on {rule.fitted_on.words}.", highlight=False, markup=False)
    say_written([out])


@app.command(epilog="Example: adaptbench recommend score mine another --against rule.yaml")
def score(
    studies: StudiesArgument,
    against: Annotated[
        Path | None,
        typer.Option(
            help="A rule to score as it is, on sources that it has not seen.",
            show_default="each source by a fit to the others",
        ),
    ] = None,
    tier: Annotated[
        int | None,
        typer.Option(
            min=0, max=1, help="0: text; 1: gradients too.", show_default="the rule's, else 0"
        ),
    ] = None,
    targets: TargetsOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write to.", show_default="recommendation/score in the first's results"
        ),
    ] = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = 1,
    results: ResultsOption = RESULTS,
    cache: CacheOption = None,
) -> None:
    """Measure how good recommendations are on sources that are held out."""
    rule = None if against is None else load_advice_rule(against)
    asked: Tier = 1 if tier else 0
    if rule is not None:
        if tier is not None and tier != rule.tier:
            raise UserError(f"--tier: the rule of --against is of tier {rule.tier} (got {tier})")
        asked = rule.tier
    found, cells, left_out = _cells(
        studies, listed(targets), asked, results, _measuring(cache, device, threads)
    )
    if rule is None:
        scored = score_left_out(cells, menu_of(found), asked, fitted_on(found, cells))
    else:
        menu(rule, {label: each.method for label, each in menu_of(found).items()}, ())
        scored = score_frozen(cells, rule)
    folder = out or results_of(studies[0], results) / "recommendation" / f"score-tier{asked}"
    names = [each.study for each in found]
    written, blocks, lines = write_scores(folder, scored, cells, names, left_out)
    for block in blocks:
        console.print(terminal(block))
    for line in lines:
        console.print(f"- {line}", markup=False, highlight=False)
    say_written(written)


def _measuring(cache: Path | None, device: str, threads: int) -> Measuring:
    set_up_torch(device, threads)
    return Measuring(cache_folder(cache), describe(device, threads), lambda _: None)


def _cells(
    studies: Sequence[str],
    targets: Sequence[str],
    tier: Tier,
    results: Path,
    measuring: Measuring,
) -> tuple[tuple[Finished, ...], list[Cell], list[str]]:
    found = read_studies([results_of(study, results) for study in studies], targets)
    with interruptible(), messages.status("measures") as status:
        count = sum(len(study.outcomes) for study in found)
        done = 0

        def prepare(spec: RunSpec) -> PreparedData:
            nonlocal done
            done += 1
            at = f"{spec.model_name}, {spec.target_name}"
            status.update(escape(f"measures of {at} ({done} of {count})"))
            return prepare_rows(spec.data, spec.target, measuring.cache)

        return found, *measured_cells(found, tier, measuring, prepare)


def _with_budget(study: Study, steps: int | None) -> Study:
    """The study with another number of training steps.

    Raises:
        UserError: its schedule does not allow them.
    """
    if steps is None:
        return study
    content = study.training.model_dump() | {"steps": steps}
    try:
        training = TrainingConfig.model_validate(content)
    except ValidationError as error:
        raise UserError(f"--budget: {error.errors()[0]['msg']} (got {steps})") from error
    return study.model_copy(update={"training": training})
