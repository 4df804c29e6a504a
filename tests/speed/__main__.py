"""What the data path, tokenising, DSIR and a plain step take here: a table, in processor time.

``python -m tests.speed [ROWS]``: DSIR weighs so many rows (100,000). Figures are seconds of one
thread's processor time, which other work on the machine moves less than what a clock shows.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from baselines.filters.dsir import Dsir
from benchmark.data import PreparedData, build_rows, parse_source, prepare
from benchmark.data.views import RowView
from benchmark.methods.registry import planned_method, resolve
from benchmark.running.memory import peak_memory
from benchmark.study.environment import cache_folder
from benchmark.study.study import RunSpec, Study
from benchmark.training.hooks import Hooks
from benchmark.training.loop import Trainer
from benchmark.training.start import initial_model
from tests.baselines.tasks import build, make_task
from tests.speed.by_hand import Steps

TEXT = {"embedded": "wikileads", "part": "train"}
CONTENT: dict[str, Any] = {
    "study": "figures",
    "data": {"width": 256, "generic": TEXT, "near_duplicates": "keep"},
    "models": {"paper": {"preset": "paper"}},
    "targets": {"shakespeare": {"source": "shakespeare", "train": 500}},
    "methods": ["pretraining"],
    "training": {"steps": 1000, "batch": 16, "big_batch": 16, "rate": 0.001},
    "fine_tuning": {"steps": 10, "rate": 0.001},
}
TURNS, BIG = 3, 16_384
TEXT_BYTES = 30_000_000


def spent(work: Callable[[], Any], clock: Callable[[], float] = time.process_time) -> float:
    begin = clock()
    work()
    return clock() - begin


def corpus() -> tuple[RunSpec, PreparedData]:
    (run,) = resolve(Study.model_validate(CONTENT)).runs()
    return run, prepare(run.data, run.target, cache_folder(None))


def repeated(rows: RowView, count: int) -> RowView:
    return RowView(rows.store, np.resize(rows.index, count), "")


def data_path(rows: RowView) -> float:
    """Milliseconds of the training thread for the big batch of a step, rows fetched ahead."""
    task = make_task(
        repeated(rows, 20 * BIG), rows.tokens(np.arange(8)), big_batch_size=BIG, steps=20
    )
    task.big_batch(0)
    task.big_batch(1)
    seconds = []
    for step in range(2, 9):
        time.sleep(1.0)  # a step of training
        seconds.append(spent(lambda step=step: task.big_batch(step), time.thread_time))
    return 1000 * median(seconds)


def tokenising(rows: RowView) -> float:
    """Megabytes a second of one process, from documents of 2 kB as JSON lines to rows."""
    some = rows.tokens(np.arange(min(20_000, len(rows))))
    # Rows may begin and end inside a character.
    texts = [bytes(row[row > 0].tolist()).decode(errors="ignore") for row in some]
    documents = ["\n".join(texts[start : start + 8]) for start in range(0, len(texts), 8)]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in documents).encode()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "text.jsonl"
        file.write_bytes(lines * max(1, TEXT_BYTES // len(lines)))
        size, data = file.stat().st_size, Study.model_validate(CONTENT).data
        seconds = spent(lambda: build_rows(parse_source(str(file)), data, Path(folder)))
    return size / 1e6 / seconds


def dsir(rows: RowView, count: int) -> float:
    """Seconds of one process for the weights of so many rows."""
    task = make_task(repeated(rows, count), rows.tokens(np.arange(500)))
    return spent(build(Dsir, task).log_weights)


def ours(run: RunSpec, data: PreparedData) -> Callable[[int], Any]:
    model = initial_model(run, data)
    trainer = Trainer(run, data, model, planned_method(run.method), Path(), Hooks())
    trainer.prepare()
    return lambda step: trainer.make_step(step, 1e-4)


def by_hand(run: RunSpec, data: PreparedData) -> Callable[[int], Any]:
    generic = data.generic
    return Steps(generic.stored(np.arange(len(generic))), run.training.batch)


def step_ratio(run: RunSpec, data: PreparedData) -> tuple[float, float]:
    """Seconds of a plain step, and over those of the same step by hand, in turn."""
    steps = ours(run, data), by_hand(run, data)
    taken = [[spent(lambda t=turn, s=step: s(t)) for step in steps] for turn in range(TURNS + 1)]
    return median(a for a, _ in taken[1:]), median(a / b for a, b in taken[1:])


def peak_of(which: str) -> int:
    """Most bytes of a process that makes two steps."""
    command = [sys.executable, "-m", "tests.speed", which]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    torch.set_num_threads(1)
    run, data = corpus()
    argument = sys.argv[1] if sys.argv[1:] else "100000"
    makers = {"ours": ours, "by_hand": by_hand}
    if argument in makers:
        step = makers[argument](run, data)
        step(0)
        step(1)
        print(peak_memory())
        return
    count, rows = int(argument), data.generic
    print("| figure | here | unit | aim |\n| :--- | ---: | :--- | :--- |")
    tell("data path, 16,384 x 256 bytes a step", data_path(rows), "ms of the training thread", "10")
    tell("tokenising bytes, two processes", 2 * tokenising(rows), "MB/s", "50 or more")
    weighing = dsir(rows, count) * 1e6 / count / 2
    tell("DSIR, 1,000,000 rows, two processes", weighing, "s", "60")
    seconds, ratio = step_ratio(run, data)
    tell("plain step of `paper`, 16 x 256 bytes", seconds, "s of one core", "")
    tell("over the same step by hand", ratio, "times", "1.3")
    tell("peak memory over that by hand", peak_of("ours") / peak_of("by_hand"), "times", "1.2")


def tell(name: str, value: float, unit: str, aim: str) -> None:
    print(f"| {name} | {value:.3g} | {unit} | {aim} |", flush=True)


if __name__ == "__main__":
    main()
