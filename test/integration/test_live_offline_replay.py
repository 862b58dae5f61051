"""Live nodes, `avdet bag process` on the recorded bag, and a replay give the same results."""

from __future__ import annotations

import json
from pathlib import Path
import signal
import subprocess
import sys
import time

from helpers.models import level_model, save_model
import numpy as np
import pytest

from avdet_ros.bags.reader import Bag, decode
from avdet_ros.messages.decode import decode_detections, stamp_ns

pytestmark = [pytest.mark.ros, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
AVDET = [sys.executable, '-m', 'avdet_ros.cli.main']
FRAME_S = 256 / 44100


def boxes_by_stamp(path):
    with Bag(path) as bag:
        found = [decode(m) for m in bag.messages(['/avdet/detections'])]
    return {stamp_ns(m): decode_detections(m)[0] for m in found}


def process(bag, model, out):
    """Run `avdet bag process`; returns boxes by stamp and the number of windows left out."""
    command = [*AVDET, 'bag', 'process', str(bag), '--out', str(out), '--model', str(model)]
    subprocess.run(command, cwd=ROOT, check=True)
    summary = json.loads((out / 'summary.json').read_text())
    left_out = summary['windows_with_gaps'] + summary['skipped_windows']
    return boxes_by_stamp(out), left_out


def equal(boxes, others):
    """Whether boxes are equal; the level model's boxes move by more than this in one hop."""
    return np.allclose(boxes.boxes_px, others.boxes_px, atol=1e-4 * 1920) and np.allclose(
        boxes.scores, others.scores, atol=1e-4
    )


def compare(live, offline, left_out, within_s):
    """Count the windows that both have; each live window has an equal one or was left out.

    A busy machine drops live windows, and also sound blocks on their way into the bag.

    Args:
        live: boxes by stamp, as the nodes published them.
        offline: boxes by stamp, computed from the drive's bag.
        left_out: number of windows that were left out offline because sound was missing.
        within_s: largest difference between the two stamps of a window.
    """
    stamps = np.array(sorted(offline))
    matched = missing = 0
    for stamp, boxes in live.items():
        if not stamps[0] - 5e7 <= stamp <= stamps[-1] + 5e7:  # before or after the bag's sound
            continue
        near = stamps[np.abs(stamps - stamp) <= 1e9 * within_s]
        if not len(near):
            # The first window of a stream ends up to a frame late, which cannot be known from a
            # bag that starts earlier.
            apart_s = 1e-9 * np.abs(stamps - stamp).min()
            late = stamp == min(live) and apart_s <= FRAME_S + within_s
            missing += not late
            continue
        assert any(equal(boxes, offline[other]) for other in near), (stamp, near)
        matched += 1
    assert missing <= left_out
    return matched


def record(path, *words):
    return subprocess.Popen(
        [*AVDET, 'run', f'record:={path}', 'overlay:=false', 'respawn:=false', *words], cwd=ROOT
    )


def end(process):
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0


def wait_for_windows(path, count, timeout_s=90):
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        try:
            if len(boxes_by_stamp(path)) >= count:
                return
        except Exception:  # the bag is still being created
            pass
        time.sleep(0.2)
    pytest.fail(f'{path}: fewer than {count} windows after {timeout_s} s')


@pytest.fixture(scope='module')
def level_path(tmp_path_factory, rig, front_end):
    path = tmp_path_factory.mktemp('model') / 'level.onnx'
    return save_model(level_model(rig, front_end), path)


def test_live_offline_and_replay_results_agree(level_path, tmp_path):
    drive, model = tmp_path / 'drive', f'model:={level_path}'
    nodes = record(drive, 'source:=simulation', 'seed:=300002', model)
    try:
        wait_for_windows(drive, 40)
    finally:
        end(nodes)
    live = boxes_by_stamp(drive)
    offline, left_out = process(drive, level_path, tmp_path / 'offline')
    # A window is stamped from its last block and a sound message from a later one, while the
    # clock estimate behind both still settles: by milliseconds on a busy machine.
    assert compare(live, offline, left_out, within_s=0.06) >= 20

    again = tmp_path / 'again'
    nodes = record(again, 'source:=topic', 'use_sim_time:=true', model)
    try:
        # The replay starts when the nodes have subscribed.
        command = [*AVDET, 'bag', 'replay', str(drive), '--chain', '--rate', '1']
        subprocess.run(command, cwd=ROOT, check=True, timeout=120)
        wait_for_windows(again, 20)
    finally:
        end(nodes)
    # A replay's grid of windows starts at the first recorded block, too, so stamps are exact.
    offline, left_out = process(again, level_path, tmp_path / 'again_offline')
    assert compare(boxes_by_stamp(again), offline, left_out, within_s=1e-6) >= 20
