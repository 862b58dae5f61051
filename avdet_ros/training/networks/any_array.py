"""The student for any array, as recipes name it; `training.any_array` is what it is made of."""

from __future__ import annotations

from pathlib import Path

from avdet_ros.training.networks.base import OwnTraining
from avdet_ros.training.registries import STUDENTS
from avdet_ros.training.run.context import RunContext


@STUDENTS.register
class AnyArray(OwnTraining):
    """A `BearingFirst`: directions and ranges from any array, given its geometry."""

    name = 'any_array'

    @classmethod
    def make_model_file(cls, run: RunContext) -> Path:
        """See `OwnTraining.make_model_file`."""
        # Whoever asks for the names of students need not load simulator and teachers.
        from avdet_ros.training.any_array.taught import make_model_file

        return make_model_file(run)
