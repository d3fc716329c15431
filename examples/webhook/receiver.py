"""A receiver of events, to copy. It needs only Python.

SECRET=whsec_... python3 receiver.py 8000
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["SECRET"].removeprefix("whsec_"))
seen = deque(maxlen=10_000)  # ids of events: store them with what you make of the events


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        message_id, sent_at = self.headers["webhook-id"], self.headers["webhook-timestamp"]
        signed = f"{message_id}.{sent_at}.".encode() + body
        wanted = "v1," + base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
        signatures = self.headers["webhook-signature"].split()
        valid = any(hmac.compare_digest(wanted, each) for each in signatures)
        if not valid or abs(time.time() - int(sent_at)) > 300:
            self.answer(401, {"error": "not signed with the secret, or too old"})
            return
        message = json.loads(body)
        events = message if isinstance(message, list) else [message]
        for event in events:
            if event["id"] not in seen:  # otherwise an answer was lost, and it was sent again
                print(event["type"], event["source"], json.dumps(event["data"]), flush=True)
                seen.append(event["id"])
        self.answer(200, {"challenge": events[0]["data"].get("challenge")})

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
