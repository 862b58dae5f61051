"""Windows of format 3 with a known answer: each wave has its box where it comes from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.angles import EYE_HEIGHT_M
from avdet_ros.detection.steering import expected_coherences, live_pairs

LABELS = ('azimuth_deg', 'elevation_deg', 'width_deg', 'height_deg', 'range_m')


def write_shard(folder: Path, seed: int, windows: int = 48, pair_count: int = 12) -> Path:
    """Write a shard of 0 to 2 waves that arrive at scattered arrays, some with a dead microphone.

    Nearer vehicles are louder and larger, so range and size can be learned.
    """
    rng, front_end = np.random.default_rng(seed), FrontEnd(pair_count=pair_count)
    rows = {name: np.zeros((windows, 16), np.float32) for name in LABELS}
    features = np.zeros((windows, 8 + 2 * pair_count, 80, 44), np.float16)
    places = np.zeros((windows, 8, 3), np.float32)
    yaw_deg = rng.uniform(-20, 20, windows).astype(np.float32)
    alive = np.ones((windows, 8), bool)
    count = rng.integers(0, 3, windows)
    for window in range(windows):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 8)) + rng.normal(0, 0.05, 8)
        radius = rng.uniform(0.15, 0.3, 8)
        places[window, :, 0] = radius * np.cos(angles)
        places[window, :, 1] = radius * np.sin(angles)
        alive[window, rng.integers(8)] = rng.random() > 0.2
        azimuth = np.sort(rng.choice(np.arange(-48, 49, 6), count[window], replace=False))
        range_m = rng.choice([8.0, 25.0], count[window])
        there = slice(0, count[window])
        rows['azimuth_deg'][window, there] = azimuth
        rows['range_m'][window, there] = range_m
        rows['width_deg'][window, there] = 90 / range_m
        rows['height_deg'][window, there] = 60 / range_m
        rows['elevation_deg'][window, there] = -50 / range_m
        turned = np.radians(azimuth - yaw_deg[window])
        directions = np.stack([np.cos(turned), np.sin(turned)], axis=-1)
        phases = expected_coherences(front_end, places[window], directions, alive[window])
        share = 0.8 / max(1, count[window])
        live = live_pairs(alive[window], front_end.pairs)
        mixed = phases.sum(axis=1).T * live.sum() * share
        # With more pairs, less noise already makes coherences that no sound can have.
        noise = 1.2 / pair_count * rng.normal(size=(2 * pair_count, 80, 44))
        live = np.repeat(live, 2)[:, None, None]
        features[window, 8:] = (mixed[:, :, None] + noise) * live
        level = -60 + rng.normal(size=(8, 80, 44)) + 25 * (8 / range_m).sum()
        features[window, :8] = np.where(alive[window][:, None, None], level, -100)
    arrays = {
        'features': features,
        'count': count.astype(np.int64),
        'rig_microphones_m': places,
        'rig_array_yaw_deg': yaw_deg,
        'microphones_m': places,
        'array_yaw_deg': yaw_deg,
        'delay_s': np.zeros((windows, 8), np.float32),
        'alive': alive,
        'seed': np.full(windows, seed, np.int64),
        'eye_height_m': np.full(windows, EYE_HEIGHT_M, np.float32),
        'level_db': np.zeros((windows, 16), np.float32),
        'visible_fraction': np.ones((windows, 16), np.float32),
        **rows,
    }
    arrays |= {'end_' + name: arrays[name] for name in ('count', 'level_db', *LABELS)}
    arrays['end_visible_fraction'] = arrays['visible_fraction']
    folder.mkdir(parents=True, exist_ok=True)
    names = {'features': front_end.feature_names}
    (folder / 'windows.json').write_text(json.dumps(names), encoding='utf-8')
    path = folder / f'windows_{seed:07d}.npz'
    with path.with_suffix('.partial').open('wb') as file:
        np.savez(file, **arrays)
    return path.with_suffix('.partial').rename(path)
