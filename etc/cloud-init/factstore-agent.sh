#!/bin/sh
# Makes a machine a member of the stack "slurm", in the group "compute". Use it as user data, or let root run it.
# Replace URL (in two places), SHA256 (in two places) and GRANT as described in factstore-agent.yaml.
set -eu
umask 077
mkdir -p /etc/factstore
chmod 0755 /etc/factstore
mkdir -p /etc/systemd/system
chmod 0755 /etc/systemd/system
printf %s 'GRANT
' >/etc/factstore/grant
chmod 0600 /etc/factstore/grant
printf %s '[agent]
stack = slurm
group = compute

[service]
url = URL
grant_file = /etc/factstore/grant
' >/etc/factstore/agent.conf
chmod 0600 /etc/factstore/agent.conf
printf %s '# Download factstore-agent and check its digest. While the network comes up, try again.
import hashlib
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request

URL = "URL/v1/agent?sha256=SHA256"
SHA256 = "SHA256"
TARGET = "/usr/local/bin/factstore-agent"
CACERT = None  # None: the certificates of the system
PROXY = None  # None: the one in the environment; "none": no proxy
SECONDS = 600


def download():
    context = ssl.create_default_context(cafile=CACERT)
    # Accept what private CAs issue, as the agent and curl do: Python 3.13 is stricter.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= 0x80000  # an intermediate CA in CACERT is enough
    handlers = [urllib.request.HTTPSHandler(context=context)]
    if PROXY:
        proxies = {} if PROXY == "none" else {"http": PROXY, "https": PROXY}
        handlers.append(urllib.request.ProxyHandler(proxies))
    with urllib.request.build_opener(*handlers).open(URL, timeout=30) as answer:
        content = answer.read()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise ValueError("its sha256 is %s, and the user data name %s" % (found, SHA256))
    os.makedirs(os.path.dirname(TARGET), exist_ok=True)
    with open(TARGET + ".new", "wb") as file:
        file.write(content)
    os.chmod(TARGET + ".new", 0o755)
    os.replace(TARGET + ".new", TARGET)


def reason(error):
    if isinstance(error, urllib.error.HTTPError):
        try:
            return "%s: %s" % (error, json.loads(error.read().decode())["detail"])
        except Exception:
            pass
    return str(error) or type(error).__name__


def report(text, console=False):
    print("factstore: " + text, flush=True)
    if console:
        try:
            with open("/dev/console", "w") as file:
                file.write("factstore: " + text + "\n")
        except OSError:
            pass


end, pause, last = time.monotonic() + SECONDS, 1, ""
while True:
    try:
        download()
        break
    except Exception as error:
        why = reason(error)
    if time.monotonic() > end:
        report("the agent was not installed, so this instance is not a member of its stack. "
               "%s cannot be downloaded: %s. When this is mended, run '"'"'python3 %s'"'"', then "
               "'"'"'systemctl daemon-reload'"'"' and '"'"'systemctl enable --now factstore-agent'"'"'."
               % (URL, why, os.path.abspath(__file__)), console=True)
        sys.exit(1)
    if why != last:
        report("%s cannot be downloaded yet: %s" % (URL, why))
    last, pause = why, min(pause * 2, 30)
    time.sleep(pause)
' >/etc/factstore/fetch_agent.py
chmod 0644 /etc/factstore/fetch_agent.py
printf %s '[Unit]
Description=factstore agent
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
NotifyAccess=main
ExecStart=/usr/local/bin/factstore-agent run
# The agent restarts itself with the current program and configuration, as the same member.
# With a restart of the unit, the member would depart first.
ExecReload=/bin/kill -HUP $MAINPID
# The agent ends a running hook itself. Services that hooks have started go on.
KillMode=process
# Time for a hook to end and for the member to depart.
TimeoutStopSec=60
Restart=on-failure
RestartSec=5
# The configuration is wrong, or another agent is this member.
RestartPreventExitStatus=2 3
StateDirectory=factstore-agent
StateDirectoryMode=0700
UMask=0022

# Hooks configure the instance and may need any of the other permissions that systemd could
# remove.
KeyringMode=private
LockPersonality=true
ProtectKernelLogs=true

[Install]
WantedBy=multi-user.target
' >/etc/systemd/system/factstore-agent.service
chmod 0644 /etc/systemd/system/factstore-agent.service
python3 /etc/factstore/fetch_agent.py
systemctl daemon-reload
systemctl enable --now factstore-agent
