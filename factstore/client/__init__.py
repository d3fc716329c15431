"""The Python client: typed calls for the whole API, and a watch that survives lost connections.

Callers never have to build URLs, check statuses or parse streams.  The client retries only requests
that are safe to repeat, and its watch neither skips nor repeats an event.  It uses only the public API
and does not depend on the service's implementation.

::

    from factstore.client import connect

    slurm = connect("http://127.0.0.1:8796").stack("slurm")  # connect() reads OS_* variables
    slurm.put("nodes/c1/ip", "10.0.0.11")
    head = slurm.wait("nodes/head/ip", timeout=600).value
    me = slurm.member("c1")
    me.join("compute")
    for item in slurm.watch(initial=True):
        ...
"""

from factstore.client.action import Action, ActionRecord, ActionResult
from factstore.client.alarm import Alarm, AlarmRecord
from factstore.client.batch import Delete, DeletePrefix, Guard, Put
from factstore.client.batch_preview import BatchPreview, Transition
from factstore.client.client import Client
from factstore.client.configuration import (
    Configuration,
    ConfigurationList,
    ConfigurationRecord,
    ResultRecord,
)
from factstore.client.connect import connect
from factstore.client.errors import (
    BadRequest,
    CertificateError,
    Conflict,
    FactstoreError,
    Forbidden,
    Gone,
    MissingVariables,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    RateLimited,
    Refused,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    UnusableSettings,
    WaitTimeout,
)
from factstore.client.events import (
    Bookmark,
    Change,
    Event,
    Snapshot,
    StackContents,
    StacksSnapshot,
)
from factstore.client.grant import Grant, GrantRecord
from factstore.client.history import (
    Diff,
    FactDifference,
    MemberDifference,
    NotReverted,
    PastChange,
)
from factstore.client.member import Member, MemberRecord
from factstore.client.mirror import Mirror
from factstore.client.records import (
    BatchResult,
    Context,
    Convergence,
    DeletedFolder,
    Fact,
    Outcome,
    Page,
    StackRecord,
)
from factstore.client.stack import Stack
from factstore.client.subscription import DeliveryRecord, Subscription, SubscriptionRecord
from factstore.client.timeline import TimelineEntry
from factstore.client.turn import Turn, TurnRecord
from factstore.client.waiter import Waiter, WaiterRecord
from factstore.client.waits import Circle, NeverEnding, StackWaits, Wait
from factstore.client.watch import StacksWatch, Watch
from factstore.client.webhook import InvalidSignature, verify_webhook
from factstore.client.why import Why, WhyStep

__all__ = [
    "Action",
    "ActionRecord",
    "ActionResult",
    "Alarm",
    "AlarmRecord",
    "BadRequest",
    "BatchPreview",
    "BatchResult",
    "Bookmark",
    "CertificateError",
    "Change",
    "Circle",
    "Client",
    "Configuration",
    "ConfigurationList",
    "ConfigurationRecord",
    "Conflict",
    "Context",
    "Convergence",
    "Delete",
    "DeletePrefix",
    "DeletedFolder",
    "DeliveryRecord",
    "Diff",
    "Event",
    "Fact",
    "FactDifference",
    "FactstoreError",
    "Forbidden",
    "Gone",
    "Grant",
    "GrantRecord",
    "Guard",
    "InvalidSignature",
    "Member",
    "MemberDifference",
    "MemberRecord",
    "Mirror",
    "MissingVariables",
    "NeverEnding",
    "NotFound",
    "NotReverted",
    "Outcome",
    "OutcomeUnknown",
    "Page",
    "PastChange",
    "PreconditionFailed",
    "Put",
    "RateLimited",
    "Refused",
    "ResultRecord",
    "Snapshot",
    "Stack",
    "StackContents",
    "StackRecord",
    "StackWaits",
    "StacksSnapshot",
    "StacksWatch",
    "Subscription",
    "SubscriptionRecord",
    "TimelineEntry",
    "TooLarge",
    "Transition",
    "Turn",
    "TurnRecord",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "UnusableSettings",
    "Wait",
    "WaitTimeout",
    "Waiter",
    "WaiterRecord",
    "Watch",
    "Why",
    "WhyStep",
    "connect",
    "verify_webhook",
]
