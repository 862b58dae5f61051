"""The models that ship with the package, as commands that compare them load them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avdet_ros.detection.session import Detector
    from avdet_ros.rig import Rig

SHIPPED = ('any_array', 'student')
"""Names of their files in models, without the ending."""


def shipped_detectors(rig: Rig) -> dict[str, Detector]:
    """Load each with one thread, so that several may run side by side.

    They share one front end (`Detector.front_end`), with every channel that any of them asks for.

    Args:
        rig: the vehicle's rig.

    Raises:
        AvdetError: see `Detector`.
    """
    from avdet_ros.detection.model_file import front_end_for
    from avdet_ros.detection.session import Detector
    from avdet_ros.paths import share

    paths = {name: share(f'models/{name}.onnx') for name in SHIPPED}
    front_end = front_end_for(rig, *paths.values())
    return {name: Detector(path, rig, front_end, threads=1) for name, path in paths.items()}
