"""Export a fitted student to its model file, check and score it, and write report and card."""

from __future__ import annotations

from dataclasses import asdict, replace
import itertools
import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.contract import (
    LABEL_OFFSET_S,
    ModelContract,
    contract_for,
    write_metadata,
)
from avdet_ros.evaluation import evaluation_run
from avdet_ros.evaluation.boxes.metrics import DetectionMetrics
from avdet_ros.files import write_atomically
from avdet_ros.tracking import DEFAULT_TRACKER
from avdet_ros.training.boxes.score_calibration import matches
from avdet_ros.training.data.simulated import about_windows
from avdet_ros.training.data.windows import WindowDataset
from avdet_ros.training.fitting.commit import git_commit
from avdet_ros.training.fitting.distributed import rank_zero_first
from avdet_ros.training.networks.calibrated import StudentDetector, predict, topic_windows
from avdet_ros.training.results import model_card
from avdet_ros.training.results.evaluation_files import ARRAYS, SCORES, write_arrays, write_scores
from avdet_ros.training.results.export import EXPORT_WINDOWS, check_export, export
from avdet_ros.training.results.export_fp16 import agreement, write_half
from avdet_ros.training.results.scores import constant_metrics, metrics
from avdet_ros.training.run.context import RunContext
from avdet_ros.training.run.stages import load_windows, make_detector

_logger = logging.getLogger(__name__)

PICTURES = 12
"""Number of pictures in the report."""

