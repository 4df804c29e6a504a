"""A study: models x targets x methods x seeds under one protocol, from YAML, expanded into runs."""

from __future__ import annotations

import difflib
import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from benchmark.core.frozen import Frozen
from benchmark.data.config import DataConfig, TargetConfig
from benchmark.data.planting import Planting, plant
from benchmark.models.config import ModelConfig
from benchmark.study.budget import FineTuningConfig, TrainingConfig
from benchmark.study.chosen import Chosen
from benchmark.study.method_files import label_of_file, names_file
from benchmark.study.names import check_name
from benchmark.tasks import task_kind

Seed = Annotated[int, Field(ge=0, lt=1 << 63)]
Name = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9_+][A-Za-z0-9_.+]*$", max_length=60),
    BeforeValidator(check_name),
]


PRETRAINING = "pretraining"
"""Plain steps: the method of that name, and the phase of other methods' steps that are plain."""


class MethodEntry(Frozen):
    """A method in a study, with the hyper-parameters that differ from its defaults."""

    method: str
    """Name of a method, or a ``.py`` file that holds one."""
    label: Name = ""
    """Name in tables and folders; empty: that of the method, or of its file."""
    hyperparameters: dict[str, Any] = Field(default_factory=dict)
    """Values by name; what is not given keeps the method's default."""
    code: str = ""
    """Digest of the method's file, for a method that is one; filled in when a study is run."""
    revision: Annotated[int, Field(ge=1)] = 1
    """That of the registered method's mathematics; filled in when a study is run."""

    @model_validator(mode="before")
    @classmethod
    def _settings_have_their_place(cls, value: Any) -> Any:
        """Whoever writes a setting beside the method's name, or under it, is told where it goes."""
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            return value
        known = {*cls.model_fields}
        others = [key for key in value if key not in known]
        if "method" not in value and len(value) == 1 and others:
            raise ValueError(
                f"must have the key method: write {{method: {others[0]}, hyperparameters: {{...}}}}"
            )
        for key in others:
            if not difflib.get_close_matches(key, known, n=1):
                raise ValueError(
                    f"unknown key {key!r}; valid: method, label, hyperparameters, of which the "
                    "last holds the settings of the method"
                )
        return value

    def model_post_init(self, _: Any) -> None:
        if not self.label:
            label = label_of_file(self.method) if names_file(self.method) else self.method
            object.__setattr__(self, "label", label)

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Keys of runs do not depend on a field that their method does not use."""
        content: dict[str, Any] = dump(self)
        unused = {"code": not self.code, "revision": self.revision == 1}
        return {name: value for name, value in content.items() if not unused.get(name)}


class StudyTarget(TargetConfig):
    """A target of a study, and what is planted in the generic corpus that it is met with."""

    planted: Planting | None = None
    """Text to hide in the generic corpus of this target's runs; None: none."""

    @property
    def alone(self) -> TargetConfig:
        """The target as its runs know it: what is planted belongs to their generic corpus."""
        return TargetConfig.model_validate(self.model_dump(exclude={"planted"}))

    @model_serializer(mode="wrap")
    def _without_nothing(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = dump(self)
        return content if self.planted else {k: v for k, v in content.items() if k != "planted"}


class RunSpec(Frozen):
    """All that determines one run's result."""

    data: DataConfig
    """The study's data as the target meets it, what is planted included."""
    model_name: Name
    """What the study calls the model."""
    model: ModelConfig
    """Which main model is trained."""
    target_name: Name
    """What the study calls the target."""
    target: TargetConfig
    """Source and sizes of the target sample."""
    method: MethodEntry
    """The method, every hyper-parameter written out."""
    seed: Seed
    """Decides fresh weights, the order of rows and all draws, but not the splits."""
    training: TrainingConfig
    """The study's budget and optimiser."""
    fine_tuning: FineTuningConfig
    """The study's fine-tuning."""

    @property
    def key(self) -> str:
        """Content hash of the run: the same key means the same result."""
        return _content_hash(_by_content(self.model_dump(mode="json")))

    @property
    def run_id(self) -> str:
        """Readable and unique name of the run's folder."""
        parts = (self.model_name, self.target_name, self.method.label, f"s{self.seed}")
        return "-".join((*parts, self.key[:8]))

    @property
    def protocol(self) -> str:
        """Content hash of what must be equal for runs to be compared."""
        shared = {"data", "target", "model", "training", "fine_tuning"}
        return _content_hash(_by_content(self.model_dump(mode="json", include=shared)))


class Study(Frozen):
    """A study file."""

    study: Name
    """Name of the study and of its folder of results."""
    description: str = ""
    """What the study is about, for readers of its tables."""
    data: DataConfig
    """The generic corpus and how text becomes rows, for all runs."""
    models: dict[Name, ModelConfig] = Field(min_length=1)
    """The main models, by names of your choice."""
    targets: dict[Name, StudyTarget] = Field(min_length=1)
    """The targets, by names of your choice."""
    methods: tuple[MethodEntry, ...] = Field(min_length=1)
    """The methods to compare, each with a label of its own."""
    seeds: tuple[Seed, ...] = Field(default=(0,), min_length=1)
    """Each method is run with each of them, on each model and target."""
    training: TrainingConfig
    """Budget and optimiser of all runs."""
    fine_tuning: FineTuningConfig
    """The stage after training, the same for all runs."""
    tuned: Path | Chosen | None = None
    """Chosen hyper-parameters that replace those of the methods: a file, or its content."""
    downsampling: Annotated[int, Field(ge=1)] | None = Field(
        default=None, exclude_if=lambda value: value is None
    )
    """Generic rows that selection sees for each that it takes, whatever settings are chosen: the
    ``downsampling`` of methods that have it, of those with a ``keep`` 1/``downsampling``; None: as
    each method has it.
    """

    @field_validator("methods", mode="before")
    @classmethod
    def _names_are_entries(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        return [{"method": entry} if isinstance(entry, str) else entry for entry in value]

    @field_validator("methods")
    @classmethod
    def _labels_differ(cls, entries: tuple[MethodEntry, ...]) -> tuple[MethodEntry, ...]:
        labels = [entry.label for entry in entries]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} is used twice: give one of them another label")
        return entries

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        twice = next((seed for seed in seeds if seeds.count(seed) > 1), None)
        if twice is not None:
            raise ValueError(
                f"seed {twice} is listed twice, which makes no other run: list it once"
            )
        return seeds

    @model_validator(mode="after")
    def _targets_fill_a_batch(self) -> Study:
        for name, target in self.targets.items():
            if target.train < self.training.batch:
                raise ValueError(
                    f"targets.{name}.train: {target.train} rows are fewer than one batch of "
                    f"{self.training.batch}: raise it or lower training.batch"
                )
        return self

    @model_validator(mode="after")
    def _sources_are_of_the_task(self) -> Study:
        for name, target in self.targets.items():
            self.data.check_source(target.source, f"targets.{name}.source")
            try:
                data = self.data_for(name)
            except ValueError as error:
                raise ValueError(f"targets.{name}.planted: {error}") from None
            data.check_source(data.generic, f"targets.{name}.planted")
        return self

    @model_validator(mode="after")
    def _models_are_of_the_task(self) -> Study:
        for name, model in self.models.items():
            try:
                task_kind(self.data).check_model(model)
            except ValueError as error:
                raise ValueError(f"models.{name}: {error}") from None
        return self

    def data_for(self, target: str) -> DataConfig:
        """The study's data as a target meets it."""
        planted = self.targets[target].planted
        return plant(self.data, planted) if planted else self.data

    def runs(self) -> list[RunSpec]:
        """Every run of the study, in the order in which they are best shown."""
        return [
            RunSpec(
                data=self.data_for(target_name),
                model_name=model_name,
                model=model,
                target_name=target_name,
                target=target.alone,
                method=self._as_tuned(method, model_name, target_name),
                seed=seed,
                training=self.training,
                fine_tuning=self.fine_tuning,
            )
            for model_name, model in self.models.items()
            for target_name, target in self.targets.items()
            for seed in self.seeds
            for method in self.methods
        ]

    def _as_tuned(self, entry: MethodEntry, model: str, target: str) -> MethodEntry:
        if self.tuned is None:
            return entry
        if isinstance(self.tuned, Path):
            raise ValueError(f"{self.tuned} is not read in yet: resolve the study first")
        values = self.tuned.find(model, target, entry.label).hyperparameters
        return entry.model_copy(update={"hyperparameters": values})


def _by_content(spec: dict[str, Any]) -> dict[str, Any]:
    """A dumped spec without the paths of what it knows by content, wherever that lies."""
    if "files" in spec["model"]:
        del spec["model"]["huggingface"]
    if "tokenizer_files" in spec["data"]:
        del spec["data"]["tokenizer"]
    return spec


def _content_hash(content: Any) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
