"""Drives that consist of a few lines of truth about vehicles."""

from __future__ import annotations

import json

import pytest

from avdet_ros.dataset import layout

START_NS = 1_900_000_000_000_000_000


def vehicle(identity, x_px, level_db, **other):
    """One vehicle: its column in the picture, and its level against a rest of 60 dB."""
    its = {
        'boxes_px': [x_px - 40.0, 300.0, x_px + 40.0, 360.0],
        'ids': identity,
        'kinds': 'car',
        'distance_m': 20.0,
        'speed_mps': 8.0,
        'in_image': 1.0,
        'visible_fraction': 1.0,
        'level_db': level_db,
        'rest_db': 60.0,
        'audible': level_db is not None and level_db >= 42,
        'pixels': 4800,
    }
    return {**its, **other}


@pytest.fixture
def sounding_drives(tmp_path):
    """Writes drives, given as lists of frames of `vehicle` by name; returns root, drives."""

    def write(drives, static=(), split='val'):
        root, listed = tmp_path / 'set', {}
        for name, frames in drives.items():
            (root / name / 'truth').mkdir(parents=True)
            notes = {'start_ns': START_NS, 'static': name in static}
            (root / name / 'parameters.json').write_text(json.dumps(notes))
            lines, listed[name] = [], []
            for index, vehicles in enumerate(frames):
                frame = layout.make_id(name, START_NS + 500_000_000 * (index + 1))
                line = {key: [its[key] for its in vehicles] for key in vehicle(0, 0, 0)}
                line['label'] = line['audible']
                lines.append(json.dumps({'stamp': frame.stamp, **line}) + '\n')
                listed[name].append(frame)
            (root / name / 'truth' / 'frames.jsonl').write_text(''.join(lines))
        layout.write_ids(
            layout.split_path(root, split), [frame for its in listed.values() for frame in its]
        )
        return root, listed

    return write


@pytest.fixture
def make_vehicle():
    """See `vehicle`."""
    return vehicle
