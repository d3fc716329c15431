"""The messages and the stubs of etcd's API: the only module that imports the package ``etcd3``.

Nothing else of that package is used.  "The etcd library" in the architecture's page names what replaces
it, and ``tests/etcd_messages`` has a description of the same messages.
"""

from etcd3.etcdrpc import (
    AuthenticateRequest,
    AuthStub,
    CompactionRequest,
    Compare,
    DeleteRangeRequest,
    KVStub,
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    LeaseKeepAliveResponse,
    LeaseRevokeRequest,
    LeaseStub,
    LeaseTimeToLiveRequest,
    MaintenanceStub,
    MemberListResponse,
    PutRequest,
    RangeRequest,
    RangeResponse,
    RequestOp,
    StatusRequest,
    TxnRequest,
    TxnResponse,
    WatchCreateRequest,
    WatchRequest,
    WatchStub,
)

__all__ = [
    "AuthStub",
    "AuthenticateRequest",
    "CompactionRequest",
    "Compare",
    "DeleteRangeRequest",
    "KVStub",
    "LeaseGrantRequest",
    "LeaseKeepAliveRequest",
    "LeaseKeepAliveResponse",
    "LeaseRevokeRequest",
    "LeaseStub",
    "LeaseTimeToLiveRequest",
    "MaintenanceStub",
    "MemberListResponse",
    "PutRequest",
    "RangeRequest",
    "RangeResponse",
    "RequestOp",
    "StatusRequest",
    "TxnRequest",
    "TxnResponse",
    "WatchCreateRequest",
    "WatchRequest",
    "WatchStub",
]
