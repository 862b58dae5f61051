"""Commands in groups, the names they had before, and the help."""

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


@pytest.fixture
def avdet(monkeypatch, capsys):
    """Runs a command line in this process; gives exit status, output and errors."""

    def run(*words):
        monkeypatch.setattr('sys.argv', ['avdet', *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    monkeypatch.setenv('COLUMNS', '80')
    return run


def test_help_fits_one_screen_and_names_what_a_newcomer_needs(avdet):
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
def test_every_command_explains_itself(avdet, words):
    code, page, _ = avdet(*words, '--help')
    assert code == 0
    assert f'avdet {" ".join(words)} ' in page


@pytest.mark.parametrize('group', main.GROUPS)
def test_a_group_lists_its_commands_and_no_former_ones(avdet, group):
    page = avdet(group, '--help')[1]
    _, functions = main.GROUPS[group]
    assert re.findall(r'^│ ([a-z][a-z-]*) ', page, re.MULTILINE) == list(functions)


def test_the_page_of_commands_has_them_all():
    page = PAGE.read_text()
    now = [' '.join(words) for words in COMMANDS]
    assert re.findall(r'^\| `avdet ([a-z -]+)` \|', page, re.MULTILINE) == now
    for name, (now, _) in former.NAMES.items():
        assert re.search(rf'^\| `avdet {now}` .* `avdet {name}` \|$', page, re.MULTILINE), name


def test_every_former_name_is_the_command_of_today():
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
def test_a_former_name_does_the_same_and_is_noted(avdet, before, now):
    code, output, errors = avdet(*before)
    sentence, _, rest = errors.partition('\n')
    assert re.fullmatch(r'avdet .+ is called avdet .+ now; .+ ends with version 0\.2', sentence)
    assert (code, output, rest) == avdet(*now)
    assert code == 1


def test_a_former_name_that_succeeds_prints_the_same(avdet):
    code, output, errors = avdet('bench', 'faults', '--list')
    assert (code, errors) == (0, '')  # a name that stayed prints no sentence
    assert 'detector killed' in output
    code, output, errors = avdet('inspect-model')
    assert code == 0
    assert errors.count('\n') == 1
    assert output == avdet('eval', 'inspect-model')[1]


def test_a_mistyped_command_is_no_recipe(avdet):
    code, _, errors = avdet('train', 'stduent')
    assert code == 2
    assert "Did you mean 'student'?" in errors
    assert 'is called' not in errors


@pytest.mark.parametrize(
    ('typed', 'suggested'),
    [('faults', 'bench faults'), ('evaluat', "'eval'"), ('calibrat', "'calibrate'")],
)
def test_a_wrong_command_is_answered_with_a_name_of_today(avdet, typed, suggested):
    code, _, errors = avdet(typed)
    assert code == 2
    assert f'No such command {typed!r}. Did you mean {suggested}?' in ' '.join(errors.split())


def test_the_version(avdet):
    from avdet_ros import __version__

    assert avdet('--version') == (0, f'{__version__}\n', '')
