"""The blocks of a study's step times."""

from __future__ import annotations

from benchmark.report.results.rules import HASH_LENGTH
from benchmark.report.tables.blocks import NOTHING, Block, Cell, Column, number
from benchmark.study.step_times import OTHER, PREPARATION, MethodTimes, StudyTimes

MEGABYTE = 1e6
PARTS_RULE = (
    "The median step above, divided as all timed steps are together. Data: rows drawn and "
    "fetched. Outer update: training of what a method learns by. Other: drawing rows to train "
    "on, bookkeeping, and what a method gives no name to"
)


def time_blocks(times: StudyTimes) -> list[Block]:
    """For each model what a step of each method takes, and what it is made of."""
    models = dict.fromkeys(method.model for method in times.methods)
    several = len(models) > 1
    return [
        block
        for model in models
        for block in (
            _steps(times, model, f", model {model}" if several else ""),
            _parts(times, model, f", model {model}" if several else ""),
        )
    ]


def _steps(times: StudyTimes, model: str, suffix: str) -> Block:
    columns = (
        Column("ms a step", "median"),
        Column("ms a step", "quartiles"),
        Column("ratio", "median"),
        Column("ratio", "quartiles"),
        Column("tokens/s", "trained on"),
        Column("GFLOP/s", "reached"),
        Column("GFLOP/s", "share"),
    )
    rows = tuple((method.method, _cells(times, method)) for method in _methods(times, model))
    return Block(f"Step times of {times.study}{suffix}", columns, rows, _rules(times))


def _cells(times: StudyTimes, method: MethodTimes) -> tuple[Cell, ...]:
    seconds, ratio, product = method.seconds, method.ratio, times.product_flops.median
    speed = method.flops / seconds.median
    texts = (
        _milliseconds(seconds.median),
        f"{_milliseconds(seconds.low)}-{_milliseconds(seconds.high)}",
        number(ratio.median, ".2f"),
        f"{ratio.low:.2f}-{ratio.high:.2f}",
        NOTHING if method.tokens is None else number(method.tokens / seconds.median, ",.0f"),
        number(speed / 1e9, ".1f"),
        f"{speed / product:.0%}",
    )
    return tuple(map(Cell, texts))


def _parts(times: StudyTimes, model: str, suffix: str) -> Block:
    methods = _methods(times, model)
    parts = dict.fromkeys(part for method in methods for part in method.parts)
    names = sorted(parts, key=lambda part: part == OTHER)
    columns = (
        *(Column("ms a step", name) for name in names),
        Column("once", "s"),
        Column("memory", "MB"),
    )
    rows = tuple((method.method, _part_cells(method, names)) for method in methods)
    return Block(f"Parts and memory of {times.study}{suffix}", columns, rows, _part_rules(times))


def _part_cells(method: MethodTimes, names: list[str]) -> tuple[Cell, ...]:
    memory = (method.memory_bytes, method.device_memory_bytes)
    texts = (
        *(_milliseconds(method.parts[name]) if name in method.parts else NOTHING for name in names),
        number(sum(method.once.values()), ".2f"),
        "+".join(f"{size / MEGABYTE:.0f}" for size in memory if size is not None),
    )
    return tuple(map(Cell, texts))


def _methods(times: StudyTimes, model: str) -> list[MethodTimes]:
    return [method for method in times.methods if method.model == model]


def _rules(times: StudyTimes) -> tuple[str, ...]:
    made = times.environment
    dirty = " with uncommitted changes" if made.dirty else ""
    return (
        f"Step: the median over {times.rounds} rounds, in each of which every method makes "
        f"{times.steps_a_turn} steps of each phase after one that does not count; phases by their "
        "share of the run's steps",
        f"Ratio: to a step of {times.reference} in the same round",
        "Tokens: cells of the rows that the main model is trained on",
        "GFLOP/s: FLOPs of a step by the meter over its seconds; share: of the "
        f"{times.product_flops.median / 1e9:.0f} GFLOP/s that products of {times.product_size} x "
        f"{times.product_size} float32 matrices reached in the same rounds",
        f"machine: {made.processor}, {made.device}, threads: {made.threads}; commit "
        f"{made.commit[:HASH_LENGTH]}{dirty}; measured {times.measured}",
    )


def _part_rules(times: StudyTimes) -> tuple[str, ...]:
    device = ", and the most on the device" if times.environment.device == "cuda" else ""
    memory = f"Memory: the most that the process held{device}"
    return PARTS_RULE, f"Once in a run: {_once(times)}. {memory}"


def _once(times: StudyTimes) -> str:
    """What is done once besides the preparation."""
    others = {
        f"phase {name} of {method.method}"
        for method in times.methods
        for name in method.once
        if name != PREPARATION
    }
    return ", ".join([PREPARATION, *sorted(others)])


def _milliseconds(seconds: float) -> str:
    value = 1000 * seconds
    return number(value, ".2f" if value < 10 else ".1f" if value < 100 else ".0f")
