from __future__ import annotations

from avdet_ros.training.recipes.read import as_yaml, read_recipe
from avdet_ros.training.studies.pretexts.rows import (
    LONGER,
    NONE,
    SCALES,
    Run,
    first_runs,
    last_runs,
    recipe_of,
    tasks_of,
)


def test_rows_differ_in_nothing_but_the_pretext(tmp_path):
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


def test_every_run_has_a_folder_of_its_own():
    scale = SCALES['small']
    runs = [
        run
        for row in (NONE, LONGER, *tasks_of(scale))
        for run in first_runs(row, scale) + last_runs(row, scale)
    ]
    assert len({run.folder for run in runs}) == len(runs)
    assert len(first_runs('swapped', scale)) == 9
    assert tasks_of(SCALES['smoke']) == ('masked_channels',)
