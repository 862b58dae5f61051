"""The rows of MM-DistillNet's tables, the scales to run them at, and a recipe for each.

Figures are the paper's (Valverde, Hurtado and Valada, CVPR 2021, Tables 1 to 3), in per cent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from avdet_ros.training.recipes.parts import (
    Augmentation,
    FitRecipe,
    NetworkRecipe,
    PretextRecipe,
    TeachersRecipe,
    TransferRecipe,
)
from avdet_ros.training.recipes.student import StudentRecipe

ALL = ('rgb', 'depth', 'thermal')


@dataclass(frozen=True)
class Figures:
    """The paper's figures of a row, per cent; None if it gives none."""

    map: float
    map50: float
    map75: float
    cdx: float | None = None
    cdy: float | None = None


@dataclass(frozen=True)
class Row:
    """One way to train a student.

    Attributes:
        key: name of its folder.
        title: title in the table.
        teachers: modalities of the teachers that it learns from.
        loss: see `TransferRecipe`.
        combine: see `TransferRecipe`.
        pretext: train on counting first.
        paper: the paper's figures, None for our own rows.
        model: the student, see `NetworkRecipe`.
        mta: interpretation of equation 2.
        levels: number of pyramid levels that are aligned, from P3 on.
        labels: source of the boxes, see `StudentRecipe`.
    """

    key: str
    title: str
    teachers: tuple[str, ...]
    loss: str
    combine: str = 'product'
    pretext: bool = False
    paper: Figures | None = None
    model: str = 'paper'
    mta: str = 'corrected'
    levels: int = 3
    labels: str = 'teachers'


RGB = ('rgb',)
ROWS = (
    Row(
        'original',
        'StereoSoundNet, original (2 microphones)',
        RGB,
        'ranking',
        'average',
        model='stereosoundnet',
    ),
    Row(
        'stereosoundnet',
        'StereoSoundNet',
        RGB,
        'ranking',
        'average',
        paper=Figures(44.05, 62.38, 41.46, 3.00, 2.24),
    ),
    Row('pairwise', 'Pairwise', RGB, 'pairwise', 'average', paper=Figures(40.45, 59.72, 36.73)),
    Row('afd', 'AFD', RGB, 'afd', 'average', paper=Figures(44.27, 62.00, 41.90)),
    Row(
        'avg_ranking', 'Avg ranking', ALL, 'ranking', 'average', paper=Figures(56.16, 80.03, 52.96)
    ),
    Row('avg_afd', 'Avg AFD', ALL, 'afd', 'average', paper=Figures(58.50, 82.18, 55.48)),
    Row('avg_mta', 'Avg MTA', ALL, 'mta', 'average', paper=Figures(59.46, 82.29, 56.94)),
    Row('m1', 'M1', RGB, 'mta', paper=Figures(44.58, 62.66, 42.39)),
    Row('m2', 'M2', ('rgb', 'depth'), 'mta', paper=Figures(42.89, 62.07, 39.67)),
    Row('m3', 'M3', ('rgb', 'thermal'), 'mta', paper=Figures(55.81, 79.84, 54.67)),
    Row('m4', 'M4', ('depth', 'thermal'), 'mta', paper=Figures(44.79, 65.14, 41.82)),
    Row('m5', 'M5', ALL, 'mta', paper=Figures(61.10, 83.81, 59.07)),
    Row('m6', 'M6', ALL, 'mta', pretext=True, paper=Figures(61.62, 84.29, 59.66, 1.27, 0.69)),
    Row('m5_as_printed', 'M5, equation 2 as printed', ALL, 'mta', mta='as_printed'),
    Row('m5_as_released', "M5, the authors' program", ALL, 'mta', mta='as_released', levels=5),
    Row('compact', 'M6 with our compact student', ALL, 'mta', pretext=True, model='steered'),
    Row(
        'compact_boxes',
        "Our compact student, the teachers' boxes alone",
        ALL,
        'none',
        model='steered',
    ),
    Row(
        'compact_truth',
        'Our compact student, true boxes',
        ALL,
        'none',
        model='steered',
        labels='truth',
    ),
)

CLAIMS = (
    ('m5', 'm1', 'three teachers beat RGB alone'),
    ('m3', 'm1', 'thermal added to RGB helps'),
    ('m1', 'm2', 'depth added to RGB does not'),
    ('m5', 'm4', 'RGB added to depth and thermal helps'),
    ('m5', 'avg_mta', 'the product of attention maps beats their mean'),
    ('avg_mta', 'avg_afd', 'MTA beats AFD'),
    ('avg_afd', 'avg_ranking', 'AFD beats ranking'),
    ('m6', 'm5', 'counting first helps'),
    ('m1', 'stereosoundnet', 'attention beats ranking with one teacher'),
    ('m6', 'stereosoundnet', 'MM-DistillNet beats StereoSoundNet'),
)
"""Claims of the paper's table: the first row is better in mAP@Avg than the second."""

TRACKING = {
    'stereosoundnet': {
        'mota': 16.94,
        'switches': 1327,
        'fragmentations': 1077,
        'false_positives': 3696,
        'false_negatives': 3349,
    },
    'm6': {
        'mota': 26.96,
        'switches': 1078,
        'fragmentations': 1076,
        'false_positives': 2758,
        'false_negatives': 3524,
    },
}
"""The paper's Table 3: scenes with a single car."""


