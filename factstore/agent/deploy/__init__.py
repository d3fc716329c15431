"""From the stack's configurations to this instance: hooks run each of them once, in order."""
