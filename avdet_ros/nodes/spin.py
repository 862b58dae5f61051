"""Serve the nodes of a process, each with its own executor and thread.

With one executor for all, a node that is slow to load would delay the others, and each message of
one node would cause a check of the entities of every node.
"""

from __future__ import annotations

from collections.abc import Sequence
import threading

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

STOP_S = 2.0
"""How long a callback in progress may take at the end."""


class Spinner:
    """Spins the first node in the calling thread, where signals arrive, the others in their own.

    Attributes:
        failure: exception that ended one of the other nodes. It ends all nodes, as it would end
            the process of a single node.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        """Prepare; `spin` starts the threads.

        Args:
            nodes: one or more, of one context.
        """
        self.failure: Exception | None = None
        self._first = nodes[0]
        self._others: list[tuple[SingleThreadedExecutor, threading.Thread]] = []
        for node in nodes[1:]:
            executor = SingleThreadedExecutor(context=node.context)
            executor.add_node(node)
            thread = threading.Thread(
                target=self._spin,
                args=(executor,),
                name=f'{node.get_name()} executor',
                daemon=True,
            )
            self._others.append((executor, thread))

    def spin(self) -> None:
        """Serve all nodes until ROS ends.

        Raises:
            ExternalShutdownException: it has ended, or one of the other nodes has failed.
            Exception: what a callback of the first node raised.
        """
        for _, thread in self._others:
            thread.start()
        executor = SingleThreadedExecutor(context=self._first.context)
        try:
            executor.add_node(self._first)
            executor.spin()
        finally:
            executor.shutdown(0)

    def stop(self) -> None:
        """End the threads; afterwards no callback runs, unless it hangs."""
        for executor, thread in self._others:
            executor.shutdown(0)
            if thread.ident is not None:
                thread.join(STOP_S)

    def _spin(self, executor: SingleThreadedExecutor) -> None:
        try:
            executor.spin()
        except ExternalShutdownException:
            pass
        except Exception as error:
            context = self._first.context
            if context.ok():  # else a signal ended the context under a call in progress
                self.failure = error
                rclpy.try_shutdown(context=context)
