"""Many processes at once on one results folder: claims have one winner, records are whole."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

from benchmark.study.records import load_records, read_record, run_folder, write_index
from slurm.attempts import Attempts, AttemptState, Claim
from tests.slurm import sweeps

PROCESSES = 50
# The parent has imported all that is needed, and nothing here starts a thread pool.
FORK = multiprocessing.get_context("fork")


def _claim_all(results: Path, name: str, start: Barrier) -> None:
    start.wait()
    for run in sweeps.study(seeds=10).runs():
        claim = Claim(number=1, submission=name, memory_gb=1.0)
        if Attempts(results, run.run_id).claim(claim):
            (results / f"{name}.won").open("a").write(run.run_id + "\n")


def test_each_run_is_claimed_by_one_of_fifty(tmp_path: Path) -> None:
    start = FORK.Barrier(PROCESSES)
    racers = [
        FORK.Process(target=_claim_all, args=(tmp_path, f"s{number}", start))
        for number in range(PROCESSES)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
        assert racer.exitcode == 0
    won = {
        run_id: file.stem for file in tmp_path.glob("*.won") for run_id in file.read_text().split()
    }
    wins = sum(len(file.read_text().split()) for file in tmp_path.glob("*.won"))
    runs = sweeps.study(seeds=10).runs()
    assert wins == len(runs) == len(won)
    for run in runs:
        last = Attempts(tmp_path, run.run_id).last()
        assert last is not None
        assert last.claim.submission == won[run.run_id]
    assert not list(tmp_path.rglob(".*")), "temporary files are left"


def _record_one(results: Path, number: int, start: Barrier) -> None:
    start.wait()
    run = sweeps.study(seeds=PROCESSES, methods=("random",)).runs()[number]
    for step in range(20):
        Attempts(results, run.run_id).say(1, AttemptState(phase="running", step=step, of=20))
        sweeps.publish(results, sweeps.record(run, seconds=float(step)))


def test_fifty_recorders_lose_nothing_and_a_reader_sees_whole_files(tmp_path: Path) -> None:
    study = sweeps.study(seeds=PROCESSES, methods=("random",))
    write_index(tmp_path, study)
    runs = study.runs()
    start = FORK.Barrier(PROCESSES + 1)
    recorders = [
        FORK.Process(target=_record_one, args=(tmp_path, number, start))
        for number in range(PROCESSES)
    ]
    for recorder in recorders:
        recorder.start()
    start.wait()
    reads = 0
    while any(recorder.is_alive() for recorder in recorders):
        for run in runs:
            # Either raises if it sees half a file.
            reads += read_record(tmp_path, run.run_id) is not None
            if (run_folder(tmp_path, run.run_id) / "attempts" / "1.claim.json").exists():
                Attempts(tmp_path, run.run_id).last()
    assert reads > 0
    assert [recorder.exitcode for recorder in recorders] == [0] * PROCESSES
    records = load_records(tmp_path)
    assert [record.run_id for record in records] == [run.run_id for run in runs]
    assert {record.stages[-1].cost.seconds for record in records} == {19.0}


def test_a_second_claim_of_a_number_is_refused_and_history_stays(tmp_path: Path) -> None:
    run = sweeps.study().runs()[0]
    attempts = Attempts(tmp_path, run.run_id)
    assert attempts.last() is None
    assert attempts.claim(Claim(number=1, submission="a", memory_gb=1.0))
    assert not attempts.claim(Claim(number=1, submission="b", memory_gb=1.0))
    assert attempts.claim(Claim(number=2, submission="b", memory_gb=2.0))
    last = attempts.last()
    assert last is not None
    assert (last.claim.submission, last.claim.number, last.state) == ("b", 2, None)
    assert sorted(file.name for file in attempts.folder.iterdir()) == [
        "1.claim.json",
        "2.claim.json",
    ]
