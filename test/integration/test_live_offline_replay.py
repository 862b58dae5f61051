"""The nodes during a drive, `avdet bag process` on its bag, and a replay: the same results."""

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
    """`avdet bag process`: boxes by stamp, and how many windows it left out."""
    command = [*AVDET, 'bag', 'process', str(bag), '--out', str(out), '--model', str(model)]
    subprocess.run(command, cwd=ROOT, check=True)
    summary = json.loads((out / 'summary.json').read_text())
    left_out = summary['windows_with_gaps'] + summary['skipped_windows']
    return boxes_by_stamp(out), left_out


def equal(boxes, others):
    """A model that hears levels moves by more than this from one hop to the next."""
    return np.allclose(boxes.boxes_px, others.boxes_px, atol=1e-4 * 1920) and np.allclose(
        boxes.scores, others.scores, atol=1e-4
    )


def compare(live, offline, left_out, within_s):
    """Number of windows that both have; each of the drive has its equal, or was left out.

    A busy machine drops windows of the drive, and blocks on their way into the bag.

    Args:
        live: boxes by stamp, as the nodes found them.
        offline: the same of the drive's bag.
        left_out: windows that were left out offline since sound was missing.
        within_s: by how much a window's stamps may differ.
    """
    stamps = np.array(sorted(offline))
    matched = missing = 0
    for stamp, boxes in live.items():
        if not stamps[0] - 5e7 <= stamp <= stamps[-1] + 5e7:  # before or after the bag's sound
            continue
        near = stamps[np.abs(stamps - stamp) <= 1e9 * within_s]
        if not len(near):
            # A stream's first window ends up to a frame late, which a bag that begins before it
            # cannot know.
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
        except Exception:  # the bag is being made
            pass
        time.sleep(0.2)
    pytest.fail(f'{path}: fewer than {count} windows after {timeout_s} s')


@pytest.fixture(scope='module')
def level_path(tmp_path_factory, rig, front_end):
    path = tmp_path_factory.mktemp('model') / 'level.onnx'
    return save_model(level_model(rig, front_end), path)


def test_live_offline_and_replay_agree(level_path, tmp_path):
    drive, model = tmp_path / 'drive', f'model:={level_path}'
    nodes = record(drive, 'source:=simulation', 'seed:=300002', model)
    try:
        wait_for_windows(drive, 40)
    finally:
        end(nodes)
    live = boxes_by_stamp(drive)
    offline, left_out = process(drive, level_path, tmp_path / 'offline')
    # A window has the time of its last block, a message of sound the time of a later one, and the
    # clock behind both still settles: by milliseconds where the machine is busy.
    assert compare(live, offline, left_out, within_s=0.06) >= 20

    again = tmp_path / 'again'
    nodes = record(again, 'source:=topic', 'use_sim_time:=true', model)
    try:
        # It begins once the nodes have subscribed.
        command = [*AVDET, 'bag', 'replay', str(drive), '--chain', '--rate', '1']
        subprocess.run(command, cwd=ROOT, check=True, timeout=120)
        wait_for_windows(again, 20)
    finally:
        end(nodes)
    # On the grid of the first recorded block, where a replay's grid begins too; stamps are exact.
    offline, left_out = process(again, level_path, tmp_path / 'again_offline')
    assert compare(boxes_by_stamp(again), offline, left_out, within_s=1e-6) >= 20
