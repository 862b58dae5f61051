from __future__ import annotations

import numpy as np
import pytest
import torch

from avdet_ros.audio.features import FrontEnd, paper_log_mel
from avdet_ros.rig import load_rig
from avdet_ros.training.data.picture_area import picture_area
from avdet_ros.training.networks.adapters import make_listener, relative_db
from avdet_ros.training.networks.compact import STUDENTS
from avdet_ros.training.recipes.student import (
    DistillationRecipe,
    ListenerRecipe,
    TaughtLoss,
    TransferRecipe,
)

SIZE = (128, 256)
LEVELS = [(16, 32), (8, 16), (4, 8)]
MODELS = (*STUDENTS, 'paper', 'stereosoundnet')


def listener(model: str, crop: bool = False):
    torch.manual_seed(0)
    recipe = DistillationRecipe(
        student=ListenerRecipe(model, 'tf_efficientdet_lite0'),
        transfer=TransferRecipe(loss='ranking'),
    )
    return make_listener(recipe, load_rig(), picture_area(SIZE, 1920, 650, crop), SIZE)


def window() -> torch.Tensor:
    rng = np.random.default_rng(0)
    sound = (0.1 * rng.normal(size=(8, 44100))).astype(np.float32)
    return torch.from_numpy(FrontEnd().compute(sound))[None]


@pytest.mark.parametrize('model', MODELS)
def test_every_student_has_one_face(model):
    student = listener(model)
    sound = student.from_topic(window().repeat(2, 1, 1, 1))
    heard = student(sound, LEVELS)
    assert heard.embedding.shape == (2, student.channels)
    for level, size in zip(heard.maps, LEVELS, strict=False):
        assert level.shape == (2, student.channels, *student.cells(*size))
    boxes, logits = student.candidates(heard.said)
    assert boxes.shape == (*logits.shape, 4)
    assert student.encode(sound).shape[0] == 2
    truth = [torch.tensor([[0.4, 0.5, 0.6, 0.8]]), torch.zeros(0, 4)]
    terms, _ = student.loss(heard.said, truth, TaughtLoss())
    sum(terms.values()).backward()
    missing = [name for name, item in student.named_parameters() if item.grad is None]
    assert not missing


@pytest.mark.parametrize('model', MODELS)
def test_a_batch_without_vehicles_is_a_lesson_too(model):
    student = listener(model)
    heard = student(student.from_topic(window()), LEVELS)
    terms, _ = student.loss(heard.said, [torch.zeros(0, 4)], TaughtLoss())
    assert terms['focal'] > 0
    assert all(float(term.detach()) == 0 for name, term in terms.items() if name != 'focal')
    sum(terms.values()).backward()


@pytest.mark.parametrize('crop', [False, True])
def test_the_papers_student_speaks_of_the_image(crop):
    """What its anchors are taught comes back as the same part of the image."""
    student = listener('paper', crop)
    box = torch.tensor([[0.4, 0.3, 0.55, 0.8]])
    placed = student._on_canvas(box)
    back = (placed / student.area.canvas.scale + student.shift) / student.size
    torch.testing.assert_close(back, box)


def test_the_papers_scale_is_the_front_ends():
    rng = np.random.default_rng(1)
    sound = (rng.normal(size=(8, 44100)) * np.logspace(-3, -1, 8)[:, None]).astype(np.float32)
    levels = torch.from_numpy(FrontEnd().log_mel(sound))[None]
    np.testing.assert_allclose(relative_db(levels)[0], paper_log_mel(sound), atol=1e-4)


def test_stereosoundnet_hears_the_microphones_at_the_sides():
    student, rig = listener('stereosoundnet'), load_rig()
    left, right = rig.microphones_m[student.ears, 1]
    assert left == rig.microphones_m[:, 1].max()
    assert right == rig.microphones_m[:, 1].min()
    assert student.pose[0] == pytest.approx(rig.camera.position_m[2])
    assert student.pose[2] == pytest.approx(0, abs=1e-6)
    sound = student.from_topic(window())
    others = sound.clone()
    deaf = [index for index in range(8) if index not in student.ears]
    others[:, deaf] += torch.rand(1, len(deaf), 80, 173)
    student.eval()
    assert torch.equal(student(sound, []).said, student(others, []).said)


def test_recipes_make_the_same_student_for_a_seed():
    one, two = listener('steered'), listener('steered')
    assert all(map(torch.equal, one.state_dict().values(), two.state_dict().values()))
