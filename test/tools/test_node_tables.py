"""docs/nodes.md matches the output of its command."""

from __future__ import annotations

import ast

from import_graph import PACKAGE
import node_tables

from avdet_ros.parameters import NODES


def test_nodes_page_is_current():
    written = node_tables.PAGE.read_text(encoding='utf-8')
    assert written == node_tables.page(), 'stale: run python tools/node_tables.py'


def test_nodes_page_lists_every_node_and_parameter():
    page = node_tables.page()
    assert set(node_tables.ORDER) == set(NODES)
    for node, params in NODES.items():
        section = page.split(f'## {node}\n')[1].split('\n## ')[0]
        for param in params:
            assert f'| `{param.name}` |' in section


def test_described_qos_profiles_match_the_code():
    tree = ast.parse((PACKAGE / 'nodes' / 'qos.py').read_text(encoding='utf-8'))
    profiles = {
        item.targets[0].id: item.value
        for item in tree.body
        if isinstance(item, ast.Assign) and 'QoSProfile(' in ast.unparse(item.value)
    }
    assert set(profiles) == set(node_tables.PROFILES) - {''}
    for name, call in profiles.items():
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        words = node_tables.PROFILES[name]
        assert words.endswith(f'depth {given["depth"]}')
        assert ('best effort' in words) == given['reliability'].endswith('BEST_EFFORT')
        assert ('transient local' in words) == ('durability' in given)
