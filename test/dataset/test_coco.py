"""COCO annotations of other data sets: clear entries are used, unclear ones are reported."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from avdet_ros.dataset.coco import read_coco_boxes
from avdet_ros.dataset.vehicle_names import is_vehicle
from avdet_ros.errors import AvdetError

BASE = {
    'categories': [{'id': 3, 'name': 'car'}, {'id': 5, 'name': 'motor'}, {'id': 1, 'name': 'dog'}],
    'images': [{'id': 7, 'file_name': 'a.png'}, {'id': 8, 'file_name': 'b.png'}],
    'annotations': [
        {'id': 1, 'image_id': 7, 'category_id': 3, 'bbox': [10, 20, 30, 40]},
        {'id': 2, 'image_id': 7, 'category_id': 5, 'bbox': [60, 20, 30, 30]},
        {'id': 3, 'image_id': 7, 'category_id': 1, 'bbox': [0, 0, 9, 9]},
    ],
}


@pytest.fixture
def read(tmp_path):
    def reader(change=None, repeat=1):
        tree = copy.deepcopy(BASE)
        tree['annotations'] = [
            {**entry, 'bbox': [number + step for number in entry['bbox']]}
            for step in range(repeat)
            for entry in tree['annotations']
        ]
        if change:
            change(tree)
        path = tmp_path / 'a.json'
        path.write_text(json.dumps(tree))
        return read_coco_boxes(path)

    return reader


VEHICLES = """
car, Car, CARS, vehicle.car, vehicle.bus.rigid, automobile, motor, Motorbike, other vehicle, buses,
OtherVehicle, pickup-truck, light vehicle, heavy truck, lorries, TYPE_VEHICLE, PKW, Véhicule,
camión, ônibus, 汽车, トラック, vehicle.emergency.police
"""
OTHERS = """
person, bicycle, vehicle.bicycle, traffic light, car light, car door, license plate, bus stop,
train, carpet, cart, busy, vantage, human.pedestrian, non-motor vehicle, DontCare, tram, 犬
"""


@pytest.mark.parametrize('name', [name.strip() for name in VEHICLES.split(',')])
def test_names_of_vehicles_are_recognised(name):
    assert is_vehicle(name)


@pytest.mark.parametrize('name', ['', *(name.strip() for name in OTHERS.split(','))])
def test_names_similar_to_vehicles_are_not_vehicles(name):
    assert not is_vehicle(name)


def test_used_and_ignored_categories_are_listed(read):
    found = read()
    assert found.taken == {'car': 1, 'motor': 1}
    assert found.sentence == 'vehicles are car (1), motor (1); not dog'
    np.testing.assert_array_equal(found.boxes_px['a.png'], [[10, 20, 40, 60], [60, 20, 90, 50]])
    assert found.boxes_px['b.png'].shape == (0, 4)


@pytest.mark.parametrize('kind', [str, float, lambda number: f' 0{number}'])
def test_ids_may_be_strings_or_numbers(read, kind):
    def change(tree):
        for entry in tree['annotations']:
            entry['image_id'], entry['category_id'] = (
                kind(entry['image_id']),
                str(entry['category_id']),
            )

    assert sum(read(change).taken.values()) == 2


@pytest.mark.parametrize(
    ('value', 'boxes'),
    [('0', 2), ('false', 2), ('False', 2), ('', 2), (None, 2), (0.0, 2), (False, 2), ('no', 2)]
    + [('1', 0), ('true', 0), (True, 0), (1, 0)],
)
@pytest.mark.parametrize('flag', ['iscrowd', 'ignore'])
def test_crowd_and_ignore_flags_accept_text_and_numbers(read, flag, value, boxes):
    found = read(lambda tree: [entry.update({flag: value}) for entry in tree['annotations']])
    assert sum(found.taken.values()) == boxes


def test_invalid_flag_is_rejected_with_its_position(read):
    with pytest.raises(
        AvdetError, match=r"annotations\[0\]\.iscrowd: expected 0 or 1, found 'many'"
    ):
        read(lambda tree: [entry.update(iscrowd='many') for entry in tree['annotations']])


@pytest.mark.parametrize(
    ('spoiled', 'reason'),
    [
        (None, 'annotations: expected an object, found None'),
        ({'image_id': None}, 'image_id: expected an id, found None'),
        ({'image_id': 99}, 'image_id: expected one of images, found 99'),
        ({'category_id': None}, 'category_id: expected an id, found None'),
        ({'category_id': 77}, 'category_id: expected one of categories, found 77'),
        ({'bbox': None}, 'bbox: expected four numbers, found none'),
        ({'bbox': []}, 'bbox: expected four numbers, found none'),
        ({'bbox': [1, 2, 3]}, 'bbox: expected x, y and a width'),
        ({'bbox': [1, 2, 0, 5]}, 'bbox: expected x, y and a width'),
        ({'bbox': [1, 2, None, 5]}, 'bbox: expected x, y and a width'),
        ({'bbox': [1, 2, float('nan'), 5]}, 'bbox: expected x, y and a width'),
    ],
)
def test_one_bad_annotation_is_skipped_and_many_are_rejected(read, spoiled, reason):
    def one(tree):
        entry = tree['annotations'][0]
        tree['annotations'][0] = None if spoiled is None else {**entry, **spoiled}

    found = read(one, repeat=20)
    assert sum(found.taken.values()) == 39
    assert [reason in words for words in found.left_out] == [True]

    def all_of_them(tree):
        tree['annotations'] = [
            None if spoiled is None else {**entry, **spoiled} for entry in tree['annotations']
        ]

    with pytest.raises(AvdetError, match=r'format of COCO, found annotations\[[0-2]\]'):
        read(all_of_them, repeat=20)


def test_duplicate_boxes_merge_and_outlines_become_boxes(read):
    def change(tree):
        tree['annotations'].append(dict(tree['annotations'][0]))
        tree['annotations'][1] |= {'bbox': [], 'segmentation': [[60, 20, 90, 25, 70, 50]]}

    found = read(change)
    np.testing.assert_array_equal(found.boxes_px['a.png'], [[10, 20, 40, 60], [60, 20, 90, 50]])


def test_duplicate_ids_are_accepted_only_if_consistent(read):
    def same(tree):
        tree['categories'].append({'id': 3, 'name': 'Car'})
        tree['images'].append({'id': 7, 'file_name': 'a.png'})

    assert sum(read(same).taken.values()) == 2
    with pytest.raises(AvdetError, match=r"categories\[3\]\.id: expected a unique id.*'car'"):
        read(lambda tree: tree['categories'].append({'id': 3, 'name': 'dog'}))
    with pytest.raises(AvdetError, match=r'images\[2\]\.id: expected a unique id.*a\.png'):
        read(lambda tree: tree['images'].append({'id': 7, 'file_name': 'c.png'}))


@pytest.mark.parametrize('name', [None, 4, ['car']])
def test_category_without_name_is_rejected_with_its_position(read, name):
    with pytest.raises(AvdetError, match=r'categories\[1\]\.name: expected a text'):
        read(lambda tree: tree['categories'][1].update(name=name))


def test_boxes_in_fractions_or_as_corners_are_rejected(read):
    def shares(tree):
        for entry in tree['annotations']:
            entry['bbox'] = [number / 1000 for number in entry['bbox']]

    with pytest.raises(AvdetError, match='expected pixels'):
        read(shares)

    def corners(tree):
        for entry in tree['images']:
            entry.update(width=100, height=70)
        tree['annotations'][0]['bbox'] = [50, 40, 90, 60]
        tree['annotations'][1]['bbox'] = [60, 50, 95, 66]

    with pytest.raises(AvdetError, match='end outside of the pictures'):
        read(corners)


def test_file_without_vehicle_categories_is_rejected(read):
    with pytest.raises(AvdetError, match='found none, but dog'):
        read(
            lambda tree: tree.update(
                categories=[{'id': 1, 'name': 'dog'}, {'id': 2, 'name': 'tree'}]
            )
        )


def test_summary_counts_skipped_entries_and_lists_other_categories(read):
    def change(tree):
        tree['categories'] += [{'id': 20 + n, 'name': f'thing{n:02d}'} for n in range(12)]
        tree['annotations'][0]['image_id'] = 99
        tree['annotations'].append(dict(tree['annotations'][1]))

    names = ', '.join(['dog', *(f'thing{n:02d}' for n in range(11))])
    assert read(change, repeat=20).sentence == (
        f'vehicles are car (19), motor (20); not {names} ...; '
        '1 left out: image_id: expected one of images, found 99; '
        '1 left out: the same box again'
    )

    def alone(tree):
        tree['categories'] = tree['categories'][:2]
        tree['annotations'] = tree['annotations'][:2]

    assert read(alone).sentence == 'vehicles are car (1), motor (1); not any other category'


def test_up_to_five_percent_of_entries_may_be_unusable(read):
    def spoil(count):
        def change(tree):
            vehicles = [entry for entry in tree['annotations'] if entry['category_id'] != 1]
            for entry in vehicles[:count]:
                entry['image_id'] = 99

        return change

    assert sum(read(spoil(2), repeat=20).taken.values()) == 38
    words = r'annotations\[0\]\.image_id: expected one of images, found 99; 3 of 40 entries cannot'
    with pytest.raises(AvdetError, match=words):
        read(spoil(3), repeat=20)


def test_file_is_rejected_if_over_half_of_boxes_exceed_their_pictures(read):
    def sized(width, height):
        def change(tree):
            for entry in tree['images']:
                entry.update(width=width, height=height)

        return change

    # The boxes end at 40 x 60 and 90 x 50; two pixels over the edge are rounding.
    for size in ((88, 58), (87, 58), (39, 58), (88, 50)):
        assert sum(read(sized(*size)).taken.values()) == 2
    with pytest.raises(
        AvdetError, match=r'outside of the pictures \(2 of 2\): expected x, y, width'
    ):
        read(sized(87, 57))
    assert sum(read(sized(0, 57)).taken.values()) == 2


def test_picture_with_two_ids_gets_boxes_of_both(read):
    def change(tree):
        tree['images'][1]['file_name'] = 'a.png'
        tree['annotations'][1]['image_id'] = 8

    assert read(change).boxes_px['a.png'].tolist() == [[10, 20, 40, 60], [60, 20, 90, 50]]
    windows = read(lambda tree: tree['images'][0].update(file_name='day\\a.png'))
    assert list(windows.boxes_px) == ['day/a.png', 'b.png']


def test_pictures_without_vehicles_are_logged(read, log_lines):
    found = read(lambda tree: tree.update(annotations=[]))
    assert [len(boxes) for boxes in found.boxes_px.values()] == [0, 0]
    assert 'no box of a vehicle in 2 pictures' in log_lines[0]