@dataclass(frozen=True)
class Scale:
    """Size of a reproduction.

    Attributes:
        name: smoke, evening, small or full.
        teachers: the teachers; the paper's student has the same size.
        fit: fitting of the paper's student.
        compact_fit: fitting of our compact student.
        pretext: counting pretext, for rows that use it.
        drives: number of simulated drives if no data are given; 0 requires data.
        minutes: length of each drive.
        fps: pictures per second.
        reading: how to interpret figures at this scale.
        shows_order: whether the order of the rows is meaningful.
    """

    name: str
    teachers: TeachersRecipe
    fit: FitRecipe
    compact_fit: FitRecipe
    pretext: PretextRecipe
    drives: int
    minutes: float
    fps: float
    reading: str
    shows_order: bool = True


_SMALL_TEACHERS = TeachersRecipe(
    modalities=ALL,
    config_name='tf_efficientdet_lite0',
    height=128,
    width=384,
    anchor_scale=1.5,
    crop=False,
    score=0.5,
    share=0.3,
    epochs=10,
    batch=4,
)

_SMALL = Scale(
    'small',
    _SMALL_TEACHERS,
    FitRecipe(epochs=3, batch=16, learning_rate=1e-3, weight_decay=0.02, patience=6, average=0.99),
    FitRecipe(
        epochs=12, batch=32, learning_rate=2e-3, weight_decay=0.02, patience=12, average=0.99
    ),
    PretextRecipe(epochs=3, batch=32, learning_rate=2e-3),
    drives=100,
    minutes=1.0,
    fps=1.0,
    reading=(
        'These runs use simulated drives, a smaller EfficientDet at a twelfth of the pixels, and '
        '2520 training windows instead of tens of thousands. The order of rows can be compared '
        "with the paper's; absolute levels cannot. For a row with one seed, a difference of a few "
        'points is noise.'
    ),
)

SCALES = {
    'smoke': Scale(
        'smoke',
        replace(_SMALL_TEACHERS, width=256, score=0.3, share=0.4, epochs=2, batch=8),
        FitRecipe(epochs=1, batch=8, learning_rate=1e-3, average=0.0),
        FitRecipe(epochs=1, batch=8, learning_rate=1e-3, average=0.0),
        PretextRecipe(epochs=1, batch=8),
        drives=6,
        minutes=0.1,
        fps=2.0,
        reading=(
            'At this scale, teachers and students are trained on a few dozen frames for one or '
            'two epochs: the figures mean nothing and only show that every row runs from drives '
            'to scores. This table cannot show whether a row agrees with the paper. `avdet train '
            'reproduce --scale small` (about a night on 2 cores) generates one that can. `avdet '
            "train reproduce --scale full --data MAVD --teachers TEACHERS` uses the paper's "
            'networks, input and schedule.'
        ),
        shows_order=False,
    ),
    'evening': replace(
        _SMALL,
        name='evening',
        fit=replace(_SMALL.fit, epochs=2, batch=8),
        drives=60,
        reading=(
            'These runs use simulated drives, a smaller EfficientDet at a twelfth of the pixels, '
            'and two epochs over 1560 training windows instead of many over tens of thousands, so '
            'that six rows with three seeds are done in an evening. The order of rows can be '
            "compared with the paper's where rows are farther apart than their seeds; absolute "
            'levels cannot.'
        ),
    ),
    'small': _SMALL,
    'full': Scale(
        'full',
        TeachersRecipe(modalities=ALL),
        FitRecipe(
            epochs=50,
            batch=8,
            learning_rate=1e-4,
            weight_decay=5e-4,
            patience=15,
            precision='16-mixed',
            average=0.0,
            schedule='plateau',
        ),
        FitRecipe(
            epochs=30, batch=32, learning_rate=2e-3, weight_decay=0.02, patience=10, average=0.99
        ),
        PretextRecipe(epochs=10, batch=8, learning_rate=1e-4),
        drives=0,
        minutes=0.0,
        fps=0.0,
        reading="These runs use the paper's networks, input and schedule.",
    ),
}

_WEIGHTS = {'mta': 0.05, 'ranking': 1.0, 'pairwise': 1.0, 'afd': 1.0, 'none': 0.0}
"""Weight of the transfer in the loss; the paper gives MTA's."""

_RELEASED = {'weight': 0.005, 'beta': 1.0}
"""The authors' configuration: the weight of their plain sum."""

_AS_IN_THE_PAPER = Augmentation(mirror=False, gain_db=0.0, channel_gain_db=0.0, mask_bands=0)
_OURS = Augmentation(mask_frames=0.15, mix=0.2)


def _weights(row: Row) -> dict[str, float]:
    if row.loss == 'mta' and row.mta.startswith('as_released'):
        return _RELEASED
    return {'weight': _WEIGHTS[row.loss]}


def row_recipe(row: Row, scale: Scale, seed: int = 0) -> StudentRecipe:
    """Build the recipe of a row at a scale; all rows of a scale share teachers and labels."""
    compact = row.model == 'steered'
    return StudentRecipe(
        labels=row.labels,
        student=NetworkRecipe(row.model, scale.teachers.config_name),
        teachers=scale.teachers,
        pretext=scale.pretext if row.pretext else replace(scale.pretext, epochs=0),
        transfer=TransferRecipe(
            teachers=row.teachers,
            loss=row.loss,
            mta=row.mta,
            levels=row.levels,
            combine=row.combine,
            **_weights(row),
        ),
        fit=replace(scale.compact_fit if compact else scale.fit, seed=seed),
        augmentation=_OURS if compact else _AS_IN_THE_PAPER,
    )
