"""The job that follows a submission's others: it dispatches again what they have lost.

``python -m slurm.closing RESULTS SUBMISSION``; a command, since what it dispatches ends with one.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from benchmark.study.records import read_index
from slurm.status import RunStatus
from slurm.sweep import Sweep

SECONDS_BETWEEN_LOOKS = 5.0


class ClosingJob:
    """Waits until no run of the submission is at work, then dispatches lost ones again, boundedly.

    What it submits has a closing job too, so a sweep ends complete, or with runs that have failed
    for a reason of their own.
    """

    def __init__(self, results: Path, submission: str) -> None:
        self._results, self._submission = results, submission

    def run(self) -> int:
        """The number of runs that were dispatched again."""
        sweep = Sweep(read_index(self._results).study, self._results)
        statuses = self._settled(sweep)
        submission = sweep.submissions[self._submission]
        profile = submission.profile
        again = [s for s in statuses if self._is_ours(s) and s.may_try_again(profile)]
        if again:
            plan = sweep.plan(statuses, again, profile)
            sweep.dispatch(plan, statuses, profile, submission.cache)
        return len(again)

    def _settled(self, sweep: Sweep) -> list[RunStatus]:
        """The study's runs, once none of the submission's is running or queued."""
        while True:
            statuses = sweep.statuses()
            at_work = [s for s in statuses if s.state in {"running", "queued"}]
            if not any(self._is_ours(status) for status in at_work):
                return statuses
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def _is_ours(self, status: RunStatus) -> bool:
        return status.attempt is not None and status.attempt.claim.submission == self._submission


if __name__ == "__main__":
    print(ClosingJob(Path(sys.argv[1]), sys.argv[2]).run(), "runs dispatched again")
