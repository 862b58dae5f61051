"""What can be added to the training system by one new file, each kind in its own folder.

A module of the folder, or of another installed package that names it as an entry point of the
group, defines a class with a ``name`` and decorates it:

    @STUDENTS.register
    class MyStudent(StudentAdapter):
        name = 'mine'

Recipes then know the name: ``student.model``, ``teachers.model``, ``transfer.loss`` and
``pretext.task``. ``base.py`` in each folder describes what a class has to do.
"""

from __future__ import annotations

from typing import Any

from avdet_ros.registry import Registry

STUDENTS: Registry[Any] = Registry('student', 'avdet_ros.training.networks')
TEACHERS: Registry[Any] = Registry('teacher', 'avdet_ros.training.teachers')
LOSSES: Registry[Any] = Registry('transfer loss', 'avdet_ros.training.losses')
PRETEXTS: Registry[Any] = Registry('pretext', 'avdet_ros.training.pretexts')
