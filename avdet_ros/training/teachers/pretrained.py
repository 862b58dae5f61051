"""A ready-made teacher for real pictures: EfficientDet with effdet's weights trained on COCO.

Its classes car, motorcycle, bus and truck become our one class, vehicle. The weights are the file
that effdet's configuration names; it is read with ``weights_only=True`` and its digest is logged.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
from pathlib import Path
import re
import urllib.request

import effdet
import torch
from torch import Tensor

from avdet_ros.errors import AvdetError
from avdet_ros.files import write_atomically
from avdet_ros.progress import SILENT, Progress
from avdet_ros.quoting import one_line
from avdet_ros.training.efficientdet.network import EfficientDetector, bare_state, read_state
from avdet_ros.training.teachers.base import TeacherRecipe
from avdet_ros.training.teachers.efficientdet import EfficientDetTeacher, save_teacher

_logger = logging.getLogger(__name__)

NETWORKS = tuple(f'tf_efficientdet_d{size}' for size in range(8))
"""Networks that normalise pictures like our teachers; the lite variants do it differently."""

COCO_CLASSES = 90
"""Class outputs per anchor: COCO's category numbers minus one, unused categories included."""

VEHICLES = {'car': 2, 'motorcycle': 3, 'bus': 5, 'truck': 7}
"""Which of these classes are vehicles. Bicycles are left out because they are inaudible."""

LARGEST_BYTES = 1 << 30
"""Size limit of a weights file; the largest published one has 300 MB."""

TIMEOUT_S = 30.0
"""A download that receives no byte for this long is aborted."""

_CLASS_LAYER = 'class_net.predict.conv_pw'
_CHUNK_BYTES = 1 << 20


def make_teacher(
    config_name: str,
    folder: Path,
    image_size: tuple[int, int],
    weights: Path | None = None,
    progress: Progress = SILENT,
) -> Path:
    """Make a folder with a teacher for RGB pictures, ready for `avdet train label`.

    Args:
        config_name: one of `NETWORKS`.
        folder: folder of teachers; receives ``rgb/teacher.pt`` and ``rgb/teacher.json``.
        image_size: height and width of its input, multiples of 128; pictures are scaled to fit.
        weights: weights file; None takes the cached file, or downloads it.
        progress: displays the download.

    Returns:
        The folder.

    Raises:
        AvdetError: the network is unknown, or the weights cannot be obtained or do not fit.
    """
    if config_name not in NETWORKS:
        raise AvdetError(
            f'pretrained: expected one of {", ".join(NETWORKS)}, found {config_name!r:.60}'
        )
    config = effdet.get_efficientdet_config(config_name)
    path = weights or fetch_weights(config.url, progress)
    recipe = TeacherRecipe(
        'rgb', config_name, image_size, config.anchor_scale, crop=False, classes=len(VEHICLES)
    )
    detector = EfficientDetTeacher.fresh(recipe)
    load_vehicles(detector, path)
    _logger.info('%s: sha256 %s', path, hashlib.sha256(path.read_bytes()).hexdigest())
    save_teacher(EfficientDetTeacher(detector, 'rgb', crop=False), recipe, folder / 'rgb')
    return folder


def load_vehicles(detector: EfficientDetector, path: Path) -> None:
    """Load a checkpoint of COCO's 90 classes into a detector of `VEHICLES`.

    Args:
        detector: receives all of the weights.
        path: a state dict of effdet.

    Raises:
        AvdetError: the file is missing, not a state dict, or not of this network on COCO.
    """
    state = bare_state(read_state(path))
    for part in ('weight', 'bias'):
        name = f'{_CLASS_LAYER}.{part}'
        if name in state:
            state[name] = _vehicles_alone(state[name], f'{path}: layer {name}')
    own = detector.network.state_dict()
    for name in (*own, *state):
        expected, found = own.get(name), state.get(name)
        if expected is None or found is None or expected.shape != found.shape:
            shapes = ['none' if it is None else str(tuple(it.shape)) for it in (expected, found)]
            raise AvdetError(f'{path}: layer {name}: expected {shapes[0]}, found {shapes[1]}')
    with torch.no_grad():
        detector.network.load_state_dict(state)


def _vehicles_alone(value: Tensor, where: str) -> Tensor:
    """Keep the four vehicle outputs of each anchor's 90, in the order of `VEHICLES`."""
    if value.shape[0] % COCO_CLASSES:
        raise AvdetError(
            f'{where}: expected {COCO_CLASSES} classes an anchor, found {value.shape[0]} outputs'
        )
    by_anchor = value.reshape(-1, COCO_CLASSES, *value.shape[1:])
    return by_anchor[:, list(VEHICLES.values())].flatten(0, 1).clone()


def fetch_weights(url: str, progress: Progress = SILENT, folder: Path | None = None) -> Path:
    """Return a published weights file, downloading it on first use.

    Args:
        url: address of the file; a digest at the end of its name (``-f153e0cf.pth``) is compared.
        progress: displays megabytes.
        folder: cache folder, in which ``avdet_ros`` holds the file; None is the user's own.

    Returns:
        The file on this machine.

    Raises:
        AvdetError: the download failed; the message says where to put a file obtained otherwise.
    """
    caches = Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache').expanduser()
    path = (folder or caches) / 'avdet_ros' / url.rsplit('/', 1)[-1]
    if not path.exists():
        _logger.info('downloading %s', url)
        try:
            _download(url, path, progress)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise AvdetError(
                f'{url}: cannot be downloaded ({one_line(error)}); fetch it elsewhere and put it '
                f'at {path}, or name it with --weights FILE'
            ) from error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    named = re.search(r'-([0-9a-f]{8})\.pth$', path.name)
    if named and not digest.startswith(named[1]):
        _logger.warning(
            '%s: expected a sha256 that begins with %s as its name says, found %s',
            path,
            named[1],
            digest[:8],
        )
    return path


def _download(url: str, path: Path, progress: Progress) -> None:
    """Download a file; an incomplete one is discarded."""
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
        size = int(answer.headers.get('Content-Length') or 0)
        if size > LARGEST_BYTES:
            raise ValueError(f'expected at most {LARGEST_BYTES >> 20} MiB, found {size} bytes')
        received = 0
        step = progress.step(f'{path.name}, MB', size // _CHUNK_BYTES or None)
        with step as advance, write_atomically(path) as file:
            while chunk := answer.read(_CHUNK_BYTES):
                received += len(chunk)
                if received > LARGEST_BYTES:
                    raise ValueError(f'expected at most {LARGEST_BYTES >> 20} MiB, found more')
                file.write(chunk)
                advance()
            if size and received != size:
                raise ValueError(f'expected {size} bytes, found {received}')
