"""Windows for array models from recorded drives, each with its own rig."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import yaml

from avdet_ros.dataset import layout
from avdet_ros.dataset.labels import labels_of
from avdet_ros.dataset.odometry import Odometry, write_odometry
from avdet_ros.dataset.splits import by_drive, read_split
from avdet_ros.errors import AvdetError
from avdet_ros.rig import default_rig_path
from avdet_ros.training.any_array.windows.drawn_steering import SteeringTable
from avdet_ros.training.any_array.windows.shards import front_end_of
from avdet_ros.training.any_array.windows.store import ArrayStore
from avdet_ros.training.run.drive_windows import (
    cache_drive_sound,
    drive_rigs,
    write_drive_windows,
)

pytestmark = pytest.mark.slow


def write_speed_and_temperature(root, drive):
    """Write an air temperature of 3 degrees C and 10 m/s for all frames but the last."""
    frames = [path.stem.split('_', 2)[2] for path in sorted((root / drive / 'fl_rgb').iterdir())]
    stamps = [layout.parse_id(f'{drive}/{stamp}').stamp_ns for stamp in frames]
    steps = np.arange(stamps[0] - 10**9, stamps[-1] - 6 * 10**8, 50_000_000)
    gone, zeros = 10 * (steps - steps[0]) * 1e-9, np.zeros(len(steps))
    write_odometry(root / drive, Odometry(steps, gone, zeros, zeros, zeros + 10))
    path = root / drive / 'parameters.json'
    facts = json.loads(path.read_text()) if path.exists() else {'start_ns': int(steps[0])}
    path.write_text(json.dumps(facts | {'temperature_c': 3.0}))


@pytest.fixture(scope='module')
def two_rigs(drives, tmp_path_factory):
    """The drives, the first with a turned array and camera and a moved microphone."""
    root = tmp_path_factory.mktemp('two') / 'drives'
    shutil.copytree(drives, root)
    tree = yaml.safe_load(default_rig_path().read_text())
    tree['array']['yaw_deg'] = 30.0
    tree['array']['microphones'][2]['position_m'] = [0.0, 0.3, 0.0]
    tree['camera']['yaw_deg'] = 5.0
    first = min(path.name for path in root.iterdir() if path.is_dir())
    (root / first / 'rig.yaml').write_text(yaml.safe_dump(tree))
    write_speed_and_temperature(root, first)
    return root, first


def test_drive_windows_use_the_rig_and_true_labels_of_each_drive(two_rigs, tmp_path):
    root, _ = two_rigs
    split = read_split(root, 0.0)
    members = by_drive(split.student)
    rigs = drive_rigs(root, list(members))
    assert len({id(rig) for rig in rigs.values()}) == 2
    cache_drive_sound(root, members, rigs)
    assert write_drive_windows(root, split.train, rigs, tmp_path, 'truth') == 32
    assert len(list(tmp_path.glob('windows_*.npz'))) == 4
    with np.load(tmp_path / 'windows_0000000.npz') as shard:
        one = dict(shard)
    assert one['rig_array_yaw_deg'] == pytest.approx([25.0] * 8)
    assert one['rig_microphones_m'][3, 2] == pytest.approx([0.0, 0.3, 0.0], abs=1e-6)
    assert one['seen_deg'][0, 0] == pytest.approx(np.degrees(np.arctan(0.96)))
    assert one['features'].shape == (8, 64, 80, 44)
    assert one['ahead_mps'][:7].tolist() == [10] * 7
    assert np.isnan(one['ahead_mps'][7])
    assert one['temperature_c'].tolist() == [3] * 8
    assert one['camera_heading_deg'] == pytest.approx([5.0] * 8)
    with np.load(tmp_path / 'windows_0000001.npz') as shard:
        other = dict(shard)
    assert other['rig_array_yaw_deg'] == pytest.approx([0.0] * 8)
    assert np.isnan(other['ahead_mps']).all()
    assert other['camera_heading_deg'] == pytest.approx([0.0] * 8)
    # The training store returns the same values.
    front_end = front_end_of(tmp_path)
    assert front_end.pair_count == 28
    store = ArrayStore(tmp_path, SteeringTable(front_end), np.zeros(1))
    store.refresh()
    assert np.isfinite(store.column('ahead_mps')).sum() == 7
    assert store.column('temperature_c')[:8].tolist() == [3] * 8
    # One box per frame, 20 m away; its centre is that of a pinhole camera.
    name = list(by_drive(split.train))[1]
    truth = labels_of(root, name, 'truth')
    boxes = np.stack([truth[frame.stamp].boxes_px[0] for frame in members[name]])
    seen = np.degrees(np.arctan((960 - boxes[:, [0, 2]].mean(axis=1)) / 1000))
    assert other['count'].tolist() == [1] * 8
    assert other['range_m'][:, 0].tolist() == [20.0] * 8
    assert other['azimuth_deg'][:, 0] == pytest.approx(seen, abs=1.2)


def test_drives_without_labels_are_rejected(two_rigs, tmp_path):
    root, _ = two_rigs
    split = read_split(root, 0.0)
    members = by_drive(split.student)
    rigs = drive_rigs(root, list(members))
    cache_drive_sound(root, members, rigs)
    bare = tmp_path / 'bare'
    shutil.copytree(root, bare)
    for path in bare.glob('*/truth/frames.jsonl'):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text(json.dumps({**lines[0], 'stamp': '1_000000001_001'}) + '\n')
    with pytest.raises(AvdetError, match=r'expected sound and labels \(truth\) of the 32 frames'):
        write_drive_windows(bare, split.train, rigs, tmp_path / 'out', 'truth')
