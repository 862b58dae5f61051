"""A small teacher: `CentreDetector`, trained, stored and used like the EfficientDets."""

from __future__ import annotations

from avdet_ros.training.data.camera_frames import MODALITIES
from avdet_ros.training.registries import TEACHERS
from avdet_ros.training.teachers.base import TeacherRecipe
from avdet_ros.training.teachers.centre_network import CentreDetector
from avdet_ros.training.teachers.efficientdet import EfficientDetTeacher


@TEACHERS.register
class CentrePointTeacher(EfficientDetTeacher):
    """The teacher for machines without a GPU and cases without a published checkpoint."""

    name = 'centre_points'

    @staticmethod
    def fresh(recipe: TeacherRecipe) -> CentreDetector:
        """See `EfficientDetTeacher.fresh`; `config_name` and `anchor_scale` are ignored."""
        return CentreDetector(MODALITIES[recipe.modality], recipe.image_size)
