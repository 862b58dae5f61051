"""The list of known bugs matches the code, the tests that it names, and its page."""

from __future__ import annotations

import re

from import_graph import ROOT
import known_bugs
import pytest

BUGS = known_bugs.known_bugs()


@pytest.mark.parametrize('bug', BUGS, ids=[bug['bug'] for bug in BUGS])
def test_every_known_bug_can_be_inserted_and_its_test_exists(bug):
    text = (ROOT / bug['file']).read_text(encoding='utf-8')
    assert bug['old'] in text, 'the code has changed: bring the list up to date'
    assert bug['old'] != bug['new']
    path, name = bug['test'].split('::')
    test = (ROOT / path).read_text(encoding='utf-8')
    assert re.search(rf'^def {name.split("[")[0]}\(', test, re.MULTILINE)


def test_known_bugs_page_is_current():
    written = known_bugs.PAGE.read_text(encoding='utf-8')
    assert written == known_bugs.page(), 'stale: run python tools/known_bugs.py --page'


def test_copy_excludes_results_and_caches_but_no_room():
    names = ['runs', 'out', '.git', 'a_runs', '__pycache__', 'test']
    assert known_bugs.left_out(str(ROOT), names) == {'runs', 'out', '.git', '__pycache__'}
    inside = str(ROOT / 'avdet_ros' / 'evaluation')
    assert known_bugs.left_out(inside, names) == {'__pycache__'}
