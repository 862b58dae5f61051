"""Write many drives in parallel processes."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
import multiprocessing
from pathlib import Path
from typing import Any

from avdet_ros.errors import AvdetError
from avdet_ros.progress import SILENT, Advance, Progress
from avdet_ros.simulation.drive import write_drive
from avdet_ros.simulation.one_run import end_with_parent, exclusive_lock
from avdet_ros.simulation.plan import DrivePlan, Plan

_counter: Any = None
"""In a worker: the frame counter that all workers share."""


def write_drives(
    root: Path,
    plan: Plan,
    drives: list[DrivePlan],
    jobs: int,
    rig_path: Path | None = None,
    progress: Progress = SILENT,
) -> None:
    """Write drives, `jobs` at a time.

    Args:
        root: the data set's folder.
        plan: plan of the run.
        drives: the drives to write.
        jobs: number of processes.
        rig_path: rig file; None for the package's own.
        progress: shows how many frames are done.

    Raises:
        AvdetError: a drive could not be written, a process died, or another run writes into the
            folder. Complete drives are kept.
    """
    frames = len(plan.times_s()) * len(drives)
    with exclusive_lock(root), progress.step('frames', frames) as advance:
        _write(root, plan, drives, jobs, rig_path, advance)


def _write(
    root: Path,
    plan: Plan,
    drives: list[DrivePlan],
    jobs: int,
    rig_path: Path | None,
    advance: Advance,
) -> None:
    # not forked: OpenCV's and the sound renderer's threads would not survive it
    context = multiprocessing.get_context('spawn')
    counter = context.Value('q', 0)
    executor = ProcessPoolExecutor(jobs, context, _start, (counter,))
    try:
        shown = 0
        waiting: set[Future[None]] = {
            executor.submit(_work, root, plan, drive, rig_path) for drive in drives
        }
        while waiting:
            done, waiting = wait(waiting, timeout=0.3, return_when=FIRST_COMPLETED)
            shown, before = counter.value, shown
            advance(shown - before)
            for future in done:
                future.result()
    except BrokenProcessPool as error:
        raise AvdetError(
            f'{root}: a process that wrote drives was killed, perhaps for lack of memory: '
            'run the same command again to continue, with fewer --jobs'
        ) from error
    finally:
        for process in list((executor._processes or {}).values()):
            if executor._pending_work_items:
                process.terminate()
        executor.shutdown(wait=True, cancel_futures=True)
    advance(counter.value - shown)


def _start(counter: Any) -> None:
    global _counter
    import signal

    import cv2

    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _counter = counter


def _work(root: Path, plan: Plan, drive: DrivePlan, rig_path: Path | None) -> None:
    write_drive(root, plan, drive, rig_path, _count)


def _count() -> None:
    with _counter.get_lock():
        _counter.value += 1
