"""How a table's numbers came about, in words: a number has a rule."""

from __future__ import annotations

import textwrap
from typing import Any

import pandas as pd

from benchmark.models.protocol import OptimiserConfig
from benchmark.report.results.inputs import StudyResults
from benchmark.report.statistics.intervals import FEWEST
from benchmark.study.budget import TrainingConfig
from benchmark.study.chosen import Chosen
from benchmark.study.records import RunRecord
from benchmark.study.stages import STAGES

HASH_LENGTH = 8


def equal_steps_rule(stages: pd.DataFrame) -> str:
    """Split, and the step that each stage's rule chose."""
    trained, tuned = (
        " / ".join(stages.loc[stages["stage"] == stage, "rule"].unique()) or "no result yet"
        for stage in STAGES
    )
    return f"Test split. As trained: {trained}. After fine-tuning: {tuned}"


def equal_cost_rules(results: StudyResults, cost: str) -> tuple[str, ...]:
    """Split, step and budget of the losses at an equal ``cost``, flops or seconds."""
    reference = results.reference
    whose = (
        f"{reference} has at the end of its training"
        if reference is not None
        else "the cheapest method with a result has at the end of its training (the study has no "
        "pretraining)"
    )
    unit = {"flops": "FLOPs", "seconds": "seconds"}[cost]
    rule = (
        "Valid split (test is read only at the end of a stage). The last evaluation whose "
        f"cumulative {unit} do not exceed those that {whose} (with several seeds, the most); "
        "costlier methods are cut earlier (up to one interval between evaluations below the "
        "budget), cheaper ones are trained no further"
    )
    return (rule,) if cost == "flops" else (rule, seconds_rule(results))


def seconds_rule(results: StudyResults) -> str:
    """Where the seconds of training come from."""
    if results.times is not None:
        made, when = results.times.environment, results.times.measured[:10]
        return (
            "Seconds: step times measured apart, every method in turn (adaptbench time, "
            f"{results.times.rounds} rounds, medians; {made.processor}, {made.device}, threads: "
            f"{made.threads}; commit {made.commit[:HASH_LENGTH]}; {when}), of what a method does "
            "before and of every step until then"
        )
    rule = (
        "Seconds: wall time of training and of what a method does before, without evaluation and "
        "checkpointing; they depend on the machine and on what else it does"
    )
    several = len(set(_machine_names(results.records))) > 1
    caution = ", and these runs were made on different ones: not comparable" if several else ""
    return f"{rule}{caution}. {_why_billed(results)}"


def _why_billed(results: StudyResults) -> str:
    if results.untimed:
        return (
            f"The study's step times are not used: they have none of {', '.join(results.untimed)} "
            "as it was run; adaptbench time measures all"
        )
    return "No step times are on file: adaptbench time measures them apart"


def seeds_rule(results: StudyResults) -> str:
    """Which seeds a loss is the mean of."""
    seeds = results.study.seeds
    listed = f"Seeds: {', '.join(str(seed) for seed in seeds)}"
    how = "mean ± sample standard deviation over seeds" if len(seeds) > 1 else "one run a number"
    return f"{listed}; {how}; lower is better"


def marks_rule(results: StudyResults) -> str:
    """What is bold and what is underlined in a column of losses."""
    seeds = len(results.study.seeds)
    bold = "Bold: the lowest mean of each column"
    if seeds < FEWEST:
        return (
            f"{bold}. Nothing is underlined: what is tied with it cannot be told from {seeds} "
            f"{'seeds' if seeds > 1 else 'seed'}; it takes {FEWEST}"
        )
    return (
        f"{bold}. Underlined: tied with it, as the 95% interval of the log ratio of the two losses "
        f"over the {seeds} seeds (paired by seed; bootstrap-t, no narrower than Student's t) does "
        "not lie above 0; not corrected for the number of methods"
    )


def general_rules(results: StudyResults) -> list[str]:
    """What holds for all tables of a study, one ``subject: text`` each."""
    return [
        _training(results),
        _fine_tuning(results),
        *_tuning(results),
        *_models(results),
        *_data(results),
        _commits(results.records),
        _protocols(results.records),
        _machines(results.records),
    ]


def footnotes(results: StudyResults) -> list[str]:
    """Why numbers are missing or made from fewer seeds than planned."""
    ended_badly = results.planned[results.planned["status"] == "failed"]
    notes = [_failure(run, results) for _, run in ended_badly.iterrows()]
    pending = results.planned[results.planned["status"] == "pending"]
    for key, runs in pending.groupby(["model", "target", "method"], sort=False):
        model, target, method = map(str, key)
        seeds = ", ".join(str(seed) for seed in runs["seed"])
        notes.append(f"pending: {_place(results, model, target, method)}, seed {seeds}")
    notes += [f"no budget: {pair}" for pair in _pairs_without_reference(results)]
    if results.reference is None:
        notes.append("no compute multipliers: the study has no pretraining, whose cost they are of")
    return notes


