"""Conditions that the pages report, each measured once for a model and stored as JSON.

A study is a folder with one folder for each condition, which holds a file for each model and one
for the baselines. Results with the same settings are not measured again, so a study continues
where it stopped after an interruption, or when a model is added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
import hashlib
import json
from pathlib import Path
import re
from typing import Any

from avdet_ros.detection.contract import FIXED_RIG
from avdet_ros.detection.model_file import read_model
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.bearing_study.run import Request, measure
from avdet_ros.evaluation.reports.tables import write_json
from avdet_ros.evaluation.runs.baselines import LabelStatistics
from avdet_ros.evaluation.runs.on_simulation import CONSTANT, STEERED, training_statistics
from avdet_ros.files import explain_os_error
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import load_rig
from avdet_ros.simulation.arrays import HELD_OUT
from avdet_ros.simulation.conditions import Condition

FIRST_VEHICLE, VEHICLES = 250_000, 3
"""Seed of the first array, and number of arrays, that drives share for calibration."""

BASELINES = 'baselines'

_OF_MODELS = (
    'calibrate_minutes',
    'one_dead',
    'known',
    'quiet_minutes',
    'other_minutes',
    'early_drives',
    'sounds',
    'tracker',
)
"""Settings that do not affect baselines."""


@dataclass(frozen=True)
class Studied:
    """One condition of the study.

    Attributes:
        title: name on the pages.
        condition: world and array.
        drives: number of drives.
        quiet_minutes: minutes on roads without vehicles.
        other_minutes: minutes on such roads with another sound in view, at each level.
        early_drives: number of drives at blind corners.
        calibrate_minutes: minutes of other drives for the calibration of each vehicle's array.
        one_dead: also run with each of the microphones dead; baselines are not run then.
    """

    title: str
    condition: Condition
    drives: int = 200
    quiet_minutes: float = 0.0
    other_minutes: float = 0.0
    early_drives: int = 0
    calibrate_minutes: float = 0.0
    one_dead: bool = False


CONDITIONS: Mapping[str, Studied] = {
    'plain-kept': Studied(
        'plain, kept array', Condition('plain', 'kept'), quiet_minutes=2.0, other_minutes=3.2
    ),
    'furnished-ideal': Studied(
        'furnished, ideal array',
        Condition('furnished', 'ideal'),
        quiet_minutes=2.0,
        early_drives=20,
    ),
    'furnished-neglected': Studied(
        'furnished, neglected array',
        Condition('furnished', 'neglected'),
        quiet_minutes=2.0,
        early_drives=20,
    ),
    'furnished-kept': Studied('furnished, kept array', Condition('furnished', 'kept')),
    'vehicles': Studied(
        f'furnished, {VEHICLES} neglected vehicles',
        Condition('furnished', 'neglected', vehicle=FIRST_VEHICLE, vehicles=VEHICLES),
        drives=120,
        calibrate_minutes=5.0,
    ),
    'dead-microphone': Studied(
        'furnished, ideal array', Condition('furnished', 'ideal'), one_dead=True
    ),
    **{
        f'shape-{family}': Studied(
            family.replace('_', ' '), Condition('plain', 'kept', family=family), drives=60
        )
        for family in HELD_OUT
    },
}
"""Conditions by the name that the command takes."""


def chosen(names: Iterable[str]) -> dict[str, Studied]:
    """Return conditions by name, all if none is named; ``shape`` stands for all shapes.

    Raises:
        AvdetError: there is no such condition.
    """
    names = list(names)
    found = {}
    for name in names:
        keys = [key for key in CONDITIONS if key == name or key.startswith(f'{name}-')]
        if not keys:
            raise AvdetError(
                f'condition: expected some of {", ".join(CONDITIONS)}, found {name!r}'
            )
        found.update({key: CONDITIONS[key] for key in keys})
    return found or dict(CONDITIONS)


def run_study(
    request: Request, folder: Path, names: Iterable[str] = (), progress: Progress = SILENT
) -> list[str]:
    """Measure one model in the conditions of the study.

    Args:
        request: model, its name, windows of each drive, cache and processes. Its numbers of
            drives and minutes are upper limits; the condition comes from the study.
        folder: folder of the study.
        names: conditions, see `chosen`.
        progress: shows the progress.

    Returns:
        Sentences for the user.

    Raises:
        AvdetError: a model or a folder cannot be used.
    """
    content, contract = read_model(request.model)
    sha256 = hashlib.sha256(content).hexdigest()
    notes: list[str] = []
    statistics: LabelStatistics | None = None
    for key, studied in chosen(names).items():
        if studied.one_dead and contract.contract_version == FIXED_RIG:
            notes.append(
                f'{key}: left out: {request.model} has no input that marks dead microphones'
            )
            continue
        if studied.condition.family and contract.contract_version == FIXED_RIG:
            notes.append(
                f'{key}: left out: {request.model} was taught one array and takes no other'
            )
            continue
        wanted = replace(
            request,
            condition=studied.condition,
            drives=min(studied.drives, request.drives),
            calibrate_minutes=studied.calibrate_minutes,
            one_dead=studied.one_dead,
            quiet_minutes=min(studied.quiet_minutes, request.quiet_minutes),
            other_minutes=min(studied.other_minutes, request.other_minutes),
            early_drives=min(studied.early_drives, request.early_drives),
        )
        baselines = folder / key / f'{BASELINES}.json'
        model = folder / key / f'{slug(request.label)}.json'
        measured = studied.one_dead or _holds(baselines, wanted, None)
        wanted = replace(wanted, baselines=not measured)
        if not wanted.baselines and _holds(model, wanted, sha256):
            continue
        if wanted.baselines and statistics is None:
            with progress.step('labels for the baselines'):
                statistics = training_statistics(load_rig(request.rig_path))
        result = measure(wanted, progress, statistics)
        notes += [f'{key}: {note}' for note in result.notes]
        scores_of = {'title': studied.title, 'settings': result.settings}
        for path, keep in ((baselines, True), (model, False)):
            rows = {
                name: scores
                for name, scores in result.rows.items()
                if (name in (CONSTANT, STEERED)) == keep
            }
            if rows:
                write_json(path, {**scores_of, 'rows': rows})
    return notes


def read_study(folder: Path) -> dict[str, dict[str, Any]]:
    """Read the results of a study.

    Returns:
        By condition ``title``, ``settings`` of the last model, ``calibration`` of the arrays
        if there was one, and ``rows``, with the baselines first.

    Raises:
        AvdetError: there are no results, or a file is damaged.
    """
    found: dict[str, dict[str, Any]] = {}
    for key in CONDITIONS:
        contents = list(_contents(folder / key))
        if contents:
            rows = {name: row for content in contents for name, row in content['rows'].items()}
            calibrations = [content['settings'].get('calibration') for content in contents]
            calibration: list[Any] = next(filter(None, reversed(calibrations)), [])
            found[key] = {**contents[-1], 'rows': rows, 'calibration': calibration}
    if not found:
        raise AvdetError(f'{folder}: expected scores of a study, found none')
    return found


def slug(name: str) -> str:
    """Convert a name to a file name."""
    return re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-') or 'model'


def _holds(path: Path, request: Request, sha256: str | None) -> bool:
    """Return whether a file has the scores of a request; `sha256` None stands for any model."""
    content = _read(path)
    if content is None:
        return False
    settings = content['settings']
    # Fields that conditions did not have when the file was written get their defaults.
    if isinstance(settings.get('condition'), dict):
        settings = {**settings, 'condition': asdict(Condition()) | settings['condition']}
    wanted = request.settings()
    if sha256 is None:
        wanted = {key: value for key, value in wanted.items() if key not in _OF_MODELS}
    same = all(
        settings[key] == value if key in settings else not value for key, value in wanted.items()
    )
    return same and (sha256 is None or settings.get('model', {}).get('sha256') == sha256)


def _contents(folder: Path) -> Iterator[dict[str, Any]]:
    paths = sorted(folder.glob('*.json'), key=lambda path: (path.stem != BASELINES, path.stem))
    for path in paths:
        content = _read(path)
        if content is None:
            raise AvdetError(f'{path}: expected scores of a study, found something else')
        yield content


def _read(path: Path) -> dict[str, Any] | None:
    """Read a file's content; None if the file is damaged or missing."""
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AvdetError(f'cannot read {path}: {explain_os_error(error)}') from error
    except ValueError:
        return None
    whole = isinstance(content, dict) and isinstance(content.get('rows'), dict)
    return content if whole and isinstance(content.get('settings'), dict) else None
