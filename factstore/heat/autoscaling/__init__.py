"""Instances of a Heat stack become members: events and notifications, the plan, and its execution."""
