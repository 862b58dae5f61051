"""The file of a fitted selector, with the rig and the teachers that it was made for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

import torch

from avdet_ros.errors import AvdetError
from avdet_ros.files import write_atomically
from avdet_ros.quoting import one_line
from avdet_ros.rig import Rig
from avdet_ros.rig_match import rig_difference, rig_numbers
from avdet_ros.training.sounding.network import EVIDENCE, SelectorNet
from avdet_ros.training.tensor_files import load_tensors

FILE = 'selector.pt'

WANTED = 'a selector of avdet train selector'
"""Description of the file in error messages."""

TRUE_BOXES = 'true boxes'
"""Entry in place of teachers if a selector learned from true boxes."""


@dataclass(frozen=True)
class Selector:
    """A selector with the rig and the teachers that it was made for.

    Attributes:
        network: the fitted network.
        rig: `rig_numbers` of its array and camera.
        teachers: fingerprint by modality of the teachers whose boxes it learned from;
            `TRUE_BOXES` alone for true boxes.
    """

    network: SelectorNet
    rig: Mapping[str, Any]
    teachers: Mapping[str, str]

    def check(self, rig: Rig, teachers: Mapping[str, str], where: str) -> None:
        """Check that rig and teachers match those that it learned from.

        Args:
            rig: rig of the drives.
            teachers: teachers of the labels.
            where: the selector's file, for messages.

        Raises:
            AvdetError: the rig or the teachers differ.
        """
        if difference := rig_difference(rig, self.rig):
            raise AvdetError(f'{where}: {difference}; avdet train selector makes one for this rig')
        if dict(self.teachers) != dict(teachers):
            raise AvdetError(
                f'{where}: expected a selector for boxes of {_named(teachers)}, found one for '
                f'{_named(self.teachers)}; avdet train selector makes one for these labels'
            )


def write_selector(
    folder: Path, network: SelectorNet, rig: Rig, teachers: Mapping[str, str]
) -> Path:
    """Write a selector to `FILE` in a folder.

    Raises:
        AvdetError: it cannot be written.
    """
    about = {'kinds': network.kinds, 'rig': rig_numbers(rig), 'teachers': dict(teachers)}
    with write_atomically(folder / FILE) as file:
        torch.save({'about': json.dumps(about), 'weights': network.state_dict()}, file)
    return folder / FILE


def read_selector(path: Path) -> Selector:
    """Read a selector without executing code from the file.

    Args:
        path: the file, or the folder of the run that made it.

    Raises:
        AvdetError: the file is missing or not a selector.
    """
    path = path / FILE if path.is_dir() else path
    if not path.is_file():
        raise AvdetError(f'{path}: expected {WANTED}, found none')
    saved = load_tensors(path, WANTED)
    try:
        about = json.loads(saved['about'])
        kinds = tuple(about['kinds'])
        if unknown := set(kinds) - set(EVIDENCE):
            raise ValueError(f'evidence of the kind {min(unknown)}')
        network = SelectorNet(kinds)
        network.load_state_dict(saved['weights'])
        return Selector(network.eval(), dict(about['rig']), dict(about['teachers']))
    except Exception as error:  # errors of JSON's content and of torch have no common base class
        raise AvdetError(f'{path}: expected {WANTED}, found {one_line(error)}') from error


def _named(teachers: Mapping[str, str]) -> str:
    return ', '.join(f'{name} {mark:.8}'.strip() for name, mark in teachers.items()) or 'nobody'
