"""Delivers events to the targets of subscriptions, in order, at least once.

Any number of notifiers share the subscriptions.  A target may be slow, broken or hostile: nothing that
it does delays another target, and no request is sent to an address that the operator has not allowed.
The room reads no configuration and renders no events; ``factstore.cmd`` provides both.
"""
