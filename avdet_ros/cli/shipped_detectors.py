"""Detectors of the models that ship with the package, for commands that compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avdet_ros.detection.session import Detector
    from avdet_ros.rig import Rig

SHIPPED = ('student', 'octagon')
"""Names of the model files in models/, without the extension."""


def shipped_detectors(rig: Rig) -> dict[str, Detector]:
    """Load each model with one thread, so that several can run side by side.

    `evaluation.runs.detectors.common_front_end` is the front end for all of them.

    Args:
        rig: the vehicle's rig.

    Raises:
        AvdetError: see `Detector`.
    """
    from avdet_ros.detection.session import Detector
    from avdet_ros.paths import share

    return {name: Detector(share(f'models/{name}.onnx'), rig, threads=1) for name in SHIPPED}
