from __future__ import annotations

import json

from helpers.array_windows import write_shard
import numpy as np
import pytest
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.steering import azimuth_grid, expected_coherences, live_pairs
from avdet_ros.errors import AvdetError
from avdet_ros.training.any_array.windows.augmentation import Augmentation
from avdet_ros.training.any_array.windows.drawn_steering import SteeringTable
from avdet_ros.training.any_array.windows.shards import front_end_of
from avdet_ros.training.any_array.windows.store import ArrayStore


@pytest.fixture(scope='module')
def table():
    return SteeringTable(FrontEnd())


@pytest.fixture
def make_store(table, tmp_path):
    def make(**options) -> ArrayStore:
        return ArrayStore(tmp_path / 'set', table, azimuth_grid(), **options)

    return make


def only_with(**changes) -> Augmentation:
    nothing = dict.fromkeys(Augmentation.__dataclass_fields__, 0.0) | {
        'masked_bands': 10,
        'masked_frames': 8,
    }
    return Augmentation(**(nothing | changes))


def test_refresh_reads_new_shards_of_a_growing_set(make_store, tmp_path):
    store = make_store()
    assert store.refresh() == len(store) == 0
    write_shard(tmp_path / 'set', 5, 40)
    assert store.refresh() == len(store) == 40
    write_shard(tmp_path / 'set', 3, 40)
    (tmp_path / 'set' / 'windows_0000007.partial').write_bytes(b'not yet')
    assert store.refresh() == 40
    assert store.refresh() == 0
    assert store.column('seed').tolist() == [5] * 40 + [3] * 40
    assert store.nbytes / 1024 < 130e3


def test_store_holds_at_most_the_requested_windows(make_store, tmp_path):
    write_shard(tmp_path / 'set', 0, 40)
    write_shard(tmp_path / 'set', 1, 40)
    store = make_store(most=50)
    store.refresh()
    assert len(store) == 50
    assert store.refresh() == 0


def test_new_windows_replace_the_oldest(make_store, tmp_path):
    for seed in (0, 1):
        write_shard(tmp_path / 'set', seed, 40)
    store = make_store(most=50)
    # Shards that exist at the first refresh do not replace windows.
    assert store.refresh() == 50
    assert store.column('seed').tolist() == [0] * 40 + [1] * 10
    write_shard(tmp_path / 'set', 2, 30)
    assert store.refresh() == 30
    assert store.column('seed').tolist() == [2] * 30 + [0] * 10 + [1] * 10
    write_shard(tmp_path / 'set', 3, 25)
    assert store.refresh() == 25
    assert store.column('seed').tolist() == [3] * 5 + [2] * 25 + [3] * 20
    write_shard(tmp_path / 'set', 4, 60)
    assert store.refresh() == 50
    assert set(store.column('seed')) == {4}
    assert len(store) == 50


def test_full_store_without_renewal_ignores_new_windows(make_store, tmp_path):
    write_shard(tmp_path / 'set', 0, 40)
    store = make_store(most=50, renews=False)
    assert store.refresh() == 40
    write_shard(tmp_path / 'set', 1, 40)
    assert store.refresh() == 10
    write_shard(tmp_path / 'set', 2, 40)
    assert store.refresh() == 0
    assert store.column('seed').tolist() == [0] * 40 + [1] * 10


def test_shard_deleted_before_reading_is_skipped(make_store, tmp_path):
    path = write_shard(tmp_path / 'set', 0, 8)
    # A dangling link looks like a shard deleted after the folder was listed.
    (tmp_path / 'set' / 'windows_0000001.npz').symlink_to(tmp_path / 'gone')
    store = make_store()
    assert store.refresh() == 8
    path.with_name('windows_0000002.npz').write_bytes(b'no shard')
    with pytest.raises(AvdetError, match=r'windows_0000002\.npz: expected a shard'):
        store.refresh()


