"""How and where a study's runs are submitted, from YAML: executor, resources, limits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from benchmark.core.config_file import load_config
from benchmark.core.errors import UserError
from benchmark.core.frozen import Frozen
from benchmark.study.study import RunSpec

Count = Annotated[int, Field(gt=0)]
SHORTEST_DELAY = 5


class Resources(Frozen):
    """What one run asks for; runs that ask for the same share job arrays.

    ``cpus`` (cores, and threads) and ``gpus`` are those of each process, ``memory_gb`` is that of
    each node; ``processes`` work on each of ``nodes`` nodes, data-parallel. ``minutes`` is the time
    limit of a job, not of a run: a run that needs more is checkpointed and requeued.
    """

    cpus: Count = 1
    gpus: Annotated[int, Field(ge=0, le=1)] = 0
    memory_gb: Annotated[float, Field(gt=0)] = 4.0
    minutes: Count = 240
    processes: Count = 1
    nodes: Count = 1

    def units(self, device: Literal["cpu", "cuda"]) -> int:
        """Cores, or GPUs, of one run."""
        each = self.gpus if device == "cuda" else self.cpus
        return each * self.processes * self.nodes


class Override(Frozen):
    """Other resources for some of the runs: those of these methods on these models.

    Name at least one of either. None leaves a resource as it was; overrides apply in their order.
    """

    methods: tuple[str, ...] = ()
    """Labels of methods; empty: all."""
    models: tuple[str, ...] = ()
    """Names of models; empty: all."""
    cpus: Count | None = None
    """CPU cores, and threads, of each process."""
    memory_gb: Annotated[float, Field(gt=0)] | None = None
    """Memory of each node, in GB."""
    minutes: Count | None = None
    """Time limit of a job."""
    processes: Count | None = None
    """Processes on each node."""
    nodes: Count | None = None
    """Nodes of a run."""

    @model_validator(mode="after")
    def _names_something(self) -> Override:
        if not (self.methods or self.models):
            raise ValueError("give methods or models: an override is for some of the runs")
        return self

    def applies_to(self, run: RunSpec) -> bool:
        """Whether the run is one of those that the override names."""
        by_method = not self.methods or run.method.label in self.methods
        return by_method and (not self.models or run.model_name in self.models)


class Profile(Frozen):
    """A profile file.

    ``array_parallelism`` runs at most are at work at once (0: as many as fit); arrays are cut below
    the site's ``max_array_size`` (``scontrol show config | grep MaxArraySize``). A job is told
    ``signal_delay_seconds`` before its time limit; a run is requeued after at most
    ``max_timeouts`` time limits, restarted in its job after ``max_restarts`` deaths of its process
    that no progress lies between, and dispatched ``max_attempts`` times at most, the first
    included. A run is lost if its heartbeat is older than ``lost_after_seconds``. ``setup`` are
    shell lines that a job starts with, ``sbatch`` further options of sbatch by name.
    """

    executor: Literal["slurm", "local", "debug"]
    """``slurm``: a cluster; ``local``: this machine, in the background; ``debug``: the command
    itself, one run after the other.
    """
    device: Literal["cpu", "cuda"] = "cpu"
    """Where runs train; ``cuda`` needs ``gpus`` 1 in ``resources``."""
    partition: str | None = None
    """SLURM partition; None: the site's default."""
    account: str | None = None
    """SLURM account that is charged; None: your default."""
    qos: str | None = None
    """SLURM quality of service; None: the site's default."""
    resources: Resources = Resources()
    """What a run asks for, unless an override says otherwise."""
    overrides: tuple[Override, ...] = ()
    """Other resources for some of the runs."""
    array_parallelism: Annotated[int, Field(ge=0)] = 0
    max_array_size: Annotated[int, Field(ge=2)] = 1001
    signal_delay_seconds: Annotated[int, Field(ge=SHORTEST_DELAY)] = 90
    max_timeouts: Annotated[int, Field(ge=0)] = 20
    max_restarts: Annotated[int, Field(ge=0)] = 2
    max_attempts: Count = 3
    heartbeat_seconds: Annotated[float, Field(gt=0)] = 15.0
    """Seconds between heartbeats, at most a third of ``lost_after_seconds``."""
    lost_after_seconds: Annotated[float, Field(gt=0)] = 90.0
    setup: tuple[str, ...] = ()
    sbatch: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Profile:
        if self.device == "cuda" and not self.resources.gpus:
            raise ValueError("resources.gpus: device cuda needs 1")
        if self.lost_after_seconds < 3 * self.heartbeat_seconds:
            raise ValueError(
                f"lost_after_seconds: {self.lost_after_seconds} is less than three heartbeats of "
                f"{self.heartbeat_seconds} seconds"
            )
        if self.executor != "slurm" and any(r.nodes > 1 for r in self._all_resources()):
            raise ValueError(f"resources.nodes: executor {self.executor} has one node")
        if self.executor == "debug" and any(r.processes > 1 for r in self._all_resources()):
            raise ValueError("resources.processes: executor debug runs in this process alone")
        return self

    def _all_resources(self) -> list[Resources]:
        return [self.resources, *(_with(self.resources, entry) for entry in self.overrides)]

    def resources_of(self, run: RunSpec) -> Resources:
        """What a run asks for: overrides apply in their order."""
        resources = self.resources
        for entry in self.overrides:
            if entry.applies_to(run):
                resources = _with(resources, entry)
        return resources


def _with(resources: Resources, entry: Override) -> Resources:
    changes = entry.model_dump(exclude={"methods", "models"}, exclude_none=True)
    return resources.model_copy(update=changes)


def load_profile(file: Path) -> Profile:
    """Read and validate a profile.

    Raises:
        UserError: naming the file, the key, the bad value and what is valid.
    """
    if not file.is_file():
        own = sorted(other.name for other in (Path(__file__).parent / "profiles").glob("*.yaml"))
        raise UserError(f"{file}: no such profile; slurm/profiles has {', '.join(own)}")
    return load_config(file, Profile, "a profile")
