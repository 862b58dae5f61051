"""The contact sheet of the documentation."""

from __future__ import annotations

import pytest


@pytest.mark.slow
def test_contact_sheet_is_small_enough_for_a_page(tmp_path) -> None:
    import cv2

    from avdet_ros.simulation.pictures.contact_sheet import (
        LARGEST_BYTES,
        VIEWS,
        write_contact_sheet,
    )

    path = tmp_path / 'new' / 'world.png'
    write_contact_sheet(path)
    assert 100_000 < path.stat().st_size <= LARGEST_BYTES
    assert cv2.imread(str(path)).shape == (len(VIEWS) // 3 * 3 * 190, 3 * 560, 3)
