"""The models that ship with the package, as commands that compare them load them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avdet_ros.detection.session import Detector
    from avdet_ros.rig import Rig

SHIPPED = ('student', 'octagon')
"""Names of their files in models, without the ending."""


def shipped_detectors(rig: Rig) -> dict[str, Detector]:
    """Load each with one thread, so that several may run side by side.

    `evaluation.runs.detectors.common_front_end` is the one that serves all.

    Args:
        rig: the vehicle's rig.

    Raises:
        AvdetError: see `Detector`.
    """
    from avdet_ros.detection.session import Detector
    from avdet_ros.paths import share

    return {name: Detector(share(f'models/{name}.onnx'), rig, threads=1) for name in SHIPPED}
