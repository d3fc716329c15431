"""From this instance to the stack: where facts come from, and sending those that changed."""