def test_batch_matches_the_shard(make_store, tmp_path):
    path = write_shard(tmp_path / 'set', 0, 16)
    store = make_store()
    store.refresh()
    batch = store.batch(torch.tensor([3, 9]))
    with np.load(path) as shard:
        features, alive = shard['features'][[3, 9]].astype(np.float32), shard['alive'][[3, 9]]
        azimuth, count = shard['azimuth_deg'][[3, 9]], shard['count'][[3, 9]]
    coherence = batch.coherence.transpose(1, 2).numpy()
    np.testing.assert_allclose(coherence, features[:, 8:].clip(-1, 1), atol=0.5 / 127 + 1e-6)
    mean = [levels[live].mean(axis=0) for levels, live in zip(features[:, :8], alive, strict=True)]
    np.testing.assert_allclose(batch.level_db.numpy(), mean, atol=0.05)
    assert batch.labels.valid.sum(dim=1).tolist() == count.tolist()
    np.testing.assert_allclose(batch.labels.angles_deg[..., 0].numpy(), azimuth)
    assert batch.steering.shape == (2, 80, 80, 24)


def test_response_is_largest_at_the_label_mirrored_or_not(make_store, tmp_path):
    write_shard(tmp_path / 'set', 0, 40)
    store = make_store()
    store.refresh()
    alone = torch.from_numpy(np.flatnonzero(store.column('count') == 1))
    for mirror in (0.0, 1.0):
        batch = store.batch(alone, only_with(mirror=mirror))
        response = torch.matmul(batch.steering, batch.coherence).mean(dim=(1, 3))
        found = azimuth_grid()[:64][response[:, :64].argmax(dim=1)]
        np.testing.assert_allclose(found, batch.labels.angles_deg[:, 0, 0], atol=1.0)
    plain = store.batch(alone).labels.angles_deg[..., 0]
    assert torch.equal(batch.labels.angles_deg[..., 0], -plain)


def test_turned_windows_turn_sound_and_labels_together(make_store, tmp_path):
    write_shard(tmp_path / 'set', 0, 40)
    store = make_store()
    store.refresh()
    alone = torch.from_numpy(np.flatnonzero(store.column('count') == 1))
    batch = store.batch(alone, only_with(turned_deg=25.0), torch.Generator().manual_seed(0))
    there, labels = batch.labels.angles_deg[:, 0, 0], batch.labels
    left_deg = there - store.labels(alone).angles_deg[:, 0, 0]
    assert 15 < left_deg.abs().max() < 25
    assert left_deg.min() < 0 < left_deg.max()
    torch.testing.assert_close(labels.seen_deg[:, 0], 56 + left_deg)
    torch.testing.assert_close(labels.seen_deg[:, 1], -56 + left_deg)
    inside = (there.abs() < 55).numpy()
    assert inside.sum() >= 10
    response = torch.matmul(batch.steering, batch.coherence).mean(dim=(1, 3))
    found = azimuth_grid()[:64][response[:, :64].argmax(dim=1)]
    np.testing.assert_allclose(found[inside], there[inside], atol=1.0)


def test_turned_windows_turn_the_direction_of_travel(make_store, table, tmp_path):
    write_moving_set(tmp_path / 'set')
    store = make_store()
    store.refresh()
    index = torch.zeros(6, dtype=torch.long)
    batch = store.batch(
        index, only_with(turned_deg=25.0, motion=1.0), torch.Generator().manual_seed(0)
    )
    left_deg = batch.labels.seen_deg[:, 0] - 56
    still = store.batch(index[:1], only_with(motion=1.0))
    # Steering of a turned window equals that of the original one in shifted directions.
    for window, turn in enumerate(left_deg.tolist()):
        azimuths = azimuth_grid()[20:40] + turn
        shifted = ArrayStore(tmp_path / 'set', table, azimuths)
        shifted.refresh()
        same = shifted.batch(
            index, only_with(turned_deg=25.0, motion=1.0), torch.Generator().manual_seed(0)
        )
        torch.testing.assert_close(
            same.steering[window], still.steering[0, :, 20:40], rtol=0, atol=1e-3
        )
    assert not torch.allclose(batch.steering[0, :, 20:40], still.steering[0, :, 20:40], atol=0.05)


