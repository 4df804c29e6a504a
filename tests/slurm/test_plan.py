"""From runs to arrays: resource classes, the site's limits, shared beginnings first."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmark.core.errors import UserError
from benchmark.running.estimate import FromRecords
from benchmark.study.records import RunRecord, RunSummary
from benchmark.study.study import Study
from slurm.attempts import AttemptState
from slurm.plan import Plan, plan_runs
from slurm.profile import Profile, load_profile
from slurm.queue import Queue
from slurm.status import judge_runs
from slurm.submissions import load_submissions
from tests.slurm import sweeps

PROFILES = sorted((Path(__file__).parents[2] / "slurm" / "profiles").glob("*.yaml"))


def planned(
    results: Path, study: Study, profile: Profile, records: tuple[RunRecord, ...] = ()
) -> Plan:
    ended = [(record.spec, RunSummary.model_validate(record.model_dump())) for record in records]
    statuses = judge_runs(study.runs(), results, load_submissions(results), Queue())
    return plan_runs(statuses, profile, FromRecords(ended, profile.device).of)


def test_one_array_for_each_resource_class(tmp_path: Path) -> None:
    profile = Profile.model_validate(
        {
            "executor": "slurm",
            "resources": {"memory_gb": 2},
            "overrides": [
                {"methods": ["random"], "memory_gb": 16},
                {"models": ["other"], "minutes": 5},
            ],
        }
    )
    arrays = planned(tmp_path, sweeps.study(seeds=3), profile).arrays
    assert [(array.resources.memory_gb, len(array.runs)) for array in arrays] == [(2, 3), (16, 3)]
    assert {array.resources.minutes for array in arrays} == {240}


def test_arrays_are_cut_below_the_sites_limit(tmp_path: Path) -> None:
    profile = Profile(executor="slurm", max_array_size=5)
    plan = planned(tmp_path, sweeps.study(seeds=5, methods=("random", "mixing")), profile)
    assert [len(array.runs) for array in plan.arrays] == [4, 4, 2]
    assert len({run.spec.run_id for run in plan.runs}) == 10


def test_a_shared_beginning_goes_first_and_once_for_each_seed(tmp_path: Path) -> None:
    study = sweeps.study(seeds=2, methods=("pretraining", "cds", "random"))
    first, rest = planned(tmp_path, study, Profile(executor="slurm")).phases
    assert [run.spec.method.method for array in first for run in array.runs] == ["cds", "cds"]
    assert sorted(run.spec.method.method for array in rest for run in array.runs) == [
        "pretraining",
        "pretraining",
        "random",
        "random",
    ]


def test_what_ran_out_of_memory_gets_twice_as_much(tmp_path: Path) -> None:
    study = sweeps.study(methods=("random",))
    sweeps.submission(tmp_path)
    sweeps.attempt(tmp_path, study.runs()[0], AttemptState(phase="out_of_memory"))
    (run,) = planned(tmp_path, study, Profile(executor="slurm")).runs
    assert (run.number, run.resources.memory_gb) == (2, 8.0)


def test_hours_are_estimated_from_runs_of_the_same_kind(tmp_path: Path) -> None:
    study = sweeps.study(seeds=2)
    known = sweeps.record(study.runs()[0], seconds=7200.0)
    profile = Profile.model_validate({"executor": "slurm", "resources": {"cpus": 3}})
    plan = planned(tmp_path, study, profile, (known,))
    assert [run.estimate and run.estimate.seconds for run in plan.runs] == [7200, None] * 2
    assert plan.hours("cpu") == 12.0


@pytest.mark.parametrize("file", PROFILES, ids=lambda file: file.stem)
def test_the_profiles_that_come_along_are_valid(file: Path) -> None:
    assert load_profile(file).executor in {"slurm", "local", "debug"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"executor": "pbs"}, "'slurm', 'local' or 'debug' (got 'pbs')"),
        ({"executor": "slurm", "partitoin": "main"}, "did you mean 'partition'"),
        ({"executor": "slurm", "resources": {"minutes": 0}}, "resources.minutes"),
        ({"executor": "slurm", "device": "cuda"}, "resources.gpus: device cuda needs 1"),
        ({"executor": "local", "resources": {"nodes": 2}}, "executor local has one node"),
        ({"executor": "slurm", "overrides": [{"minutes": 5}]}, "give methods or models"),
        ({"executor": "slurm", "heartbeat_seconds": 60}, "less than three heartbeats"),
    ],
)
def test_a_bad_profile_is_refused_with_the_key(
    tmp_path: Path, content: dict[str, object], message: str
) -> None:
    file = tmp_path / "profile.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=r"profile\.yaml") as caught:
        load_profile(file)
    assert message in str(caught.value)


def test_a_profile_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cpu\.yaml"):
        load_profile(tmp_path / "none.yaml")
