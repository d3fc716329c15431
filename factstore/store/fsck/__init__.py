"""Checking a store offline: damaged records, orphans, and the removal of a project."""
