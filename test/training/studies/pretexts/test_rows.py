from __future__ import annotations

from avdet_ros.training.recipes.read import as_yaml, read_recipe
from avdet_ros.training.registries import PRETEXTS
from avdet_ros.training.studies.pretexts.rows import (
    ALL,
    FIRST,
    LIKELIEST,
    LONGER,
    NONE,
    SCALES,
    Run,
    recipe_of,
    runs_of,
    tasks_of,
)


def test_rows_differ_only_in_pretext_or_number_of_epochs(tmp_path):
    scale = SCALES['small']
    plain = recipe_of(Run(NONE, 0.1, 2), scale, 'simulated')
    taught = recipe_of(Run('swapped', 0.1, 2), scale, 'simulated')
    longer = recipe_of(Run(LONGER, 0.1, 2), scale, 'simulated')
    assert plain.fit == taught.fit
    assert plain.fit.drives == 0.1
    assert plain.fit.seed == 2
    assert not plain.pretext.wanted
    assert taught.pretext.wanted
    assert longer.fit.epochs == scale.epochs + taught.pretext.epochs
    assert recipe_of(Run('swapped', 0.1, 2, freeze=True), scale, 'truth').pretext.freeze
    path = tmp_path / 'recipe.yaml'
    path.write_text(as_yaml(taught))
    assert read_recipe(path) == taught


def test_every_run_has_a_separate_folder():
    scale = SCALES['small']
    runs = [
        run
        for row in (NONE, LONGER, *tasks_of(scale))
        for share, freeze in (*FIRST, (ALL, False))
        for run in runs_of(row, share, scale, freeze)
    ]
    assert len({run.folder for run in runs}) == len(runs)
    assert len(runs) == 3 * (3 + 4 * (1 + len(tasks_of(scale)))), 'none, longer is never frozen'


def test_most_promising_pretexts_run_first():
    assert tasks_of(SCALES['small'])[: len(LIKELIEST)] == LIKELIEST
    assert sorted(tasks_of(SCALES['small'])) == sorted(PRETEXTS.names())
    assert tasks_of(SCALES['smoke'])[0] == 'masked_channels'
