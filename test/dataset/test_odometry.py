"""Odometry of a drive: round trip through its file, speed at any time and invalid files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from avdet_ros.dataset import odometry as module
from avdet_ros.dataset.odometry import (
    COLUMNS,
    FILE,
    Odometry,
    read_air_c,
    read_odometry,
    write_odometry,
)
from avdet_ros.errors import AvdetError

START_NS = 1_700_000_000_123_456_789
HEAD = ','.join(COLUMNS)


def driving(ahead_mps, step_s=0.05):
    """Return odometry of straight driving at these speeds, with one pose per step."""
    ahead = np.asarray(ahead_mps, np.float64)
    steps = np.arange(len(ahead))
    stamps = START_NS + np.round(steps * step_s * 1e9).astype(np.int64)
    aside, yaw = np.full(len(ahead), -2.0), np.full(len(ahead), 0.1)
    return Odometry(stamps, 10.0 * step_s * steps, aside, yaw, ahead)


def test_odometry_round_trips_with_identical_bytes(tmp_path):
    way = driving([10, 10.25, np.nan, -3.5])
    write_odometry(tmp_path, way)
    first = (tmp_path / FILE).read_bytes()
    back = read_odometry(tmp_path)
    assert len(back) == 4
    assert back.stamps_ns.tolist() == way.stamps_ns.tolist()
    for name in ('x_m', 'y_m', 'yaw_rad', 'ahead_mps'):
        np.testing.assert_allclose(getattr(back, name), getattr(way, name), atol=1e-9)
    write_odometry(tmp_path, back)
    assert (tmp_path / FILE).read_bytes() == first
    assert first.splitlines()[3] == f'{START_NS + 100_000_000},1.0000,-2.0000,0.100000,'.encode()


def test_speed_is_interpolated_and_held_for_half_a_second():
    way = driving(20 + 4 * 0.05 * np.arange(41))
    at = START_NS + np.round(np.array([0.0, 0.5, 0.525, 2.0]) * 1e9).astype(np.int64)
    np.testing.assert_allclose(way.ahead_at(at), [20, 22, 22.1, 28], atol=1e-9)
    end = int(way.stamps_ns[-1])
    beside = way.ahead_at([START_NS - 499_000_000, end + 499_000_000])
    assert beside.tolist() == pytest.approx([20, 28])
    beyond = way.ahead_at([[START_NS - 501_000_000], [end + 501_000_000]])
    assert beyond.shape == (2, 1)
    assert np.isnan(beyond).all()


def test_unknown_speed_stays_unknown():
    speeds = np.full(81, 10.0)
    speeds[20:61] = np.nan
    way = driving(speeds)
    at = START_NS + np.array([900, 1400, 2000, 2600, 3100]) * 1_000_000
    np.testing.assert_array_equal(way.ahead_at(at), [10, 10, np.nan, 10, 10])
    assert np.isnan(driving([np.nan, np.nan]).ahead_at(START_NS))
    assert np.isnan(driving([]).ahead_at(START_NS))


def test_missing_odometry_is_none_and_file_without_rows_is_empty(tmp_path):
    assert read_odometry(tmp_path) is None
    (tmp_path / FILE).write_text(HEAD + '\n')
    assert len(read_odometry(tmp_path)) == 0


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('', rf'{FILE}:1: expected {HEAD}, found '),
        ('stamp,x\n', "found 'stamp,x'"),
        (f'{HEAD}\n5,1,2,0,3\n5,1,2,0,3\n', f'{FILE}:3: expected a stamp after 5 ns, found 5 ns'),
        (f'{HEAD}\n5,1,2,0\n', f"{FILE}:2: expected {HEAD} .* found '5,1,2,0'"),
        (f'{HEAD}\n5,1,nan,0,3\n', 'at most 100 m/s, found'),
        (f'{HEAD}\n5,1,2,0,nan\n', 'at most 100 m/s, found'),
        (f'{HEAD}\n5,1,2,0,101\n', 'at most 100 m/s, found'),
        (f'{HEAD}\n-5,1,2,0,1\n', 'at most 100 m/s, found'),
        (f'{HEAD}\n{"9" * 20},1,2,0,1\n', 'at most 100 m/s, found'),
        (f'{HEAD}\n\n', f'{FILE}:2: expected'),
    ],
)
def test_invalid_odometry_is_rejected(tmp_path, text, sentence):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(AvdetError, match=sentence):
        read_odometry(tmp_path)


def test_oversized_odometry_file_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'LARGEST_BYTES', 1 << 20)
    (tmp_path / FILE).write_bytes(b'1' * ((1 << 20) + 1))
    with pytest.raises(AvdetError, match='odometry of a drive of at most 1 MiB'):
        read_odometry(tmp_path)


def test_air_temperature_is_read_from_the_parameters(tmp_path):
    assert read_air_c(tmp_path) is None
    path = tmp_path / 'parameters.json'
    path.write_text(json.dumps({'start_ns': 1}))
    assert read_air_c(tmp_path) is None
    for told, expected in ((-7.5, -7.5), (200, 'found 200'), ('warm', "found 'warm'")):
        path.write_text(json.dumps({'start_ns': 1, 'temperature_c': told}))
        module.layout._parameters.cache_clear()
        if isinstance(expected, float):
            assert read_air_c(tmp_path) == expected
        else:
            with pytest.raises(AvdetError, match=f'temperature_c: expected .*{expected}'):
                read_air_c(tmp_path)
