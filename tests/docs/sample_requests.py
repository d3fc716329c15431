"""The requests of the samples of the API reference."""

from __future__ import annotations

STACK_PUT = {"description": "A batch cluster"}
FACT_PUT = {"value": {"address": "10.0.0.5", "cores": 8}, "kind": "observed", "ttl": 300}
MEMBER_PUT = {"group": "compute", "ttl": 30, "attributes": {"rack": "r1", "cores": 8}}

MEMBER_DECLARE = {
    "group": "compute",
    "declared": "heat:8f6c2d1e-5b0a-4c3f-9e7d-2a1b0c9d8e7f",
    "reason": "scaled_out",
    "attributes": {"resource_type": "OS::Nova::Server", "resource_name": "compute"},
}

READ_SET_PUT = {
    "facts": ["nodes/", "nodes/*/ip", "partition"],
    "groups": ["head"],
}

BATCH = {
    "guards": [
        {"path": "nodes/head", "exists": True},
        {"path": "services/slurmctld", "absent": True},
    ],
    "operations": [
        {"put": {"path": "services/slurmctld", "value": "started"}},
        {"put": {"path": "partition", "value": "debug", "kind": "parameter"}},
        {
            "put": {
                "path": "keys/munge",
                "value": "b25lIGtleSBmb3IgdGhlIGNsdXN0ZXI=",
                "sensitive": True,
                "readers": ["group/compute", "group/head"],
            }
        },
        {"delete": {"path": "notes/maintenance"}},
    ],
}

DRY_RUN = {
    "operations": [
        {"put": {"path": "nodes/c1/services/slurmd", "value": "started"}},
        {"put": {"path": "nodes/head", "value": {"address": "10.0.0.6", "cores": 8}}},
        {"put": {"path": "nodes/c2/error", "value": "no disk"}},
    ]
}

CONFIGURATION_PUT = {
    "group": "script",
    "config": "#!/bin/sh\necho http://$address/ > $heat_outputs_path.url\n",
    "inputs": {"address": "10.0.0.6"},
    "input_facts": {"password": "secrets/database"},
    "outputs": ["url"],
    "depends_on": ["head/database"],
    "timeout": 600,
}
PROGRESS = {"percent": 40, "message": "unpacking"}

ACTION_POST = {
    "hook": "script",
    "config": "#!/bin/sh\nsystemctl restart slurmd\n",
    "group": "compute",
    "max_parallel": 10,
    "timeout": 120,
}
ACTION_REPORT = {"state": "complete", "status_code": 0, "stdout": "restarted\n"}

WAITER_PUT = {
    "success": {
        "all": [
            {"facts": "nodes/*/services/slurmd", "equals": "started", "count": 2},
            {"signals": 2},
        ]
    },
    "failure": {"facts": "nodes/*/error", "present": True},
    "timeout": 600,
    "extend_on_progress": True,
}

ALARM_PUT = {
    "condition": {
        "aggregate": {
            "function": "avg",
            "fact": "load",
            "group": "compute",
            "at_least": 0.8,
            "clear": 0.5,
        }
    },
    "for": 30,
    "quiet": 120,
    "repeat": 120,
}
GRANT_POST = {"role": "agent", "member": "c1", "group": "compute", "ttl": 604800}
GROUP_POST = {"role": "agent", "group": "compute"}
ENROLMENT = {"member": "c2"}
RENEWAL = {"ttl": 86400}

SUBSCRIPTION_POST = {
    "target": "https://receiver.example.com/factstore",
    "name": "Portal",
    "stacks": ["slurm", "web-*"],
    "types": ["fact.put", "member.join", "member.expire"],
    "max_events": 10,
    "max_delay": 1,
}
SUBSCRIPTION_PATCH = {"paused": True}
CONFIRMATION = {"challenge": "challenge-eJJ7vBkf3HsoL2Q8Ab0rXW9oGOxcZEQDjOSEcE3iIvM"}
ROTATION = {"overlap": 3600}
TURN_PUT = {"max_parallel": 2, "rank": True}
SIGNAL = {"status": "SUCCESS", "reason": "installed", "id": "c1", "data": {"version": "23.11"}}

HOOK_SIGNAL = {
    "deploy_stdout": "done\n",
    "deploy_stderr": "",
    "deploy_status_code": 0,
    "port": "5432",
}
