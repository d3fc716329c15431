#!/usr/bin/python3
"""Exit with 0 if the process in this container answers its healthcheck, and with 1 otherwise.

FACTSTORE_HEALTHCHECK is the URL. The notifier's has the port that [notify] sets.
"""

import os
import sys
import urllib.error
import urllib.request

URL = os.environ.get("FACTSTORE_HEALTHCHECK", "http://127.0.0.1:8796/healthcheck")

try:
    # The request stays in the container, whatever proxy its environment names.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(URL, timeout=4) as response:
        print(response.read().decode().strip())
except (OSError, ValueError) as error:
    reason = error.read().decode().strip() if isinstance(error, urllib.error.HTTPError) else error
    print(f"{URL}: {reason}", file=sys.stderr)
    sys.exit(1)
