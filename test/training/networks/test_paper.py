from __future__ import annotations

import numpy as np
import pytest
import torch

from avdet_ros.audio.features import FrontEnd, paper_log_mel
from avdet_ros.training.data.picture_area import picture_area
from avdet_ros.training.networks.paper import AnchorStudent, PaperStudent, relative_db, unit_levels

SIZE = (128, 256)


def test_unit_levels_scale_decibels_to_0_to_1():
    assert unit_levels(torch.tensor([-80.0, -40, 0, -200])).tolist() == [0, 0.5, 1, 0]


def test_paper_student_places_bands_as_image_rows():
    student = PaperStudent('tf_efficientdet_lite0', (128, 128)).eval()
    log_mel = torch.full((1, 8, 80, 173), -80.0)
    log_mel[:, :, :40] = 0.0
    picture = student.picture(log_mel)
    assert picture.shape == (1, 8, 128, 128)
    assert picture[0, :, 10].min() == 1
    assert picture[0, :, -10].max() == 0
    prediction = student(log_mel)
    assert prediction.logits.shape[1] == len(student.detector.anchors)


@pytest.mark.parametrize('crop', [False, True])
def test_paper_student_boxes_map_back_to_the_image(crop):
    """A box placed on the network canvas maps back to the same part of the image."""
    area = picture_area(SIZE, 1920, 650, crop)
    network = PaperStudent('tf_efficientdet_lite0', SIZE)
    student = AnchorStudent(network, area, (1920, 650))
    box = torch.tensor([[0.4, 0.3, 0.55, 0.8]])
    placed = student._on_canvas(box)
    back = (placed / student.area.canvas.scale + student.shift) / student.size
    torch.testing.assert_close(back, box)


def test_relative_db_matches_the_paper_log_mel():
    rng = np.random.default_rng(1)
    sound = (rng.normal(size=(8, 44100)) * np.logspace(-3, -1, 8)[:, None]).astype(np.float32)
    levels = torch.from_numpy(FrontEnd().log_mel(sound))[None]
    np.testing.assert_allclose(relative_db(levels)[0], paper_log_mel(sound), atol=1e-4)
