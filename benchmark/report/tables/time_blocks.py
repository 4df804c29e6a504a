"""The blocks of a study's step times."""

from __future__ import annotations

from benchmark.report.results.rules import HASH_LENGTH
from benchmark.report.tables.blocks import NOTHING, Block, Cell, Column, number
from benchmark.study.step_times import PREPARATION, MethodTimes, StudyTimes

MEGABYTE = 1e6


def time_blocks(times: StudyTimes) -> list[Block]:
    """For each model what a step of each method takes, and what else it does."""
    models = list(dict.fromkeys(method.model for method in times.methods))
    return [_block(times, model, len(models) > 1) for model in models]


def _block(times: StudyTimes, model: str, several: bool) -> Block:
    methods = [method for method in times.methods if method.model == model]
    parts = list(dict.fromkeys(part for method in methods for part in method.parts))
    parts.sort(key=lambda part: part == "other")
    columns = (
        Column("step", "ms"),
        Column("step", "quartiles"),
        Column("ratio", "median"),
        Column("ratio", "quartiles"),
        *(Column("ms of it", part) for part in parts),
        Column("once", "s"),
        Column("memory", "MB"),
        Column("speed", "GFLOP/s"),
        Column("speed", "of product"),
    )
    rows = tuple((method.method, _cells(times, method, parts)) for method in methods)
    suffix = f", model {model}" if several else ""
    return Block(f"Step times of {times.study}{suffix}", columns, rows, _rules(times))


def _cells(times: StudyTimes, method: MethodTimes, parts: list[str]) -> tuple[Cell, ...]:
    seconds, ratio, product = method.seconds, method.ratio, times.product_flops.median
    speed = method.flops / seconds.median
    memory = (method.memory_bytes, method.device_memory_bytes)
    texts = (
        _milliseconds(seconds.median),
        f"{_milliseconds(seconds.low)}-{_milliseconds(seconds.high)}",
        number(ratio.median, ".2f"),
        f"{ratio.low:.2f}-{ratio.high:.2f}",
        *(_milliseconds(method.parts[part]) if part in method.parts else NOTHING for part in parts),
        number(sum(method.once.values()), ".2f"),
        " + ".join(f"{size / MEGABYTE:.0f}" for size in memory if size is not None),
        number(speed / 1e9, ".1f"),
        f"{speed / product:.0%}",
    )
    return tuple(map(Cell, texts))


def _rules(times: StudyTimes) -> tuple[str, ...]:
    made = times.environment
    dirty = " with uncommitted changes" if made.dirty else ""
    rules = [
        f"Step: the median over {times.rounds} rounds, in each of which every method makes "
        f"{times.steps_a_turn} steps of each phase after one that does not count; phases by their "
        "share of the run's steps",
        f"Ratio: to a step of {times.reference} in the same round. Parts: shares of all timed "
        "steps, of the median",
        "Memory: the most that the process held"
        + (" + the most on the device" if made.device == "cuda" else ""),
        "Speed: FLOPs of a step by the meter over its seconds; of product: over the "
        f"{times.product_flops.median / 1e9:.0f} GFLOP/s that products of {times.product_size} x "
        f"{times.product_size} float32 matrices reached in the same rounds",
        f"Once: {_once(times)}",
        f"machine: {made.processor}, {made.device}, threads: {made.threads}; commit "
        f"{made.commit[:HASH_LENGTH]}{dirty}; measured {times.measured}",
    ]
    return tuple(rules)


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
