"""The services of one process."""

from __future__ import annotations

from collections.abc import Callable

from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.quota import UNLIMITED, Quotas, no_quotas
from factstore.core.model.target_rules import TargetRules
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.keyring import NoKeyring
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, EventSource, Store, WakeUp
from factstore.core.services.actions import ActionService
from factstore.core.services.alarms import AlarmService
from factstore.core.services.applied_reports import AppliedReports
from factstore.core.services.batch_plans import BatchPlanService
from factstore.core.services.blocked_reads import LOOK_SECONDS, BlockedReadRegistry
from factstore.core.services.cause_chain import FLAPPING_TIMES
from factstore.core.services.configurations import ConfigurationService
from factstore.core.services.context import ContextService
from factstore.core.services.convergence import ConvergenceService
from factstore.core.services.facts import FactService
from factstore.core.services.flapping_watch import FlappingWatch
from factstore.core.services.folders import FolderService
from factstore.core.services.grants import GrantService
from factstore.core.services.heartbeats import HeartbeatService
from factstore.core.services.history import HistoryService
from factstore.core.services.key_rewrap import KeyRewrap
from factstore.core.services.lease_monitor import LeaseMonitor
from factstore.core.services.members import MemberService
from factstore.core.services.nodes import NodeService
from factstore.core.services.past import PastService
from factstore.core.services.rate_limit import Allowances, RateLimiter, no_allowances
from factstore.core.services.read_sets import ReadSetService
from factstore.core.services.stacks import StackService
from factstore.core.services.subscriptions import SubscriptionService
from factstore.core.services.turns import TurnService
from factstore.core.services.wait_finder import STUCK_SECONDS, WaitFinder
from factstore.core.services.wait_monitor import WaitMonitor
from factstore.core.services.waiter_controller import WaiterController
from factstore.core.services.waiters import WaiterService
from factstore.core.services.waits import WaitService
from factstore.core.services.watch import WatchService
from factstore.core.services.why import WhyService


@quick_dataclass(frozen=True, slots=True)
class Services:
    """The services, and the objects that they share."""

    store: Store
    transactor: Transactor
    facts: FactService
    folders: FolderService
    batch_plans: BatchPlanService
    stacks: StackService
    members: MemberService
    heartbeats: HeartbeatService
    applied_reports: AppliedReports
    read_sets: ReadSetService
    waiters: WaiterService
    waits: WaitService
    blocked_reads: BlockedReadRegistry
    alarms: AlarmService
    grants: GrantService
    turns: TurnService
    subscriptions: SubscriptionService
    configurations: ConfigurationService
    actions: ActionService
    context: ContextService
    nodes: NodeService
    convergence: ConvergenceService
    why: WhyService
    watch: WatchService
    history: HistoryService
    past: PastService
    waiter_controller: WaiterController
    wait_monitor: WaitMonitor
    lease_monitor: LeaseMonitor
    key_rewrap: KeyRewrap
    rate_limiter: RateLimiter
    quotas: Quotas
    allowances: Allowances
    clock: Clock


def build_services(
    store: Store,
    events: EventSource,
    clock: Clock,
    *,
    new_id: Callable[[], str],
    new_wake_up: Callable[[], WakeUp],
    timeout: float,
    quotas: Quotas = no_quotas,
    allowances: Allowances = no_allowances,
    blocking: int = UNLIMITED,
    encryption: Encryption | None = None,
    target_rules: TargetRules = TargetRules(),  # noqa: B008 - it is immutable
    stuck_seconds: float = STUCK_SECONDS,
    flapping_times: int = FLAPPING_TIMES,
    look_seconds: float = LOOK_SECONDS,
    on_write_retry: Callable[[], None] = lambda: None,
) -> Services:
    """Return the services on a store and its events.

    :param new_id: returns a unique id for a new stack.
    :param timeout: seconds after which a call to the store counts as failed.
    :param blocking: the number of requests and streams of all projects that may wait at the same time.
    :param target_rules: the targets that subscriptions may have.
    :param flapping_times: how often causes may return to a path before that is reported.
    :param stuck_seconds: the time after which a stack that is stuck is reported as such.
    :param look_seconds: the time between two looks at what is blocked.
    :param on_write_retry: called when a write has to be planned again because a guard failed.
    """
    encryption = encryption or Encryption(NoKeyring())
    transactor = Transactor(
        store, clock, quotas, new_id, timeout, new_wake_up, on_write_retry, events
    )
    reports = AppliedReports(store, transactor, new_wake_up)
    registry = BlockedReadRegistry(clock, look_seconds)
    facts = FactService(store, events, clock, timeout, transactor, encryption, registry)
    why = WhyService(store, events, clock, timeout, flapping_times)
    finder = WaitFinder(registry, clock, new_id(), stuck_seconds)
    return Services(
        store=store,
        transactor=transactor,
        facts=facts,
        folders=FolderService(store, facts),
        batch_plans=BatchPlanService(store, clock, timeout, transactor, encryption),
        stacks=StackService(store, clock, timeout, transactor),
        members=MemberService(store, clock, timeout, transactor, reports),
        heartbeats=HeartbeatService(store, clock, timeout, transactor),
        applied_reports=reports,
        read_sets=ReadSetService(store, clock, timeout, transactor),
        waiters=WaiterService(store, events, clock, timeout, transactor),
        waits=WaitService(store, clock, timeout, transactor, finder),
        blocked_reads=registry,
        alarms=AlarmService(store, events, clock, timeout, transactor),
        grants=GrantService(store, clock, timeout, transactor, encryption),
        turns=TurnService(store, events, clock, timeout, transactor),
        subscriptions=SubscriptionService(
            store, events, clock, timeout, transactor, encryption, target_rules
        ),
        configurations=ConfigurationService(store, events, clock, timeout, transactor, new_id),
        actions=ActionService(store, events, clock, timeout, transactor, new_id),
        context=ContextService(store, events, clock, timeout, transactor.running),
        nodes=NodeService(store, clock, timeout, transactor),
        convergence=ConvergenceService(store, events, clock, timeout),
        why=why,
        watch=WatchService(store, events, clock, timeout),
        history=HistoryService(store, events, clock, timeout),
        past=PastService(store, events, clock, timeout, transactor),
        waiter_controller=WaiterController(store, clock, timeout, transactor, new_wake_up),
        wait_monitor=WaitMonitor(
            store,
            clock,
            timeout,
            transactor,
            finder,
            new_wake_up,
            look_seconds,
            FlappingWatch(store, clock, transactor, why),
        ),
        lease_monitor=LeaseMonitor(store, clock, timeout, transactor, new_wake_up),
        key_rewrap=KeyRewrap(store, clock, encryption, timeout, transactor),
        rate_limiter=RateLimiter(allowances, clock, blocking=blocking),
        quotas=quotas,
        allowances=allowances,
        clock=clock,
    )
