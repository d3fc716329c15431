"""HTTP with the standard library: connections, trust in servers, and proxies.

It sends a request to where its URL points, through the proxy that is configured for that, and with the
headers that the caller gives.  It follows no redirect, reads no password from the machine, and notices
an answer that ended early.  It does not know factstore.
"""
