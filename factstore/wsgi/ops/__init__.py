"""Operators' concerns: health, logs, policy files, limits, metrics of several processes."""
