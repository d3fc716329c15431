"""The console: web pages that show stacks live, and the session with which they use the API.

The pages are static files that speak only the public API. This room serves the files and exchanges a
password for a token in a cookie; it knows nothing of stacks, and Keystone only as a port.
"""
