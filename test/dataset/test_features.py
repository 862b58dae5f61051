from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest

from avdet_ros.audio.features import FrontEnd, pool_frames
from avdet_ros.dataset import layout
from avdet_ros.dataset.features import cache_path, cache_sound, map_features
from avdet_ros.dataset.splits import by_drive, read_split
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig


@pytest.fixture
def copied_drives(drives, tmp_path):
    root = tmp_path / 'drives'
    # without the features that other tests have computed
    shutil.copytree(drives, root, ignore=shutil.ignore_patterns('features'))
    return root, by_drive(read_split(root, 0.0).val)


@pytest.mark.parametrize('kind', ['window', 'log_mel'])
def test_features_are_computed_once(copied_drives, kind):
    root, drives = copied_drives
    (name,) = drives
    cache_sound(root, drives, kind, load_rig())
    places, features = map_features(root, kind, name)
    assert isinstance(features, np.memmap)
    frame = drives[name][5]
    waveform = layout.read_sound(root, frame)
    front_end = FrontEnd()
    wanted = (
        front_end.log_mel(waveform)
        if kind == 'log_mel'
        else pool_frames(front_end.compute(waveform))
    )
    np.testing.assert_array_equal(features[places[frame.stamp]], wanted.astype(np.float16))
    before = cache_path(root, kind, name).stat().st_mtime_ns
    cache_sound(root, drives, kind, load_rig())
    assert cache_path(root, kind, name).stat().st_mtime_ns == before


@pytest.mark.slow
def test_two_processes_match_one_and_damaged_files_are_rebuilt(copied_drives):
    """Two processes compute the same features as one; a damaged file is rebuilt."""
    root, _ = copied_drives
    drives = by_drive(read_split(root, 0.0).train)
    cache_sound(root, drives, 'window', load_rig())
    alone = {name: map_features(root, 'window', name)[1].copy() for name in drives}
    for name in drives:
        cache_path(root, 'window', name).write_bytes(b'damaged')
    cache_sound(root, drives, 'window', load_rig(), jobs=2)
    for name, features in alone.items():
        np.testing.assert_array_equal(map_features(root, 'window', name)[1], features)


def clips(root, frame, count: int = 8) -> None:
    """Write one file per microphone, as in MAVD; those from index ``count`` on are broken."""
    import soundfile

    (root / frame.drive / 'audio').mkdir(exist_ok=True)
    sound = layout.read_sound(root, frame)
    for index, path in enumerate(layout.sound_paths(root, frame, '.wav')):
        soundfile.write(path, sound[index], 44100)
        if index >= count:
            path.write_bytes(b'no sound')


def test_broken_sound_is_skipped_and_counted_up_to_a_limit(copied_drives, log_lines):
    root, drives = copied_drives
    (name,) = drives
    clips(root, drives[name][2], count=3)
    cache_sound(root, drives, 'window', load_rig())
    places, _ = map_features(root, 'window', name)
    assert drives[name][2].stamp not in places
    assert len(places) == 7
    assert any('audio_3' in line and 'expected sound' in line for line in log_lines)
    assert log_lines[-1].endswith('features: 1 of 8 frames skipped')
    log_lines.clear()
    cache_sound(root, drives, 'window', load_rig())
    assert not log_lines
    clips(root, drives[name][3], count=7)
    cache_path(root, 'window', name).unlink()
    with pytest.raises(
        AvdetError, match=r'^features: expected at most 5% of 8 frames to be unusable, found 2'
    ):
        cache_sound(root, drives, 'window', load_rig())


def test_progress_and_log_report_computed_features(copied_drives, log_lines):
    root, drives = copied_drives
    (name,) = drives
    ticks = []

    class FakeProgress:
        def step(self, what, total):
            ticks.append((what, total))
            return self

        def __enter__(self):
            return ticks.append

        def __exit__(self, *_):
            pass

    few = {name: drives[name][:3]}
    cache_sound(root, few, 'log_mel', load_rig(), FakeProgress())
    assert ticks == [('features', 3), 3]
    assert log_lines == [f'{root}/features/log_mel: features of 3 frames of 1 drives']
    places, features = map_features(root, 'log_mel', name)
    assert list(places) == [frame.stamp for frame in few[name]]
    assert (features.dtype, features.shape) == (np.float16, (3, 8, 80, 173))
    # Fewer frames are already stored; for more frames, all are computed again.
    cache_sound(root, {name: drives[name][:2]}, 'log_mel', load_rig(), FakeProgress())
    assert len(ticks) == 2
    cache_sound(root, {name: drives[name][:4]}, 'log_mel', load_rig(), FakeProgress())
    assert ticks[2:] == [('features', 4), 4]


def test_missing_or_damaged_features_are_rejected(tmp_path):
    path = cache_path(tmp_path, 'window', 'day')
    assert path == tmp_path / 'features' / 'window' / 'day.npz'
    with pytest.raises(AvdetError, match=r'day\.npz: expected features of a drive, found'):
        map_features(tmp_path, 'window', 'day')
    path.parent.mkdir(parents=True)
    np.savez(path, ids=np.array(['1']))
    with pytest.raises(AvdetError, match=r'day\.npz: expected features of a drive, found'):
        map_features(tmp_path, 'window', 'day')


def test_drives_of_another_rig_are_rejected(copied_drives):
    from avdet_ros.rig import default_rig_path

    root, drives = copied_drives
    (name,) = drives
    text = default_rig_path().read_text().replace('[ 0.250000,', '[ 0.300000,')
    (root / name / 'rig.yaml').write_text(text)
    with pytest.raises(AvdetError, match=r'rig\.yaml: microphones_m: .* 0\.050 away; use --rig'):
        cache_sound(root, drives, 'window', load_rig())


def test_features_are_recomputed_after_calibration(copied_drives):
    """The features depend on the gains that calibration removes."""
    root, drives = copied_drives
    (name,) = drives
    cache_sound(root, drives, 'window', load_rig())
    written = cache_path(root, 'window', name).stat().st_mtime_ns
    louder = np.r_[1.0, np.zeros(7)]
    cache_sound(root, drives, 'window', dataclasses.replace(load_rig(), gain_db=louder))
    assert cache_path(root, 'window', name).stat().st_mtime_ns > written
