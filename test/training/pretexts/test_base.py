"""Behaviour of all pretexts: they train, resume, and report results and missing inputs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.training.data.mirror import find_mirror
from avdet_ros.training.pretexts.base import negatives, without
from avdet_ros.training.recipes.parts import Augmentation, PretextRecipe, TeachersRecipe
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.registries import PRETEXTS
from avdet_ros.training.run.pretext import WEIGHTS, fit_pretext

TASKS = PRETEXTS.names()


@pytest.mark.slow
@pytest.mark.parametrize('task', TASKS)
def test_every_pretext_trains_the_encoder_and_reports_its_result(
    make_windows, small_student, task, tmp_path
):
    recipe = StudentRecipe(
        'truth',
        teachers=TeachersRecipe(labels='labels'),
        pretext=PretextRecipe(task, epochs=1, batch=16),
    )
    student = small_student()
    before = {name: item.clone() for name, item in student.named_parameters()}
    mirror = find_mirror(load_rig())
    result = fit_pretext(
        student, recipe, make_windows(32, 0), make_windows(16, 1), tmp_path / task, mirror
    )
    assert result['loss'] >= 0
    assert result['about'].startswith(task)
    assert 'nan' not in result['about']
    changed = {name for name, item in student.named_parameters() if not item.equal(before[name])}
    assert 'student.from_response.weight' in changed
    assert not any('head' in name for name in changed), 'only fitting trains the head'
    state = torch.load(tmp_path / task / WEIGHTS, weights_only=True)
    assert all(state[name].equal(item) for name, item in student.state_dict().items())


@pytest.mark.slow
def test_resumed_pretext_ends_like_an_uninterrupted_one(make_windows, small_student, tmp_path):
    train, val = make_windows(32, 0), make_windows(16, 1)
    ends = {}
    for name, epochs in (('whole', [2]), ('killed', [1, 2])):
        for many in epochs:
            recipe = StudentRecipe(pretext=PretextRecipe('contrastive', epochs=many, batch=16))
            student = small_student()
            mirror = find_mirror(load_rig())
            fit_pretext(student, recipe, train, val, tmp_path / name, mirror)
        ends[name] = torch.load(tmp_path / name / 'checkpoints' / 'last.ckpt', weights_only=True)
    for name, item in ends['whole']['state_dict'].items():
        assert torch.equal(item, ends['killed']['state_dict'][name]), name


@pytest.mark.parametrize('task', ['instance', 'instance_robust'])
def test_pretexts_that_need_pictures_reject_simulated_windows(task):
    with pytest.raises(AvdetError, match=f'{task}: expected drives with teachers.*no pictures'):
        StudentRecipe(pretext=PretextRecipe(task, epochs=1))
    with pytest.raises(
        AvdetError, match='whose embedding it compares with the sound, found none;'
    ):
        StudentRecipe('truth', pretext=PretextRecipe(task, epochs=1))
    with pytest.raises(AvdetError, match=r'masked_channels, .*need none'):
        StudentRecipe(pretext=PretextRecipe(task, epochs=1))
    StudentRecipe(pretext=PretextRecipe(task, epochs=0))
    able = {name for name in TASKS if not PRETEXTS.find(name).needs_of(StudentRecipe())}
    assert set(TASKS) - able == {'instance', 'instance_robust'}


def test_pretext_is_not_wanted_if_none_or_zero_epochs():
    assert not StudentRecipe(pretext=PretextRecipe('none', epochs=5)).pretext.wanted
    assert not PretextRecipe('counting', epochs=0).wanted
    assert PretextRecipe('counting', epochs=1).wanted


def test_single_training_drive_warns_about_missing_negatives(make_windows, make_pretext, caplog):
    train = make_windows(8, 0)
    make_pretext(PRETEXTS.find('contrastive'), train, train)
    assert 'no negatives from elsewhere' in caplog.text
    caplog.clear()
    make_pretext(PRETEXTS.find('contrastive'), make_windows(16, 0), train)
    assert not caplog.text


def test_windows_of_a_drive_are_negatives_from_four_seconds_apart(make_windows):
    batch = make_windows(16, 0).batch([0, 3, 4, 8])
    allowed = negatives(batch, torch.device('cpu'))
    expected = [[0, 0, 1, 1], [0, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 0]]
    assert allowed.int().tolist() == expected
    unknown = replace(batch, drives=[], times_s=[])
    assert negatives(unknown, torch.device('cpu')).sum() == 12


def test_without_disables_the_given_augmentations():
    how = without(Augmentation(mix=0.2), 'mirror', 'mix', 'mask_bands')
    assert (how.mirror, how.mix, how.mask_bands) == (False, 0.0, 0)
    assert how.gain_db == Augmentation().gain_db


def test_swapped_pretext_requires_mirror_augmentation():
    with pytest.raises(AvdetError, match=r'swapped: expected augmentation\.mirror: true'):
        StudentRecipe(
            pretext=PretextRecipe('swapped', epochs=1), augmentation=Augmentation(mirror=False)
        )