def _failure(run: pd.Series[Any], results: StudyResults) -> str:
    place = _place(results, run["model"], run["target"], run["method"])
    step = run["failed_at_step"]
    when = "" if pd.isna(step) else f" at step {step:.0f}"
    printable = "".join(c if c.isprintable() else " " for c in run["reason"])
    reason = textwrap.shorten(printable, 200, placeholder=" ...") or "no reason recorded"
    return f"failed: {place}, seed {run['seed']}{when}: {reason}"


def _pairs_without_reference(results: StudyResults) -> list[str]:
    """Pairs that have no comparison at equal cost, since its budget is not known."""
    reference = results.reference
    if reference is None:
        return []
    trained = results.stages[results.stages["stage"] == STAGES[0]]
    trained = trained[trained["method"] == reference]
    known = set(zip(trained["model"], trained["target"], strict=True))
    missing = [pair for pair in results.pairs if pair not in known]
    return [
        f"{_place(results, model, target, reference)} has no result yet"
        for model, target in missing
    ]


def _place(results: StudyResults, model: str, target: str, method: str) -> str:
    model_too = f" ({model})" if len(results.study.models) > 1 else ""
    return f"{method} on {target}{model_too}"


def _training(results: StudyResults) -> str:
    training = results.study.training
    return (
        f"training: {training.steps:,} steps of {training.batch:,} rows, {training.big_batch:,} "
        f"generic rows offered at each; rate {training.rate:g} after {training.warmup:,} steps of "
        f"warm-up{_optimiser(training)}; evaluated every {training.evaluate_every:,} steps"
    )


def _optimiser(training: TrainingConfig) -> str:
    """What differs from the paper's optimiser."""
    kept = training.model_dump(mode="json", include=set(OptimiserConfig.model_fields))
    return "".join(f", {name} {value}" for name, value in kept.items())


def _fine_tuning(results: StudyResults) -> str:
    tuning = results.study.fine_tuning
    return (
        f"fine-tuning: at most {tuning.steps:,} steps on the target sample; rate {tuning.rate:g} "
        f"after {tuning.warmup:,} steps of warm-up; evaluated every {tuning.evaluate_every:,} "
        f"steps, patience {tuning.patience:,}"
    )


def _tuning(results: StudyResults) -> list[str]:
    """How chosen hyper-parameters came about, and what that cost."""
    chosen = results.study.tuned
    if not isinstance(chosen, Chosen):
        return []
    flops = f"{sum(row.tuning_flops for row in chosen.chosen):.2e}".replace("e+", "e")
    return [
        f"hyper-parameters: {chosen.rule}; tuned in study {chosen.study} with seed "
        f"{chosen.training_seed}; the trials cost {flops} FLOPs, not counted in the costs here"
    ]


def _models(results: StudyResults) -> list[str]:
    sizes = {record.spec.model_name: record.parameters for record in results.records}
    known = [name for name in results.study.models if name in sizes]
    return [f"model {name}: {sizes[name]:,} parameters" for name in known]


def _data(results: StudyResults) -> list[str]:
    data = results.study.data
    rows = {record.spec.target_name: record.data["rows"] for record in results.records}
    shared = f"data: {data.tokenizer} tokenizer, rows of {data.width:,} tokens"
    known = [target for target in results.study.targets if target in rows]
    return [shared, *(f"rows for {target}: {_sizes(rows[target])}" for target in known)]


def _sizes(rows: dict[str, int]) -> str:
    return ", ".join(f"{split.replace('_', ' ')} {count:,}" for split, count in rows.items())


def _commits(records: tuple[RunRecord, ...]) -> str:
    commits = [
        record.environment.commit[:HASH_LENGTH]
        + (" with uncommitted changes" if record.environment.dirty else "")
        for record in records
    ]
    return f"commit: {_distinct(commits)}"


def _protocols(records: tuple[RunRecord, ...]) -> str:
    several = len({record.protocol for record in records}) > 1
    hashes = [
        record.protocol[:HASH_LENGTH]
        + (f" ({record.spec.model_name}, {record.spec.target_name})" if several else "")
        for record in records
    ]
    return f"protocol: {'; '.join(dict.fromkeys(hashes))}"


def _machines(records: tuple[RunRecord, ...]) -> str:
    machines = _machine_names(records)
    caution = "; seconds are not comparable between them" if len(set(machines)) > 1 else ""
    return f"machine: {_distinct(machines)}{caution}"


def _machine_names(records: tuple[RunRecord, ...]) -> list[str]:
    return [
        f"{record.environment.processor}, {record.environment.device}, "
        f"threads: {record.environment.threads}"
        for record in records
    ]


def _distinct(texts: list[str]) -> str:
    """Each different text once, with the number of its runs where there are several."""
    counts = pd.Series(texts).value_counts(sort=False)
    if len(counts) == 1:
        return texts[0]
    return "; ".join(f"{text} ({count} runs)" for text, count in counts.items())
