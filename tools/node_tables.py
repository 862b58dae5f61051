"""Write docs/nodes.md: inputs, outputs and parameters of each node, from the package's tables.

    python tools/node_tables.py

A test compares the page with what this writes.
"""

from __future__ import annotations

import ast

from import_graph import PACKAGE, ROOT

from avdet_ros.fields import Param
from avdet_ros.graph import ARGUMENTS, as_text
from avdet_ros.parameters import NODES
from avdet_ros.topics import Topic, inputs, outputs

PAGE = ROOT / 'docs' / 'nodes.md'
ORDER = ('capture', 'detector', 'tracker', 'overlay', 'camera', 'recorder')
PROFILES = {
    'OFFER_SPECTROGRAM': 'reliable, depth 20',
    'OFFER_STREAM': 'reliable, depth 5',
    'ASK_STREAM': 'best effort, depth 5',
    'ASK_SOUND': 'best effort, depth 50',
    'ASK_ODOMETRY': 'best effort, depth 50',
    'ASK_MAP': 'reliable, depth 1',
    'ASK_TF': 'reliable, depth 100',
    'ASK_SPECTROGRAM': 'reliable, depth 5',
    'RESULTS': 'reliable, depth 10',
    'LATCHED': 'reliable, transient local, depth 1',
    'LATCHED_OF_ALL': 'reliable, transient local, depth 100',
    '': 'reliable, depth 10',
}
"""The profiles of avdet_ros/nodes/qos.py in words."""

HEAD = """# Nodes

Made by `python tools/node_tables.py` from `parameters.py`, `topics.py` and `graph.py` of
`avdet_ros`; a test compares it.

Names of topics are relative to the namespace, `avdet` by default. Every node is a lifecycle node
that configures and activates by itself (parameter `autostart`), has the service `~/enable`
(`std_srvs/srv/SetBool`), and reports on `/diagnostics` what it does. A parameter marked *live* may
be changed while the node is active. History, depth and reliability of a topic are parameters too:
`qos_overrides./avdet/spectrogram.subscription.reliability`.

With launch argument `composed:=true` capture, detector and tracker are nodes of one process, the
same in all that stands here; detector then takes windows from capture directly, and does not
subscribe to `spectrogram` ([latency.md](latency.md#one-process),
[deploy.md](deploy.md#one-process-or-three)).

Nothing is lost in silence: what a node gets and does not use, and what never came to it, are
numbers in `/diagnostics`, counted since it was last activated. Messages that never came are known
by the numbers that DDS gives them, where a topic has one publisher.

| node | never came | came, and was left out |
|---|---|---|
| capture | `xruns`, `samples_lost`, `windows_skipped` | `windows_dropped`, `windows_with_gaps` |
| detector | `windows_missed` | `windows_dropped`, `windows_refused` |
| tracker | `windows_missed` | `windows_refused`, `detections_cut` |
| overlay | `messages_missed` | `tracks_not_drawn` |
| recorder | `messages_missed` | `messages_dropped` |
"""


def summary(node: str) -> str:
    """The first paragraph of a node's class."""
    tree = ast.parse((PACKAGE / 'nodes' / f'{node}.py').read_text(encoding='utf-8'))
    found = next(
        item
        for item in tree.body
        if isinstance(item, ast.ClassDef) and item.name == f'{node.capitalize()}Node'
    )
    return ' '.join((ast.get_docstring(found) or '').split('\n\n')[0].split())


def topic_table(topics: list[Topic], title: str, subscribed: bool) -> list[str]:
    """One table of topics."""
    if not topics:
        return []
    lines = [f'| {title} | type | QoS | what it holds |', '|---|---|---|---|']
    for topic in topics:
        profile = topic.asked if subscribed else topic.offered
        meaning = topic.meaning
        when = topic.asked_when if subscribed else topic.when
        if when:
            meaning += f' ({when})'
        kind = topic.type.replace('/msg/', '/')
        lines.append(f'| `{topic.name}` | `{kind}` | {PROFILES[profile]} | {meaning} |')
    return [*lines, '']


def parameter_table(node: str) -> list[str]:
    """Parameters of a node with the launch argument that sets each."""
    lines = [
        '| parameter | default | allowed | launch argument | meaning |',
        '|---|---|---|---|---|',
    ]
    for param in NODES[node]:
        given = [a.name for a in ARGUMENTS if (node, param.name) in a.sets]
        argument = f'`{given[0]}`' if given else ''
        meaning = param.description + (' (*live*)' if param.live else '')
        cells = (f'`{param.name}`', default_text(param), allowed(param), argument, meaning)
        lines.append(f'| {" | ".join(cells)} |')
    return [*lines, '']


def default_text(param: Param) -> str:
    """A default as one types it."""
    text = as_text(param.default)
    return f'`{text}`' if text else 'empty'


def allowed(param: Param) -> str:
    """What a value may be."""
    return param.expected().replace('|', '\\|')


def page() -> str:
    """The whole page."""
    lines = [HEAD]
    for node in ORDER:
        lines += [f'## {node}', '', summary(node), '']
        lines += topic_table(inputs(node), 'input', True)
        lines += topic_table(outputs(node), 'output', False)
        lines += parameter_table(node)
    return '\n'.join(lines).rstrip() + '\n'


if __name__ == '__main__':
    PAGE.write_text(page(), encoding='utf-8')
    print(PAGE.relative_to(ROOT))
