"""Parameters of a running node: declare a table, check values, and change them where allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from avdet_ros.errors import AvdetError
from avdet_ros.fields import Param, find, unknown
from avdet_ros.nodes.qos import OVERRIDES, check_override

_STANDARD = ('use_sim_time', 'start_type_description_service')


class ParameterServer:
    """The values of a node's parameters.

    A wrong value on the command line or in a file does not stop the node: it is kept as a fault
    until the parameter is corrected. QoS parameters of topics cannot be set later: a wrong value
    causes a warning and is otherwise ignored.

    Attributes:
        faults: one sentence for each parameter whose start value was refused.
        warnings: sentences about given parameters that are unknown, or wrong QoS of a topic.
    """

    def __init__(
        self,
        node: Node,
        params: tuple[Param, ...],
        is_active: Callable[[], bool],
        changed: Callable[[dict[str, Any]], None],
    ) -> None:
        """Declare the table.

        Args:
            node: the node.
            params: its table.
            is_active: whether the node is active, so that only live parameters may change.
            changed: called with accepted changes, new values by name; an AvdetError refuses them.
        """
        self._node = node
        self._params = params
        self._is_active = is_active
        self._changed = changed
        self.faults: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        overrides = getattr(node, '_parameter_overrides', {})
        for param in params:
            value = param.default
            if param.name in overrides:
                try:
                    value = param.check(overrides[param.name].value)
                except AvdetError as error:
                    self.faults[param.name] = str(error)
            self._values[param.name] = value
            node.declare_parameter(param.name, value, _descriptor(param), ignore_override=True)
        self.warnings = []
        self._topic_overrides: list[str] = []
        for name in sorted(set(overrides) - {*self._values, *_STANDARD}):
            try:
                if name.startswith(f'{OVERRIDES}.'):
                    check_override(name, overrides[name].value)
                    self._topic_overrides.append(name)
                else:
                    find(params, name)
            except AvdetError as error:
                self.warnings.append(str(error))
                del overrides[name]  # rclpy would raise when it creates that topic
        node.add_on_set_parameters_callback(self._on_set)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def check(self) -> None:
        """Raise if a parameter has a wrong value.

        Raises:
            AvdetError: a start value was refused and has not been set since.
        """
        if self.faults:
            raise AvdetError('; '.join(self.faults.values()))

    def without_topic(self) -> list[str]:
        """Return sentences about parameters of topics that the node does not have, or not yet."""
        known = [f'{OVERRIDES}.{name}' for name in self._node.get_parameters_by_prefix(OVERRIDES)]
        return [unknown(name, known) for name in self._topic_overrides if name not in known]

    def fixed_change(self, changes: dict[str, Any]) -> bool:
        """Whether a parameter that is fixed while active would change.

        Args:
            changes: new values by name.
        """
        return any(
            not param.live and changes.get(param.name, self[param.name]) != self[param.name]
            for param in self._params
        )

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        declared = {param.name: param for param in self._params}
        changes = {}
        try:
            for parameter in parameters:
                param = declared.get(parameter.name)
                if param is None:
                    continue
                changes[param.name] = param.check(parameter.value)
                if self._is_active() and self.fixed_change({param.name: changes[param.name]}):
                    raise AvdetError(
                        f'parameter {param.name}: cannot change while the node is active; '
                        'deactivate it first'
                    )
            if changes:
                self._changed(changes)
        except AvdetError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._values.update(changes)
        for name in changes:
            self.faults.pop(name, None)
        return SetParametersResult(successful=True)


def _descriptor(param: Param) -> ParameterDescriptor:
    # The table checks types: it accepts 1 for 1.0, and its errors name what was expected.
    descriptor = ParameterDescriptor(
        description=param.description + ('' if param.live else ' (fixed while active)'),
        additional_constraints=param.expected(),
        dynamic_typing=True,
    )
    if abs(param.low) != float('inf') and abs(param.high) != float('inf'):
        if param.kind is int:
            bounds = IntegerRange(from_value=int(param.low), to_value=int(param.high), step=0)
            descriptor.integer_range = [bounds]
        else:
            bounds = FloatingPointRange(from_value=float(param.low), to_value=float(param.high))
            descriptor.floating_point_range = [bounds]
    return descriptor
