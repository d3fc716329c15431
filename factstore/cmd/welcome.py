"""The lines that ``factstore standalone`` prints once it serves requests."""

from __future__ import annotations

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

from factstore.cmd.standalone_settings import Settings

_PYTHON = (
    'from factstore.client import connect; print(connect().stack("demo").get("services/web").value)'
)


def welcome(settings: Settings) -> str:
    """Return where everything is, and commands to begin with."""
    url, state = settings.url, settings.state
    logs = [settings.api_log, state / "etcd.log"]
    if settings.keystone:
        logs.append(state / "keystone.log")
    lines = [
        f"factstore is running at {url} (stop it with Ctrl-C)",
        f"  data           {state / 'etcd'}",
        f"  configuration  {settings.config}, and {settings.own_config} for settings of your own",
        f"  logs           {', '.join(map(str, logs))}",
    ]
    lines.append(f"  console        {url}/console/")
    if find_spec("flask_swagger_ui") is not None:
        lines.append(f"  in a browser   {url}/v1/docs")
    curl = "curl"
    if settings.keystone:
        lines.append(
            "  facts          of Keystone's projects; those put without KEYSTONE=1 have none"
        )
        lines += [f"  credentials    {settings.openrc(name)}" for name in settings.logins]
        lines += [f"                 {settings.clouds}"]
        openrc = shlex.quote(str(settings.openrc("owner")))
        lines += ["", "Get a token:", f"  TOKEN=$(. {openrc}; {_factstore()} token)"]
        curl = 'curl -H "X-Auth-Token: $TOKEN"'
    stack = f"{url}/v1/stacks/demo"
    lines += [
        "",
        "Put a fact:",
        f"  {curl} -X PUT -d started {stack}/facts/services/web",
        "Wait for a fact, then put it from a second terminal:",
        f"  {curl} '{stack}/facts/nodes/head/ip?wait=50&format=raw'",
        "Follow the changes of the stack:",
        f"  {curl} -N -H 'Accept: text/event-stream' '{stack}/events'",
        "Read the fact in Python, as clients and examples do:",
    ]
    if settings.keystone:
        lines.append(f"  . {openrc}")
    else:
        lines.append(f"  export OS_AUTH_TYPE=none OS_ENDPOINT={url}")
    lines += [
        f"  {shlex.quote(sys.executable)} -c {shlex.quote(_PYTHON)}",
        "The same with OpenStackClient and the extra [osc]:",
        "  openstack fact get demo services/web -f value -c value",
    ]
    return "\n".join(lines)


def _factstore() -> str:
    script = Path(sys.executable).with_name("factstore")
    if script.exists():
        return shlex.quote(str(script))
    return shlex.join([sys.executable, "-m", "factstore.cmd.main"])
