"""Beginnings that several runs share, computed once.

A method that starts as plain pretraining does shares its first steps, to the bit, with every other
run of the same model, data, seed and budget that does. Whoever gets to the end of such a beginning
and goes on otherwise publishes its state there; others go on from the longest that is theirs too.
Each is billed as if it had done the work itself.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.api import PRETRAINING
from benchmark.api.kept import Kept
from benchmark.methods.registry import method_of
from benchmark.models.checkpoint import save_checkpoint
from benchmark.models.parallel import is_first, sum_numbers
from benchmark.study.environment import code_digest
from benchmark.study.records import Environment
from benchmark.study.study import RunSpec

if TYPE_CHECKING:
    from benchmark.api.baseline import Baseline


class SharedStage:
    """The first ``steps`` of a run, in a folder of the states that runs like it have published.

    Runs are alike if what was asked, the rows, the code and the machine's kind are the same.
    """

    def __init__(self, run: RunSpec, rows: str, environment: Environment, cache: Path) -> None:
        self.steps = pretraining_steps(run)
        content = run.protocol, run.seed, rows, made_by(environment)
        self._folder = cache / "stages" / digest_of(content)

    def find(self) -> Path | None:
        """The longest published state that the run may go on from; all processes find the same."""
        published = (int(file.stem) for file in self._folder.glob("[0-9]*.safetensors"))
        longest = max((step for step in published if step <= self.steps), default=0)
        (step,) = sum_numbers(longest if is_first() else 0)
        return self._file(int(step)) if step else None

    def publish(self, state: dict[str, Any]) -> None:
        """Offer the state after the run's last shared step to others."""
        file = self._file(self.steps)
        if is_first() and not file.exists():
            save_checkpoint(file, state)

    def _file(self, step: int) -> Path:
        return self._folder / f"{step}.safetensors"


def kept_results(run: RunSpec, rows: str, environment: Environment, cache: Path) -> Kept:
    """Where the run finds and leaves what it may share with others; ``rows`` is their digest.

    The code of a method from elsewhere is not in the digest of ours: its runs share nothing, and
    find again what they have done before a kill.
    """
    own = method_of(run.method).__module__.startswith("baselines.")
    alike = made_by(environment), "" if own else run.key
    folder = cache / "kept"
    return Kept(
        rows=folder / digest_of((rows, *alike)),
        run=folder / digest_of((run.protocol, run.seed, rows, *alike)),
    )


def made_by(environment: Environment) -> tuple[Any, ...]:
    """The code and the kind of machine that make bits what they are."""
    alike = environment.model_dump(exclude={"commit", "dirty", "host"})
    return code_digest(), sorted(alike.items())


def digest_of(content: tuple[Any, ...]) -> str:
    """A name for what is the same where ``content`` is."""
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


def pretraining_steps(run: RunSpec) -> int:
    """First steps of the run that are those of plain pretraining."""
    method = method_of(run.method)
    settings = method.Hyperparameters.model_validate(run.method.hyperparameters)
    return declared_steps(method, settings, run.training.steps)


def declared_steps(method: type[Baseline], hyperparameters: Any, steps: int) -> int:
    """First steps that the method's own settings declare to be plain pretraining.

    A subclass may train on something else, so that what it inherits does not count.
    """
    own = vars(method).get("Hyperparameters")
    if own is None or "phase" not in vars(own):
        return 0
    return bisect_left(
        range(steps), True, key=lambda step: hyperparameters.phase(step, steps) != PRETRAINING
    )


def stage_leaders(runs: Sequence[RunSpec]) -> set[int]:
    """Places of the runs of a study to do first, so that others find what they share.

    One run for each model, target and seed: that whose beginning is shortest.
    """
    groups: dict[tuple[str, str, int], list[tuple[int, int]]] = defaultdict(list)
    for place, run in enumerate(runs):
        steps = pretraining_steps(run)
        if steps > 0:
            groups[run.model_name, run.target_name, run.seed].append((steps, place))
    shared = (min(group) for group in groups.values() if len(group) > 1)
    return {place for steps, place in shared if steps < runs[place].training.steps}
