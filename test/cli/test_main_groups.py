"""Command groups, former names of commands, and the help."""

from __future__ import annotations

from pathlib import Path
import re

import pytest

from avdet_ros.cli import former, main

COMMANDS = [
    *([name] for name in main.START),
    *([group, name] for group, (_, functions) in main.GROUPS.items() for name in functions),
]
PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'commands.md'


@pytest.fixture(autouse=True)
def narrow_terminal(monkeypatch):
    monkeypatch.setenv('COLUMNS', '80')


def test_help_fits_one_screen_and_lists_commands_and_groups(avdet):
    code, page, _ = avdet('--help')
    lines = page.strip('\n').splitlines()
    assert code == 0
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 80
    for name in (*main.START, *main.GROUPS):
        assert re.search(rf'^│ {name} +\w', page, re.MULTILINE), name
    assert 'Begin with avdet demo' in page
    assert not any(f'│ {name} ' in page for name in former.NAMES)
    assert avdet()[1].strip() == page.strip()


@pytest.mark.slow
@pytest.mark.parametrize('words', COMMANDS, ids=' '.join)
def test_every_command_has_a_help_page(avdet, words):
    code, page, _ = avdet(*words, '--help')
    assert code == 0
    assert f'avdet {" ".join(words)} ' in page


@pytest.mark.parametrize('group', main.GROUPS)
def test_group_help_lists_its_commands_and_no_former_ones(avdet, group):
    page = avdet(group, '--help')[1]
    _, functions = main.GROUPS[group]
    assert re.findall(r'^│ ([a-z][a-z-]*) ', page, re.MULTILINE) == list(functions)


def test_commands_page_lists_all_commands():
    page = PAGE.read_text()
    now = [' '.join(words) for words in COMMANDS]
    assert re.findall(r'^\| `avdet ([a-z -]+)` \|', page, re.MULTILINE) == now
    for name, (now, _) in former.NAMES.items():
        assert re.search(rf'^\| `avdet {now}` .* `avdet {name}` \|$', page, re.MULTILINE), name


def test_former_names_map_to_current_commands():
    for now, function in former.NAMES.values():
        group, name = now.split()
        assert main.GROUPS[group][1][name] is function


@pytest.mark.parametrize(
    ('before', 'now'),
    [
        (['check-dataset', 'none'], ['eval', 'check-dataset', 'none']),
        (['simulate', 'new', '--drives', '0'], ['sim', 'drives', 'new', '--drives', '0']),
        (['train', 'none.yaml', '--fresh'], ['train', 'student', 'none.yaml', '--fresh']),
        (['train', '--fresh', 'none.yaml'], ['train', 'student', 'none.yaml', '--fresh']),
        (['bench', '--runs', '1'], ['bench', 'steps', '--runs', '1']),
    ],
    ids=' '.join,
)
def test_former_name_does_the_same_and_prints_a_note(avdet, before, now):
    code, output, errors = avdet(*before)
    sentence, _, rest = errors.partition('\n')
    assert re.fullmatch(r'avdet .+ is called avdet .+ now; .+ ends with version 0\.2', sentence)
    assert (code, output, rest) == avdet(*now)
    assert code == 1


def test_successful_former_name_prints_the_same_output(avdet):
    code, output, errors = avdet('bench', 'faults', '--list')
    assert (code, errors) == (0, '')  # an unchanged name prints no note
    assert 'detector killed' in output
    code, output, errors = avdet('inspect-model')
    assert code == 0
    assert errors.count('\n') == 1
    assert output == avdet('eval', 'inspect-model')[1]


def test_mistyped_command_is_not_taken_as_a_recipe(avdet):
    code, _, errors = avdet('train', 'stduent')
    assert code == 2
    assert "Did you mean 'student'?" in errors
    assert 'is called' not in errors


@pytest.mark.parametrize(
    ('typed', 'suggested'),
    [('faults', 'bench faults'), ('evaluat', "'eval'"), ('calibrat', "'calibrate'")],
)
def test_unknown_command_suggests_a_current_name(avdet, typed, suggested):
    code, _, errors = avdet(typed)
    assert code == 2
    assert f'No such command {typed!r}. Did you mean {suggested}?' in ' '.join(errors.split())


def test_version_option_prints_the_version(avdet):
    from avdet_ros import __version__

    assert avdet('--version') == (0, f'{__version__}\n', '')
