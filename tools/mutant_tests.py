"""Try named bugs with the tests that may notice them; tools/mutate.py runs this in its copy.

    python -P mutant_tests.py JOBS SECONDS BY_NAME ALWAYS MUTANT...

Those are the tests that reach a bug's function, and the other tests in the same files. The nearest
tests come first. Only as many are run as fit into SECONDS of CPU time (0: all), plus those with
ALWAYS in their names. With BY_NAME `True`, nothing is run to find out which test reaches which
function: names and imports decide, and each test is assumed to take one second, which the cases of
a parametrised test share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
import os
from pathlib import Path
import re
import sys
from typing import Any

MUTANTS = Path('mutants')
"""mutmut's folder with the changed modules and the tests."""


def main() -> None:
    """Try the bugs; mutmut stores the outcome of each."""
    import _pytest.timing
    import mutmut.__main__ as mutmut

    jobs, most_s, by_name, always, *names = sys.argv[1:]
    collect = mutmut.collect_or_load_stats

    def collect_and_choose(runner: Any, **options: Any) -> None:
        state = mutmut.state()
        found = state.tests_by_mangled_function_name
        functions = {mutmut.mangled_name_from_mutant_name(name) for name in names}
        modules = {function: module_of(function) for function in functions}
        if by_name == 'True':
            tests = sorted(runner.list_all_tests().ids)
            state.duration_by_test = assumed_durations_s(tests)
            of = tests_by_name(set(modules.values()), tests, always)
            found.update({function: of[module] for function, module in modules.items()})
        else:
            collect(runner, **options)
            tests = sorted(state.duration_by_test)
            for function, module in modules.items():
                found[function] = related_tests(module, found[function], tests)
        for function, module in modules.items():
            nearest, durations_s = found[function], state.duration_by_test
            found[function] = in_time(
                module, nearest, durations_s, float(most_s), always, in_order=by_name == 'True'
            )
        # Lets mutmut check its always-failing bug without importing all other tests.
        chosen = dict.fromkeys(test for function in modules for test in found[function])
        mutmut.config().pytest_add_cli_args_test_selection = list(chosen)
        # On a busy machine, tests take longer than before, which is not the bug's fault.
        busy = os.getloadavg()[0] / (os.cpu_count() or 1)
        mutmut.config().timeout_multiplier *= max(1.0, busy)

    mutmut.collect_or_load_stats = collect_and_choose
    _pytest.timing.perf_counter = cpu_s  # CPU time does not depend on the load of the machine
    mutmut._run(names, int(jobs))


def cpu_s() -> float:
    """Return the CPU time of this process and of its ended child processes."""
    return sum(os.times()[:4])


def module_of(function: str) -> str:
    """Return the module of one of mutmut's functions, ``package.module.x_name``."""
    return function.rpartition('.')[0]


def in_time(
    module: str,
    tests: Iterable[str],
    durations_s: Mapping[str, float],
    most_s: float,
    always: str = '',
    in_order: bool = False,
) -> list[str]:
    """Choose tests within a time limit: the module's own, those always run, others; quick first.

    Args:
        module: module with the bug.
        tests: pytest's names of the tests; tests of equal duration stay in this order.
        durations_s: duration of each test; 0 if unknown.
        most_s: time limit, 0 for none; the first test and those always run are included anyway.
        always: part of the names of tests that are always run; '' for none.
        in_order: keep the order of the other tests, whatever their durations.
    """
    mirrored = module.replace('.', '/').replace('avdet_ros', 'test', 1)
    folder, _, last = mirrored.rpartition('/')

    def is_always_run(test: str) -> bool:
        return bool(always) and always in test

    def rank(test: str) -> tuple[int, bool, float]:
        own = (f'/test_{last}' in test) + test.startswith(f'{folder}/test_{last}')
        return -own, not is_always_run(test), 0.0 if in_order else durations_s.get(test, 0.0)

    chosen: list[str] = []
    spent_s = 0.0
    for test in sorted(tests, key=rank):
        duration_s = durations_s.get(test, 0.0)
        if chosen and most_s and spent_s + duration_s > most_s and not is_always_run(test):
            continue
        spent_s += duration_s
        chosen.append(test)
    return chosen


def related_tests(module: str, reached_by: Iterable[str], tests: list[str]) -> list[str]:
    """Return tests that reach a function, others in their files, and those of the module's files.

    For a function called by a shared fixture, or one that caches its results, mutmut knows only
    the first test; for code that runs during an import, it knows none.
    """
    reached = sorted(reached_by)
    files = {file_of(test) for test in reached}
    files |= set(named(module, map(file_of, tests)))
    return reached + [test for test in tests if file_of(test) in files and test not in reached]


def file_of(test: str) -> str:
    """Return the file of one of pytest's tests."""
    return test.partition('::')[0]


def named(module: str, files: Iterable[str]) -> list[str]:
    """Return the test files that are named after a module, in its folder."""
    folder, _, last = module.replace('.', '/').rpartition('/')
    own = re.compile(rf'{folder.replace("avdet_ros", "test", 1)}/test_{last}(_\w+)?\.py')
    return [file for file in files if own.fullmatch(file)]


def assumed_durations_s(tests: Iterable[str]) -> dict[str, float]:
    """Assume one second per test, shared among its cases, since many cases are quick ones."""
    function_of = {test: test.partition('[')[0] for test in tests}
    cases = Counter(function_of.values())
    return {test: 1 / cases[whole] for test, whole in function_of.items()}


def tests_by_name(modules: Iterable[str], tests: list[str], always: str) -> dict[str, list[str]]:
    """Return each module's tests: named after it, importing it, or of modules that import it."""
    files = dict.fromkeys(map(file_of, tests))
    texts = {file: (MUTANTS / file).read_text(encoding='utf-8') for file in files}
    package = {
        '.'.join(path.relative_to(MUTANTS).with_suffix('').parts): imports_of(path)
        for path in (MUTANTS / 'avdet_ros').rglob('*.py')
    }

    def importing(module: str, sources: Mapping[str, str]) -> list[str]:
        folder, _, last = module.rpartition('.')
        word = re.compile(rf'\b{module}\b|from {folder} import .*\b{last}\b')
        return [name for name, text in sources.items() if word.search(text)]

    found = {}
    for module in modules:
        indirect = [file for user in importing(module, package) for file in named(user, files)]
        nearest = dict.fromkeys(named(module, files) + importing(module, texts) + indirect)
        own = [test for file in nearest for test in tests if file_of(test) == file]
        always_run = dict.fromkeys(test for test in tests if always and always in test)
        found[module] = list(dict.fromkeys([*own, *always_run]))
    return found


def imports_of(path: Path) -> str:
    """Return the lines with imports; a changed module has megabytes of other lines."""
    with path.open(encoding='utf-8') as file:
        return ''.join(line for line in file if 'import' in line)


if __name__ == '__main__':
    main()
