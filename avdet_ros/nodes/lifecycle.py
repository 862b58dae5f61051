"""Base class of all nodes: a lifecycle that reports its faults and retries.

A node starts automatically (parameter ``autostart``). When it cannot work, it keeps running,
reports why in /diagnostics, and tries again while the cause may go away.
"""

from __future__ import annotations

from collections import deque
from copy import copy
import time
import traceback
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from std_msgs.msg import Float64
from std_srvs.srv import SetBool

from avdet_ros.errors import AvdetError
from avdet_ros.nodes import diagnostics, qos
from avdet_ros.nodes.adaptive import AdaptiveSubscription
from avdet_ros.nodes.hand_over import FeatureHandOver, HandedOver
from avdet_ros.nodes.parameter_server import ParameterServer
from avdet_ros.nodes.self_report import SelfReport
from avdet_ros.nodes.topic_health import SILENT_AFTER_S, PublisherWatch
from avdet_ros.parameters import NODES
from avdet_ros.rig import load_rig

RETRY_S = 2.0
"""Time from one attempt to start to the next."""


class AvdetNode(LifecycleNode):
    """A lifecycle node of this package.

    Sub-classes set `NAME` and override `load`, `acquire`, `release`, `unload`, `diagnose` and
    `parameters_changed`. Their exceptions are logged and reported.

    Attributes:
        p: the parameters' values by name.
        problems: recent problems.
        publisher_watch: explains silent subscriptions.
        hand_over: shared with the other nodes of this process, if there are any.
        fault: why the node cannot start, '' if it can.
        self_report: publishes its diagnostics.
    """

    NAME = ''

    def __init__(self, hand_over: FeatureHandOver | None = None, **options: Any) -> None:
        """Declare parameters and start reporting; nothing is loaded yet."""
        self.hand_over = hand_over or FeatureHandOver()
        self._adaptive: list[AdaptiveSubscription] = []
        super().__init__(self.NAME, **options)
        self.p = ParameterServer(
            self, NODES[self.NAME], lambda: self.state == 'active', self._on_parameters
        )
        self.problems = diagnostics.RecentProblems()
        self.publisher_watch = PublisherWatch(self)
        self.fault = ''
        self._should_be_active = bool(self.p['autostart'])
        self._own_transition = False  # a transition in progress is our own, not a user's
        self._stale = False  # a parameter that only `load` reads has changed since the last one
        self._active_since = time.monotonic()
        self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self.self_report = SelfReport(self)
        self.create_timer(diagnostics.PERIOD_S, self.self_report.publish, clock=self._steady_clock)
        self.create_timer(RETRY_S, self._retry, clock=self._steady_clock)
        self.create_service(SetBool, '~/enable', self._on_enable)
        for sentence in self.p.warnings:
            self.get_logger().warning(sentence)

    # What sub-classes override.

    def load(self) -> None:
        """Read and check files and parameters; may raise AvdetError."""

    def acquire(self) -> None:
        """Open devices, subscribe, start threads; may raise AvdetError."""

    def release(self) -> None:
        """Undo `acquire`; called after a failed one too."""

    def unload(self) -> None:
        """Undo `load`."""

    def diagnose(self, report: diagnostics.Report) -> None:
        """Report how the work goes; called once a second while active."""

    def parameters_changed(self, changes: dict[str, Any]) -> None:
        """Take new values of live parameters; an AvdetError refuses them."""

    # What sub-classes use.

    def create_publisher(
        self, msg_type: Any, topic: str, qos_profile: Any, **options: Any
    ) -> Publisher:
        """Create a publisher with a copy of the profile, since rclpy writes parameters into it."""
        if 'qos_overriding_options' not in options:  # else a user may offer less than requested
            options.setdefault('event_callbacks', qos.UNWATCHED_PUBLISHER)
        return super().create_publisher(msg_type, topic, copy(qos_profile), **options)

    def create_subscription(  # type: ignore[override]  # its stand-in is not a subclass
        self, msg_type: Any, topic: str, callback: Any, qos_profile: Any, **options: Any
    ) -> Subscription | AdaptiveSubscription:
        """Create a subscription; if a user may change its QoS, it also adapts to the offers."""
        options.setdefault('event_callbacks', qos.UNWATCHED_SUBSCRIPTION)
        if 'qos_overriding_options' not in options:
            profile = copy(qos_profile)
            return super().create_subscription(msg_type, topic, callback, profile, **options)
        adaptive = AdaptiveSubscription(self, msg_type, topic, callback, qos_profile, **options)
        self._adaptive.append(adaptive)
        return adaptive

    def destroy_subscription(
        self, subscription: Subscription | AdaptiveSubscription | HandedOver
    ) -> bool:
        """Destroy a subscription of any kind."""
        if isinstance(subscription, HandedOver):
            return subscription.destroy()
        if isinstance(subscription, AdaptiveSubscription):
            self._adaptive.remove(subscription)
            return subscription.destroy()
        return super().destroy_subscription(subscription)

    def adapt_subscriptions(self) -> None:
        """Lower the requested QoS where publishers offer less."""
        for subscription in self._adaptive:
            if sentence := subscription.adapt():
                self.refuse(f'QoS of {subscription.topic_name}', sentence)

    @property
    def state(self) -> str:
        """Name of the lifecycle state, e.g. ``active``."""
        return self._state_machine.current_state[1]

    @property
    def should_be_active(self) -> bool:
        """Whether the node should be active, by parameter ``autostart`` or the last request."""
        return self._should_be_active

    @property
    def clock_still(self) -> bool:
        """Whether ``/clock`` is published and stands still."""
        return self.self_report.clock_still

    @property
    def logged(self) -> deque[str]:
        """The newest lines of the package's own log, see `log_bridge`."""
        return self.self_report.logged

    @property
    def active_s(self) -> float:
        """Seconds since the node became active."""
        return time.monotonic() - self._active_since

    def now_ns(self) -> int:
        """ROS time."""
        return self.get_clock().now().nanoseconds

    def load_rig(self) -> Any:
        """The rig that parameter ``rig`` names."""
        return load_rig(self.p['rig'] or None)

    def publish_number(self, publisher: Publisher, value: float) -> None:
        """Publish a number while somebody subscribes; otherwise DDS would waste time on it."""
        if publisher.get_subscription_count():
            publisher.publish(Float64(data=value))

    def refuse(self, key: str, sentence: str) -> None:
        """Report a bad message: in diagnostics for a while, in the log the first time."""
        if self.problems.add(key, diagnostics.WARN, sentence):
            self.get_logger().warning(sentence)

    def fail(self, task: str, error: Exception) -> None:
        """Report an unexpected error of a thread, from where it was caught.

        Args:
            task: the work that failed.
            error: the exception, logged with its traceback.
        """
        self.get_logger().error(traceback.format_exc())
        sentence = f'{task}: {type(error).__name__}: {error}'
        self.problems.add(task, diagnostics.ERROR, sentence)

    def explain_silence(
        self,
        report: diagnostics.Report,
        subscription: Any,
        last_s: float | None,
        *,
        may_end: bool = False,
    ) -> bool:
        """Report why a subscription is silent, if it is.

        Args:
            report: report to add to.
            subscription: the subscription.
            last_s: monotonic time of its last message, None before the first.
            may_end: whether the end of the source explains the silence and is no fault.

        Returns:
            Whether it is silent.
        """
        since_s = time.monotonic() - max(last_s or 0.0, self._active_since)
        if since_s < SILENT_AFTER_S / 2:
            self.publisher_watch.source_runs()
            return False
        # Requested before it is needed, as the other node's state is known only a status later.
        ended = may_end and self.publisher_watch.source_ended()
        why = self.publisher_watch.why_silent(subscription, since_s)
        if since_s < SILENT_AFTER_S:
            return False
        if ended:
            report.ok('the source has ended')
            return True
        if not self.clock_still:  # which is reported already, and explains it
            report.error(why)
        return True

    def try_start(self) -> bool:
        """Configure and activate, unless already done; return False on failure."""
        self._own_transition = True
        try:
            if self.state == 'unconfigured':
                self.trigger_configure()
            if self.state == 'inactive':
                self.trigger_activate()
        finally:
            self._own_transition = False
        return self.state == 'active'

    # Transitions. rclpy swallows their exceptions, so they are caught and reported here.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and check."""
        result = self._attempt('configure', self._load)
        if result != TransitionCallbackReturn.SUCCESS:
            self._quietly(self.unload)
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Acquire resources and start the work."""
        self._should_be_active = True
        result = self._attempt('activate', self._acquire)
        if result != TransitionCallbackReturn.SUCCESS:
            self._quietly(self.release)
            return result
        self.get_logger().info('active')
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the work and release its resources."""
        if not self._own_transition:
            self._should_be_active = False
        self._quietly(self.release)
        self.fault = ''
        self.get_logger().info('inactive')
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drop what was loaded."""
        self._should_be_active = self._should_be_active and self._own_transition
        self._quietly(self.unload)
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop permanently."""
        self._should_be_active = False
        self.fault = ''
        self._quietly(self.release)
        self._quietly(self.unload)
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured, from where the node can be started again."""
        self._quietly(self.release)
        self._quietly(self.unload)
        return TransitionCallbackReturn.SUCCESS

    def destroy_node(self) -> None:
        """Release everything, whatever the state."""
        self._quietly(self.release)
        self._quietly(self.unload)
        super().destroy_node()
        self._state_machine = None  # it holds the node, which would stay in the graph

    def _load(self) -> None:
        self.p.check()
        self.load()
        self._stale = False

    def _acquire(self) -> None:
        if self._stale:
            self.unload()
            self._load()
        self._active_since = time.monotonic()
        self.acquire()

    def _attempt(self, action_name: str, action: Any) -> TransitionCallbackReturn:
        try:
            action()
        except AvdetError as error:
            if self.fault != str(error):  # once, not at every attempt
                self.get_logger().error(f'cannot {action_name}: {error}')
            self.fault = str(error)
            return TransitionCallbackReturn.FAILURE
        except Exception as error:
            self.get_logger().error(f'cannot {action_name}:\n{traceback.format_exc()}')
            self.fault = f'cannot {action_name}: {type(error).__name__}: {error}'
            return TransitionCallbackReturn.ERROR
        self.fault = ''
        return TransitionCallbackReturn.SUCCESS

    def _quietly(self, action: Any) -> None:
        try:
            action()
        except Exception:
            self.get_logger().error(traceback.format_exc())

    def _retry(self) -> None:
        if self._should_be_active and self.state in ('unconfigured', 'inactive'):
            self.try_start()

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if request.data:
            self._should_be_active = True
            response.success = self.try_start()
            why = self.fault or f'cannot activate: the node is {self.state}'
            response.message = 'active' if response.success else why
        else:
            self._should_be_active = False
            if self.state == 'active':
                self.trigger_deactivate()
            response.success = self.state != 'active'
            response.message = self.state
        return response

    def _on_parameters(self, changes: dict[str, Any]) -> None:
        if 'autostart' in changes and changes['autostart'] and self.state != 'active':
            self._should_be_active = True
        self.parameters_changed(changes)
        self._stale |= self.p.fixed_change(changes)