def test_missing_microphones_have_no_coherence_and_no_steering(make_store, tmp_path):
    write_shard(tmp_path / 'set', 0, 40)
    store = make_store()
    store.refresh()
    every = torch.arange(40)
    batch = store.batch(every, only_with(missing=1.0), torch.Generator().manual_seed(0))
    silent = batch.coherence.abs().amax(dim=(1, 3)) == 0
    unsteered = batch.steering.abs().amax(dim=(1, 2)) == 0
    assert torch.equal(silent | unsteered, unsteered)
    # Two of eight are missing: each is in three pairs of two coherences.
    gone = unsteered.sum(dim=1)
    assert gone.min() >= 10
    kept = [live_pairs(alive).sum() * 2 for alive in store.column('alive')]
    assert all(24 - int(many) < before for many, before in zip(gone, kept, strict=True))


def test_augmentation_repeats_for_a_seed_and_masks_are_limited(make_store, tmp_path):
    write_shard(tmp_path / 'set', 0, 20)
    store = make_store()
    store.refresh()
    index = torch.arange(20)
    drawn = [
        store.batch(index, Augmentation(), torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(drawn[0].steering, drawn[1].steering)
    assert torch.equal(drawn[0].level_db, drawn[1].level_db)
    assert not torch.equal(drawn[0].steering, drawn[2].steering)
    masked = store.batch(index, only_with(masked=1.0)).coherence.abs() == 0
    for axes, most in (((2, 3), 10), ((1, 2), 8)):
        silent = masked.all(dim=axes[1]).all(dim=axes[0]).sum(dim=1)
        assert 1 <= silent.min() <= silent.max() <= most


def write_moving_set(folder):
    """Write eight windows at 20 m/s and -20 degrees; both are unknown for the last one."""
    path = write_shard(folder, 0, 8)
    with np.load(path) as shard:
        arrays = dict(shard)
    arrays |= {
        'ahead_mps': np.array([20.0] * 7 + [np.nan], np.float32),
        'camera_heading_deg': np.full(8, 30.0, np.float32),
        'temperature_c': np.array([-20.0] * 7 + [np.nan], np.float32),
    }
    with path.open('wb') as file:
        np.savez(file, **arrays)
    return arrays


@pytest.mark.parametrize('mirror', [0.0, 1.0])
@pytest.mark.parametrize(
    ('motion', 'air', 'sound_mps'), [(1.0, 1.0, 318.93), (1.0, 0.0, 343.0), (0.0, 1.0, 318.93)]
)
def test_steering_accounts_for_ego_speed_and_air_temperature(
    make_store, tmp_path, mirror, motion, air, sound_mps
):
    arrays = write_moving_set(tmp_path / 'set')
    store = make_store()
    store.refresh()
    batch = store.batch(torch.arange(8), only_with(mirror=mirror, motion=motion, air=air))
    sign = 1 - 2 * mirror
    for window in range(8):
        ahead_mps = 20.0 * motion
        if window == 7:
            ahead_mps, sound_mps = 0.0, 343.0
        places = arrays['rig_microphones_m'][window] * [1, sign, 1]
        for column in (0, 20, 63, 72):
            azimuth = azimuth_grid()[column]
            turned = np.radians(azimuth - sign * arrays['rig_array_yaw_deg'][window])
            speed_mps = sound_mps + ahead_mps * np.cos(np.radians(azimuth + sign * 30))
            expected = expected_coherences(
                FrontEnd(),
                places * 343.0 / speed_mps,
                np.array([[np.cos(turned), np.sin(turned)]]),
                arrays['alive'][window],
            )
            np.testing.assert_allclose(
                batch.steering[window, :, column].numpy(), expected[:, 0], atol=1e-3
            )


def test_ego_speed_is_used_in_the_given_share_of_windows(make_store, tmp_path):
    write_moving_set(tmp_path / 'set')
    store = make_store()
    store.refresh()
    index = torch.zeros(100, dtype=torch.long)
    still = store.batch(index[:1]).steering
    batch = store.batch(index, only_with(motion=0.7), torch.Generator().manual_seed(0))
    told = (batch.steering != still).flatten(1).any(dim=1)
    assert 55 < told.sum() < 85


def test_wind_raises_levels_and_keeps_cross_spectra(make_store, tmp_path):
    write_shard(tmp_path / 'set', 0, 20)
    store = make_store()
    store.refresh()
    index = torch.arange(20)
    plain = store.batch(index)
    windy = store.batch(
        index, only_with(wind=1.0, wind_part=0.6), torch.Generator().manual_seed(0)
    )
    rise = 10 ** ((windy.level_db - plain.level_db) / 10)
    assert 1 <= rise.min() < rise.max() < 2.51
    # Cross-spectra stay unchanged.
    torch.testing.assert_close(
        windy.coherence * rise[:, :, None], plain.coherence, atol=1e-4, rtol=1e-3
    )


def test_taught_ranges_match_the_arrays_of_the_set(make_store, tmp_path):
    write_shard(tmp_path / 'set', 0, 40)
    store = make_store()
    store.refresh()
    ranges = store.taught_ranges()
    assert 0.3 < ranges.aperture_m[0] < ranges.aperture_m[1] < 0.65
    assert 0 < ranges.spacing_m[0] < 0.3
    assert ranges.live_microphones == (6.0, 8.0)


def test_pair_count_is_read_from_the_set_and_mismatches_are_rejected(tmp_path):
    write_shard(tmp_path / 'set', 0, 4)
    assert front_end_of(tmp_path / 'set').pair_count == 12
    card = tmp_path / 'set' / 'windows.json'
    card.write_text(json.dumps({'features': FrontEnd(pair_count=28).feature_names}))
    front_end = front_end_of(tmp_path / 'set')
    assert front_end.pair_count == 28
    store = ArrayStore(tmp_path / 'set', SteeringTable(front_end), azimuth_grid())
    with pytest.raises(AvdetError, match=r'expected 64 features of 28 pairs .*, found 32'):
        store.refresh()
    teachers = {'labels': {}, 'windows': {'features': front_end.feature_names}}
    card.write_text(json.dumps(teachers))
    assert front_end_of(tmp_path / 'set').pair_count == 28
    card.write_text(json.dumps({'features': ['log_mel_0']}))
    with pytest.raises(AvdetError, match=r'windows\.json: features: expected .*, found 1 names'):
        front_end_of(tmp_path / 'set')
    card.write_text('{}')
    with pytest.raises(AvdetError, match=r"windows\.json: expected the description .*'features'"):
        front_end_of(tmp_path / 'set')


@pytest.mark.parametrize('content', [b'', b'no archive'])
def test_damaged_shard_error_names_the_file(make_store, tmp_path, content):
    (tmp_path / 'set').mkdir()
    (tmp_path / 'set' / 'windows_0000000.npz').write_bytes(content)
    with pytest.raises(AvdetError, match=r'windows_0000000\.npz: expected a shard of windows of'):
        make_store().refresh()


def test_windows_of_a_single_array_are_rejected(make_store, tmp_path):
    (tmp_path / 'set').mkdir()
    with (tmp_path / 'set' / 'windows_0000000.npz').open('wb') as file:
        np.savez(file, features=np.zeros((1, 32, 80, 44), np.float16), count=np.zeros(1))
    with pytest.raises(AvdetError, match=r'format 3, found .*range_m'):
        make_store().refresh()


def test_labels_of_another_eye_height_are_rejected(make_store, tmp_path):
    path = write_shard(tmp_path / 'set', 0, windows=2)
    arrays = dict(np.load(path))
    with path.open('wb') as file:
        np.savez(file, **{**arrays, 'eye_height_m': np.full(2, 0.8, np.float32)})
    with pytest.raises(AvdetError, match=r'eye_height_m: expected 1\.5 .*, found 0\.8'):
        make_store().refresh()
    del arrays['eye_height_m']
    with path.open('wb') as file:
        np.savez(file, **arrays)
    with pytest.raises(AvdetError, match=r'format 3, found .*eye_height_m'):
        make_store().refresh()
