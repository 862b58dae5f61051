"""The mapping of directions to image columns."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from avdet_ros.training.networks.steered import SteeredResponseNet  # noqa: E402


def test_image_columns_are_the_directions_between_the_margins(rig, front_end):
    around, margin = 8, 4
    net = SteeredResponseNet(rig, front_end, margin_columns=margin, around=around).eval()
    # column_context mixes neighbouring columns; without it a direction affects only its own.
    net.column_context = torch.nn.ModuleList()
    silence = torch.zeros(1, 32, front_end.n_mels, 44)

    def columns_changed(direction):
        before = net.features(silence)
        net.place[:, direction] += 5
        changed = (net.features(silence) - before).abs().amax(dim=(0, 1, 2))
        net.place[:, direction] -= 5
        return changed.nonzero().flatten().tolist()

    with torch.no_grad():
        for column in (0, 17, net.columns - 1):
            assert columns_changed(around + margin + column) == [column]
        # Directions in the margins and around the rest of the circle are not in the image.
        last = around + margin + net.columns
        for direction in (0, around - 1, around, around + margin - 1, last, last + margin - 1):
            assert columns_changed(direction) == []
