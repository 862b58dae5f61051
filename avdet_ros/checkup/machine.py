"""Check the machine: clock, shared memory, disk, and what the model runs on."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
import shutil
import subprocess
import time

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.window import HOP_S
from avdet_ros.checkup.finding import Finding, not_checked, ok, to_do
from avdet_ros.detection.contract_check import differences, next_step, remarks
from avdet_ros.detection.model_file import read_model
from avdet_ros.detection.providers import PROVIDERS
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.quoting import one_line
from avdet_ros.rig import MICROPHONES, Rig

SHARED_MEMORY_BYTES = 256 << 20
"""Minimum free shared memory: seven nodes with the segments of config/fastdds.xml, and spare."""

LEAST_HOURS = 2.0
"""Minimum duration of sound that should fit on the disk, hours."""

_TIME_ERROR = 5
_TIMEX_BYTES = 512
_MAX_ERROR_AT = 24
_RUNS = 10


def check_model(
    path: Path, rig: Rig, providers: list[str] | None = None
) -> tuple[Finding, Finding]:
    """Check whether the model fits the rig, and what it runs on.

    Args:
        path: model file.
        rig: the vehicle's rig.
        providers: execution providers, as for `Detector`.

    Returns:
        Findings `model` and `GPU`.
    """
    try:
        _, contract = read_model(path)
    except AvdetError as error:
        step = 'name a model with --model; models/student.onnx takes any rig'
        return to_do('model', str(error), step), not_checked('GPU', 'no model to run')
    front_end = FrontEnd.of(rig, contract.pair_count)
    if found := differences(contract, rig, front_end):
        others = f' and {len(found) - 1} more' if len(found) > 1 else ''
        model = to_do('model', f'{path.name} does not fit: {found[0]}{others}', next_step(found))
        return model, not_checked('GPU', 'no model that fits to run')
    rig_remarks = remarks(contract, rig)
    try:
        detector = Detector(path, rig, front_end, providers, threads=1)
    except AvdetError as error:
        return to_do('model', str(error), 'see docs/install.md, GPU'), not_checked('GPU', 'none')
    if rig_remarks:
        step = f'avdet eval inspect-model {path} --rig RIG shows it line by line'
        model = to_do('model', f'{path.name} works, but {"; ".join(rig_remarks)}', step)
    else:
        model = ok('model', f'{path.name} fits the rig')
    return model, check_provider(detector, has_nvidia())


def check_provider(detector: Detector, gpu: str) -> Finding:
    """Check what inference runs on and how long it takes.

    Args:
        detector: detector with the model loaded.
        gpu: name of the machine's GPU, '' for none.
    """
    blank = np.zeros(detector.contract.input_shape, np.float32)
    times_s = []
    for _ in range(_RUNS):
        began = time.perf_counter()
        detector.detect(blank)
        times_s.append(time.perf_counter() - began)
    took_s = float(np.median(times_s))
    found = f'{detector.provider}, {1e3 * took_s:.0f} ms a window'
    if gpu and detector.provider == PROVIDERS['cpu']:
        why = '; '.join(map(one_line, detector.provider_notes)) or 'this ONNX Runtime has no CUDA'
        step = 'install onnxruntime-gpu in place of onnxruntime: docs/install.md, GPU'
        return to_do('GPU', f'{found}, although there is {gpu}: {why}', step)
    if took_s > HOP_S / 2:  # the other steps need the other half
        step = 'free this machine of other work, use a GPU, or ask for fewer windows: hop:=0.2'
        why = f'more than half of the {1e3 * HOP_S:.0f} ms to the next one'
        return to_do('GPU', f'{found}: {why}', step)
    return ok('GPU', found if gpu else f'{found}; no GPU here, and none needed')


def has_nvidia() -> str:
    """Return the name of the first NVIDIA GPU, '' if the driver finds none."""
    if shutil.which('nvidia-smi') is None:
        return ''
    command = ['nvidia-smi', '--query-gpu=name', '--format=csv,noheader']
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ''
    return done.stdout.strip().splitlines()[0] if done.returncode == 0 and done.stdout else ''


def check_time() -> Finding:
    """Check whether this machine's clock is synchronised: camera stamps must agree with it."""
    state = clock_state()
    if state is None:
        return not_checked('time', 'the kernel does not report whether its clock is synchronised')
    synchronised, error_s = state
    if synchronised:
        return ok(
            'time', f'the clock is synchronised (NTP or PTP), error below {1e3 * error_s:.0f} ms'
        )
    step = 'with cameras that stamp by another clock, run chrony or ptp4l here and there'
    return not_checked('time', 'the kernel reports that its clock is not synchronised', step)


def clock_state() -> tuple[bool, float] | None:
    """Return whether the kernel's clock is synchronised, and its maximum error in seconds.

    Uses adjtimex(2), which only reads if it is asked to change nothing; ``maxerror`` is the
    fourth of the first four 64-bit fields on every 64-bit Linux.
    """
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return None
    values = ctypes.create_string_buffer(_TIMEX_BYTES)
    state = adjtimex(values)
    if state < 0:
        return None
    error_us = int.from_bytes(values.raw[_MAX_ERROR_AT : _MAX_ERROR_AT + 8], 'little')
    return state != _TIME_ERROR, 1e-6 * error_us


def check_disk(folder: Path, sample_rate_hz: int) -> Finding:
    """Check how many hours of sound fit where a bag would be written.

    Args:
        folder: folder for the bag; it need not exist yet.
        sample_rate_hz: sample rate of the array.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    hours = free / (2 * MICROPHONES * sample_rate_hz * 3600)
    found = f'{free / 1e9:.0f} GB free at {folder.resolve()}, {hours:.0f} hours of sound alone'
    if not os.access(folder, os.W_OK):
        return to_do('disk', f'{folder.resolve()}: this user may not write there', 'name another')
    if hours < LEAST_HOURS:
        return to_do('disk', found, 'make room, or record elsewhere: record:=FOLDER')
    return ok('disk', f'{found} (docs/deploy.md has pictures and the rest)')


def check_shared_memory(folder: Path = Path('/dev/shm')) -> Finding:
    """Check whether the nodes' messages fit into shared memory; containers have 64 MB."""
    if not folder.is_dir():
        return not_checked('shared memory', f'there is no {folder}')
    usage = shutil.disk_usage(folder)
    found = f'{usage.free / 1e6:.0f} MB free of {usage.total / 1e6:.0f} at {folder}'
    if usage.free < SHARED_MEMORY_BYTES:
        return to_do(
            'shared memory', found, 'in a container: --ipc=host or --shm-size=512m; else free it'
        )
    return ok('shared memory', found)
