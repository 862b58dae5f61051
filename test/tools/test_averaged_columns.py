"""A network averaged over a window and its mirror image treats left and right alike."""

from __future__ import annotations

from averaged_columns import OFFSET, TwoPasses
import torch

from avdet_ros.training.any_array.bearing_first import BearingFirst, BearingShape

SHAPE = BearingShape(width=12, deep=32, steps=2)


def test_mirrored_input_gives_mirrored_output():
    torch.manual_seed(0)
    twice = TwoPasses(BearingFirst(SHAPE).eval(), None)
    level, coherence = torch.randn(2, 80, 44), torch.rand(2, 80, 24, 44)
    steering = torch.rand(2, 80, SHAPE.front + SHAPE.around, 24)
    front, around = steering.split([SHAPE.front, SHAPE.around], dim=2)
    mirrored = torch.cat([front.flip(2), around.flip(2)], dim=2)
    with torch.no_grad():
        said = twice(level, coherence, steering)
        expected = said.flip(2)
        expected[:, OFFSET] *= -1
        torch.testing.assert_close(twice(level, coherence, mirrored), expected)
    assert not torch.allclose(said, expected), 'nothing to mirror'
