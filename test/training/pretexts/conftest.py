"""A small student, and windows that know their drives."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.rig import load_rig
from avdet_ros.training.data.mirror import find_mirror
from avdet_ros.training.data.picture_area import picture_area
from avdet_ros.training.networks.steered import Steered, SteeredResponseNet
from avdet_ros.training.recipes.parts import PretextRecipe
from avdet_ros.training.recipes.student import StudentRecipe


@pytest.fixture
def small_student():
    """Makes a student that learns quickly."""

    def make():
        torch.manual_seed(0)
        network = SteeredResponseNet(
            load_rig(), FrontEnd(), rows=4, columns=24, margin_columns=2, around=2, width=12
        )
        return Steered(network, picture_area((128, 256), 1920, 650, crop=False))

    return make


@pytest.fixture
def make_pretext(small_student):
    """Makes a pretext on a small student, prepared with windows."""

    def make(kind, train, val, **how):
        student = small_student().eval()
        recipe = StudentRecipe(pretext=PretextRecipe(epochs=4, batch=16, most=3, **how))
        task = kind(student, recipe, find_mirror(load_rig()), student.channels)
        task.prepare(train, val)
        return task

    return make


@pytest.fixture(scope='session')
def of_drives(taught):
    """Makes windows of drives of eight, a second apart."""

    def make(count, seed):
        windows = taught(count, seed)
        return replace(
            windows,
            drives=[f'drive {seed} {place // 8}' for place in range(count)],
            times_s=[float(place % 8) for place in range(count)],
        )

    return make
