"""The data set card counts the content of a set, here two hand-written drives."""

from __future__ import annotations

import json

import pytest

from avdet_ros.simulation.dataset_card import write_card
from avdet_ros.simulation.plan import Plan, plan_drives

PLAN = Plan(drives=2, minutes=0.05, seed=3, fps=2.0, clips=False)


def line(stamp, vehicles):
    """A truth line with vehicles (kind, fraction in the image, labelled, audible)."""
    kinds, inside, label, audible = zip(*vehicles, strict=True) if vehicles else [()] * 4
    return {
        'stamp': stamp,
        'boxes_px': [[0, 0, 9, 9]] * len(vehicles),
        'kinds': kinds,
        'in_image': inside,
        'label': label,
        'audible': audible,
    }


FRAMES = (
    [
        line('1_1', [('car', 0.31, True, True), ('lorry', 1.0, True, True), ('car', 0.3, 0, 0)]),
        line('1_2', []),
        line('1_3', [('car', 0.9, True, True)]),
    ],
    [line('2_1', [('bus', 0.2, False, True)])],
)
PARAMETERS = (
    {
        'start_ns': 5,
        'setting': 'city',
        'static': True,
        'conditions': {'sun_elevation_deg': 31.6, 'rain': 0.254, 'air_c': 17.5001},
    },
    {
        'start_ns': 7,
        'setting': 'tunnel',
        'static': False,
        'conditions': {'sun_elevation_deg': -8.4, 'rain': 0.0, 'air_c': -3.2},
    },
)


def write_set(root, frames=FRAMES):
    for drive, lines, parameters in zip(plan_drives(PLAN), frames, PARAMETERS, strict=True):
        folder = root / drive.name / 'truth'
        folder.mkdir(parents=True)
        (folder / 'frames.jsonl').write_text(''.join(json.dumps(frame) + '\n' for frame in lines))
        (root / drive.name / 'parameters.json').write_text(json.dumps(parameters))
    (root / 'sound').write_bytes(bytes(30_000_000))


@pytest.fixture
def card(tmp_path):
    write_set(tmp_path)
    write_card(tmp_path, PLAN, 'avdet sim drives set')
    assert not list(tmp_path.glob('*.part'))
    return (tmp_path / 'DATASET_CARD.md').read_text(encoding='utf-8')


def test_card_counts_frames_vehicles_and_settings(card):
    text = ' '.join(card.split())
    assert (
        '2 drives of 0.05 min, 4 frames at 2 a second, 0.03 GB, made by avdet sim drives set'
    ) in text
    # Fractions above 0.3 count as in the image: two in the first frame, one in the third.
    assert (
        'Vehicles in the image a frame: 0.75 on average, 2 at most; to be reported by a detector '
        'of sound: 0.75 on average, 2 at most. Audible: 80% of all vehicles within 120 m. '
        'Labelled kinds: car 2, lorry 1. Settings: city 1, tunnel 1.'
    ) in text
    assert 'not written, cut from drive.flac by the reader' in text


def test_card_has_a_row_for_each_drive(card):
    rows = [row for row in card.splitlines() if row.startswith('| drive_')]
    one, other = plan_drives(PLAN)
    first = 'city | static | 32 | 0.25 | 18 | 3 | 1.0'
    second = 'tunnel | driving | -8 | 0.00 | -3 | 1 | 0.0'
    assert rows == [
        f'| {one.name} | {one.split} | {first} | {one.scene_seed} |',
        f'| {other.name} | {other.split} | {second} | {other.scene_seed} |',
    ]


def test_card_of_set_without_vehicles_reports_none(tmp_path):
    write_set(tmp_path, ([line('1_1', [])], [line('2_1', [])]))
    write_card(tmp_path, PLAN, 'command')
    text = ' '.join((tmp_path / 'DATASET_CARD.md').read_text(encoding='utf-8').split())
    assert 'Audible: 0% of all vehicles' in text
    assert 'Labelled kinds: none.' in text
