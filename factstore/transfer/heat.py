"""Reads what Heat keeps: the metadata of a resource, and software deployments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from factstore.client import Put
from factstore.client.render import Omit
from factstore.transfer.paths import puts

Get = Callable[[str], Mapping[str, Any]]
"""Returns the JSON at a path below Heat's endpoint of the project."""

_READER = "os-collect-config"
_DEPLOYMENTS = {
    "OS::Heat::SoftwareDeployment",
    "OS::Heat::StructuredDeployment",
    "OS::TripleO::SoftwareDeployment",
}
_STATES = {"COMPLETE": "complete", "FAILED": "failed", "IN_PROGRESS": "in_progress"}
_STREAMS = {"deploy_stdout": "stdout", "deploy_stderr": "stderr", "deploy_status_code": "exit_code"}


def read_metadata(get: Get, stack: str, resource: str, omit: Omit) -> list[Put]:
    """Return the live metadata of a resource as facts, one for each key.

    The settings with which os-collect-config reads the metadata are left out: they contain keys.
    """
    path = f"{_path(get, stack)}/resources/{quote(resource, safe='')}/metadata"
    metadata = dict(get(path)["metadata"] or {})
    reader = metadata.get(_READER)
    if isinstance(reader, dict) and "cfn" in reader:
        metadata[_READER] = {key: value for key, value in reader.items() if key != "cfn"}
        if not metadata[_READER]:
            del metadata[_READER]
    return puts(metadata, omit)


def read_deployments(get: Get, stack: str, omit: Omit) -> list[Put]:
    """Return the software deployments of a stack and of its nested stacks.

    The configuration and the inputs become ``configs/<server>/<name>``, and the outputs
    ``results/<server>/<name>``. A server has the name of its resource in Heat.
    """
    listed = get(f"{_path(get, stack)}/resources?nested_depth=5")["resources"]
    servers = {
        each["physical_resource_id"]: each["resource_name"]
        for each in listed
        if each["physical_resource_id"] and each["resource_type"].startswith("OS::Nova::Server")
    }
    return puts(_deployments(get, listed, servers), omit)


def _path(get: Get, stack: str) -> str:
    """Return the path of a stack by its name or its id.

    Heat redirects from a name to the stack, but neither from the paths below it nor with a query.
    """
    found = get(f"/stacks/{quote(stack, safe='/')}")["stack"]
    return f"/stacks/{quote(found['stack_name'], safe='')}/{found['id']}"


def _deployments(
    get: Get, listed: list[Mapping[str, Any]], servers: Mapping[str, str]
) -> Iterator[tuple[str, Any]]:
    for each in listed:
        if each["resource_type"] not in _DEPLOYMENTS or not each["physical_resource_id"]:
            continue
        found = get(f"/software_deployments/{each['physical_resource_id']}")["software_deployment"]
        config = get(f"/software_configs/{found['config_id']}")["software_config"]
        server = servers.get(found["server_id"], found["server_id"])
        name = each["resource_name"]
        yield f"configs/{server}/{name}", _configuration(found, config)
        yield f"results/{server}/{name}", _result(found)


def _configuration(deployment: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    values = {each["name"]: each.get("value") for each in config.get("inputs") or []}
    values |= deployment.get("input_values") or {}
    return {
        "group": config.get("group") or "Heat::Ungrouped",
        "config": config.get("config") or "",
        "inputs": values,
        "outputs": [each["name"] for each in config.get("outputs") or []],
        "action": deployment.get("action") or "CREATE",
    }


def _result(deployment: Mapping[str, Any]) -> dict[str, Any]:
    outputs = dict(deployment.get("output_values") or {})
    found: dict[str, Any] = {"state": _STATES.get(deployment.get("status") or "", "in_progress")}
    for name, known in _STREAMS.items():
        if name in outputs:
            found[known] = outputs.pop(name)
    if deployment.get("status_reason"):
        found["reason"] = deployment["status_reason"]
    return {**found, "outputs": outputs}
