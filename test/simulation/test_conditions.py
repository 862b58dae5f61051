"""World and array are chosen independently, and everything else in a drive stays the same."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.simulation.conditions import Condition, array_errors, true_array, true_rig
from avdet_ros.simulation.manoeuvres import add_to_drive
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.sound import SoundRenderer
from avdet_ros.simulation.traffic import random_scene

RIG = load_rig()


def assert_same_errors(one, other):
    for (name, a), b in zip(asdict(one).items(), asdict(other).values(), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)


@pytest.mark.parametrize('seed', [200_003, 200_017])
def test_usual_arrays_reproduce_plain_and_furnished_drives(seed):
    plain = random_scene(seed, RIG, 9.0)
    assert_same_errors(
        Condition('plain', 'kept').scene(seed, RIG, 9.0).corruption, plain.corruption
    )
    furnished = add_to_drive(random_scene(seed, RIG, 9.0))
    ours = Condition('furnished', 'neglected').scene(seed, RIG, 9.0)
    assert_same_errors(ours.corruption, furnished.corruption)
    assert (ours.setting, len(ours.vehicles)) == (furnished.setting, len(furnished.vehicles))
    for a, b in zip(ours.vehicles, furnished.vehicles, strict=True):
        np.testing.assert_array_equal(a.pose(3.0)[0], b.pose(3.0)[0])


def test_furnished_condition_sounds_like_furnished_drive():
    ours = SoundRenderer(Condition('furnished', 'neglected').scene(100_001, RIG, 3.0))
    theirs = SoundRenderer(add_to_drive(random_scene(100_001, RIG, 3.0)))
    np.testing.assert_array_equal(ours.read(44100, 11025), theirs.read(44100, 11025))


def test_truth_of_a_drive_is_the_same_for_every_array():
    scenes = [
        Condition('furnished', array).scene(200_007, RIG, 9.0)
        for array in ('ideal', 'kept', 'neglected')
    ]
    boxes = [scene.labels(4.0).boxes_px for scene in scenes]
    np.testing.assert_array_equal(boxes[0], boxes[1])
    np.testing.assert_array_equal(boxes[0], boxes[2])
    assert not scenes[0].corruption.delay_samples.any()
    assert scenes[1].corruption.position_error_m.any()


def test_array_of_one_vehicle_is_shared_by_drives_except_gaps():
    drives = [array_errors('neglected', seed, 60.0, vehicle=3) for seed in range(100_000, 100_030)]
    for drive in drives:
        np.testing.assert_array_equal(drive.delay_samples, drives[0].delay_samples)
        assert drive.array_yaw_deg == drives[0].array_yaw_deg
    assert len({len(drive.gaps_s) for drive in drives}) > 1
    other = array_errors('neglected', 100_000, 60.0, vehicle=4)
    assert other.array_yaw_deg != drives[0].array_yaw_deg
    assert_same_errors(
        array_errors('kept', 100_000, 60.0, vehicle=3), array_errors('kept', 5, 60.0, vehicle=3)
    )


def test_drives_use_several_vehicles_in_turn():
    condition = Condition('plain', 'neglected', vehicle=7, vehicles=3)
    yaws = [condition.scene(seed, RIG, 4.0).corruption.array_yaw_deg for seed in range(300, 306)]
    assert yaws[:3] == yaws[3:]
    assert len(set(yaws)) == 3
    one = Condition('plain', 'neglected', vehicle=8).scene(300, RIG, 4.0)
    assert one.corruption.array_yaw_deg == yaws[1]
    with pytest.raises(AvdetError, match='vehicles: expected 1 to 10000 and the seed of the'):
        Condition(vehicles=3)


def test_family_draws_one_rig_per_drive_or_per_vehicle():
    condition = Condition('plain', 'kept', family='corner')
    one, other = (condition.scene(seed, RIG, 4.0) for seed in (300, 301))
    assert np.abs(one.rig.microphones_m - other.rig.microphones_m).max() > 0.02
    assert_same_errors(one.corruption, random_scene(300, RIG, 4.0).corruption)
    shared = Condition('plain', 'kept', family='corner', vehicle=300)
    np.testing.assert_array_equal(
        shared.scene(301, RIG, 4.0).rig.microphones_m, one.rig.microphones_m
    )
    np.testing.assert_array_equal(
        shared.scene(301, RIG, 4.0).rig.camera.rotation, one.rig.camera.rotation
    )
    with pytest.raises(AvdetError, match=r"family: expected one of octagon, .*, found 'heap'"):
        Condition(family='heap')


def test_condition_key_contains_only_used_settings():
    assert Condition().key() == {
        'world': 'plain',
        'array': 'kept',
        'vehicle': None,
        'empty': False,
    }
    assert Condition(family='cross', vehicle=1, vehicles=2).key()['vehicles'] == 2


def test_true_rig_holds_positions_and_delays_of_true_array():
    scene = swapped_scene()
    array = true_array(scene)
    calibrated = true_rig(RIG, array)
    np.testing.assert_array_equal(calibrated.microphones_m, array.microphones_m)
    np.testing.assert_array_equal(calibrated.delay_s, array.delay_s)
    assert calibrated.camera is RIG.camera


def test_given_temperature_applies_to_all_drives():
    condition = Condition('plain', 'kept', temperature_c=-3.0)
    assert {condition.scene(seed, RIG, 4.0).temperature_c for seed in (300, 301)} == {-3.0}
    assert condition.key()['temperature_c'] == -3.0


def test_empty_condition_has_no_vehicles():
    scene = Condition('plain', 'ideal', empty=True).scene(200_001, RIG, 9.0)
    assert scene.vehicles == ()
    assert not len(scene.truth(2.0))


def swapped_scene() -> Scene:
    """The first drive with two exchanged channels."""
    for seed in range(100_000, 100_200):
        scene = Condition('plain', 'neglected').scene(seed, RIG, 9.0)
        if (scene.corruption.order != np.arange(8)).any():
            return scene
    raise AssertionError('no drive with exchanged channels in 200')


def test_true_array_is_in_channel_order():
    scene = swapped_scene()
    errors, array = scene.corruption, true_array(scene)
    one, other = np.flatnonzero(errors.order != np.arange(8))
    np.testing.assert_array_equal(array.microphones_m[one], scene.microphones_m()[other])
    assert array.gain_db[one] == errors.gain_db[other]
    assert array.delay_s[other] == -errors.delay_samples[one] / 44100
    assert array.yaw_deg == errors.array_yaw_deg


def test_invalid_condition_values_are_rejected():
    with pytest.raises(AvdetError, match="world: expected one of plain, furnished, found 'moon'"):
        Condition('moon')
    with pytest.raises(AvdetError, match='array: expected one of ideal, kept, neglected'):
        Condition('plain', 'bad')
    with pytest.raises(AvdetError, match='vehicle: expected a seed'):
        Condition(vehicle=-1)
