"""One upstream watch, many readers.

Every reader receives every event of its stack once, in order and complete, or an error if that is
impossible.  This package does not depend on the database or on HTTP.
"""