MODEL, HALF, CARD, REPORT = 'student.onnx', 'student_fp16.onnx', 'MODEL_CARD.md', 'report.html'
SCORE_EDGES = (0.02, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Edges of the score ranges in the reliability table."""


def make_model_file(run: RunContext) -> Path:
    """Fit and export the student, score it and write the card; skip if all of that exists.

    Returns:
        ``student.onnx`` in the run's folder. The card includes the table of the run called
        ``comparison`` next to this one, if that is done.
    """
    detector, windows = make_detector(run)
    model = run.out / MODEL
    compared = run.out.parent / 'comparison' / 'comparison.json'
    if _is_complete(run, compared):
        _logger.info('%s: exported and evaluated already', model)
        return model
    windows['test'] = load_windows(run, 'test')

    def finish() -> None:
        contract, facts = export_student(run, detector, windows, model)
        scores = score_run(run, detector, windows, model)
        measured = headline(scores) if 'results' in scores else scores['test']
        write_model_metrics(model, replace(contract, metrics=measured))
        write_half(model, run.out / HALF)
        rows = json.loads(compared.read_text(encoding='utf-8')) if compared.exists() else None
        card = model_card.text(run.recipe, scores, contract.data, facts, rows)
        with write_atomically(run.out / CARD) as file:
            file.write(card.encode())

    rank_zero_first(finish)
    return model


def export_student(
    run: RunContext, detector: StudentDetector, windows: dict[str, WindowDataset], model: Path
) -> tuple[ModelContract, dict[str, Any]]:
    """Export the student and check that torch, float32 and float16 agree.

    Returns:
        The metadata of the file, and for the card ``bytes``, ``half_bytes``, ``half_share``
        (share of the boxes that float16 also finds), ``apart`` (largest difference between torch
        and ONNX Runtime) and ``windows`` (the number compared).
    """
    front_end = FrontEnd.of(run.rig)
    contract = contract_for(
        run.rig,
        front_end,
        LABEL_OFFSET_S,
        recipe=json.dumps(asdict(run.recipe)),
        data=about_data(run, windows),
        git_commit=git_commit(),
    )
    export(detector, contract, model)
    some = topic_windows(run.input_kind, windows['test'], EXPORT_WINDOWS, front_end)
    apart, decided = check_export(detector, model, some)
    _logger.info(
        '%s: torch and ONNX Runtime agree within %.1e on %d of %d windows%s',
        model,
        apart,
        decided,
        len(some),
        '; on the others all boxes score alike' if decided < len(some) else '',
    )
    half = run.out / HALF
    write_half(model, half)
    same = agreement(model, half, some)
    _logger.info('%s: has %d of the %d boxes of float32', half, same.found, same.boxes)
    return contract, {
        'bytes': model.stat().st_size,
        'half_bytes': half.stat().st_size,
        'half_share': same.share,
        'apart': apart,
        'windows': decided,
    }


def about_data(run: RunContext, windows: dict[str, WindowDataset]) -> str:
    """Summarise the training data in a sentence, for file and card."""
    if run.split is None:
        return about_windows({use: len(windows[use]) for use in ('train', 'val', 'test')})
    by = 'labelled by teachers' if run.recipe.labels == 'teachers' else 'with true boxes'
    return f'{run.split.about(run.data.name)}, {by}'


def score_run(
    run: RunContext, detector: StudentDetector, windows: dict[str, WindowDataset], model: Path
) -> dict[str, Any]:
    """Score the student on its windows, and the model file on the test drives if there are any.

    Writes scores.json; for drives also evaluation.npz and report.html.
    """
    scores = score_windows(detector, windows, run.recipe.fit.windows)
    scores['fit'] = json.loads((run.out / 'fit.json').read_text(encoding='utf-8'))
    scores['windows'] = {use: len(part) for use, part in windows.items()}
    scores['labels'] = {use: int(sum(map(len, part.boxes))) for use, part in windows.items()}
    pretext = run.out / 'pretext' / 'pretext.json'
    if pretext.exists():
        scores['pretext'] = json.loads(pretext.read_text(encoding='utf-8'))
    if run.split is not None:
        scores |= evaluate_drives(run, model)
    write_scores(scores, run.out / SCORES)
    return scores


def score_windows(
    detector: StudentDetector, windows: dict[str, WindowDataset], most: int = 0
) -> dict[str, Any]:
    """Score a detector on windows against their labels, with constant boxes as a baseline.

    Args:
        detector: a calibrated detector.
        windows: windows by use.
        most: number of training windows used for fitting, 0 for all.
    """
    learned, test = windows['train'].at_most(most), windows['test']
    detector.to('cuda' if torch.cuda.is_available() else 'cpu')
    found = {'test': calibrated_boxes(detector, test)}
    parts = {'test': test, 'val': windows['val'], 'train': learned.at_most(len(test))}
    for use in ('val', 'train'):
        found[use] = calibrated_boxes(detector, parts[use])
    detector.cpu()
    scores: dict[str, Any] = {
        use: _as_dict(metrics(found[use], part)) for use, part in parts.items()
    }
    if any(map(len, learned.boxes)):
        scores['constant_boxes'] = _as_dict(constant_metrics(learned, test))
    return scores | {'reliability': reliability(found['test'], test)}


def calibrated_boxes(
    detector: StudentDetector, windows: WindowDataset
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Predict boxes and calibrated scores of every window."""
    calibration = detector.calibration
    device = calibration.logits.device
    with torch.inference_mode():
        return [
            (boxes, calibration(torch.from_numpy(logits).to(device)).cpu().numpy())
            for boxes, logits in predict(detector.student, windows)
        ]


def reliability(
    found: list[tuple[np.ndarray, np.ndarray]], windows: WindowDataset
) -> list[dict[str, float]]:
    """Compare mean score and share of correct boxes per score range; equal if calibrated."""
    right = np.concatenate(matches([boxes for boxes, _ in found], windows.boxes))
    scores = np.concatenate([values for _, values in found])
    rows = []
    for low, high in itertools.pairwise(SCORE_EDGES):
        inside = (scores > low) & (scores <= high)
        if inside.any():
            share = {'score': float(scores[inside].mean()), 'right': float(right[inside].mean())}
            rows.append({'from': low, 'to': high, 'boxes': int(inside.sum()), **share})
    return rows


def evaluate_drives(run: RunContext, model: Path) -> dict[str, Any]:
    """Score the model file on the test drives; write evaluation.npz and report.html."""
    evaluated = evaluation_run.evaluate_dataset(
        model,
        run.data,
        'test',
        run.recipe.subset,
        run.labels,
        DEFAULT_TRACKER,
        baselines=True,
        rig_path=run.rig_path,
        progress=run.progress,
    )
    write_arrays(evaluated.results, run.out / ARRAYS)
    report = run.out / REPORT
    command = f'avdet train student {run.out / "recipe.yaml"} --data {run.data} --out {run.out}'
    evaluation_run.write(evaluated, report, command, PICTURES)
    _logger.info('%s: how it was measured, with pictures', report)
    return {
        'results': {result.truth: dict(result.scores) for result in evaluated.results},
        'detector': evaluated.main,
        'notes': evaluated.notes,
        'settings': evaluated.settings,
    }


def headline(scores: dict[str, Any]) -> dict[str, Any]:
    """Return the metrics stored in a model file: detection, against each kind of truth."""
    rounded = {}
    for kind, results in scores['results'].items():
        detection = results[scores['detector']]['detection']
        rounded[kind] = {name: _rounded(number) for name, number in detection.items()}
    return rounded


def write_model_metrics(model: Path, contract: ModelContract) -> None:
    """Write the metrics into the file that they were measured with."""
    loaded = onnx.load(model)
    write_metadata(loaded, contract)
    with write_atomically(model) as file:
        file.write(loaded.SerializeToString())


def _is_complete(run: RunContext, compared: Path) -> bool:
    """Whether all results exist, and the card is not older than the comparison."""
    left = [MODEL, HALF, SCORES, CARD, *([] if run.split is None else [ARRAYS, REPORT])]
    if not all((run.out / name).exists() for name in left):
        return False
    card = run.out / CARD
    return not compared.exists() or compared.stat().st_mtime_ns <= card.stat().st_mtime_ns


def _as_dict(result: DetectionMetrics) -> dict[str, float | None]:
    return {name: _rounded(number) for name, number in asdict(result).items()}


def _rounded(number: float) -> float | None:
    # Undefined values, such as a centre distance without matches, become null: JSON has no NaN.
    return round(float(number), 4) if math.isfinite(number) else None
