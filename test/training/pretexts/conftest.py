"""A small student, pretexts on it, and windows with drives and times."""

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
    """Factory of small students that train quickly."""

    def make():
        torch.manual_seed(0)
        network = SteeredResponseNet(
            load_rig(), FrontEnd(), rows=4, columns=24, margin_columns=2, around=2, width=12
        )
        return Steered(network, picture_area((128, 256), 1920, 650, crop=False))

    return make


@pytest.fixture
def make_pretext(small_student):
    """Factory of pretexts on a small student, prepared with windows."""

    def make(kind, train, val, **how):
        student = small_student().eval()
        recipe = StudentRecipe(pretext=PretextRecipe(epochs=4, batch=16, most=3, **how))
        task = kind(student, recipe, find_mirror(load_rig()), student.channels)
        task.prepare(train, val)
        return task

    return make


@pytest.fixture
def train_pretext(make_windows, make_pretext):
    """Trains a pretext on 128 windows; returns it and its values on 64 of other drives."""

    def make(kind, steps):
        train, val = make_windows(128, 0), make_windows(64, 1)
        task = make_pretext(kind, train, val).train()
        optimiser = torch.optim.Adam(task.parameters(), lr=5e-3)
        for step in range(steps):
            task.chance.manual_seed(step)
            places = [(16 * step + place) % 128 for place in range(16)]
            loss = task.measure(train.batch(places))['loss']
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        task.eval()
        task.on_validation_epoch_start()
        with torch.no_grad():
            task.validation_step(val.batch(range(64)), 0)
        return task, task.validation_values()

    return make


@pytest.fixture(scope='session')
def make_windows(taught):
    """Factory of windows one second apart, eight per drive."""

    def make(count, seed):
        windows = taught(count, seed)
        return replace(
            windows,
            drives=[f'drive {seed} {place // 8}' for place in range(count)],
            times_s=[float(place % 8) for place in range(count)],
        )

    return make
