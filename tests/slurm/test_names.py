"""Folders whose names are not UTF-8 hold sweeps like any other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from benchmark.running.worker import Job
from benchmark.study.study import Study
from slurm.job import Order
from slurm.profile import Profile
from slurm.submissions import load_submissions, new_submission, write_submission

NOT_UTF_8 = os.fsdecode(b"caf\xe9")


def test_submissions_are_read_as_they_were_written(tmp_path: Path) -> None:
    profile = Profile.model_validate({"executor": "debug"})
    submission = new_submission(profile, tmp_path / NOT_UTF_8, "tiny")
    write_submission(tmp_path / NOT_UTF_8, submission)
    assert load_submissions(tmp_path / NOT_UTF_8) == {submission.name: submission}


def test_a_job_gets_its_order_as_it_was_given(tmp_path: Path, content: dict[str, Any]) -> None:
    folder = tmp_path / NOT_UTF_8
    job = Job(
        spec=Study.model_validate(content).runs()[0],
        prepared=folder / "prepared",
        results=folder / "results",
        cache=folder,
        device="cpu",
        threads=1,
    )
    order = Order(
        job=job,
        number=1,
        processes=1,
        in_this_process=True,
        heartbeat_seconds=0.5,
        seconds_to_save=1.0,
        max_restarts=1,
        log=folder / "log",
    )
    text = order.as_json()
    assert text.isascii()
    assert "\n" not in text
    assert Order.from_json(text) == order
