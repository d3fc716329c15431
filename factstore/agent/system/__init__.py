"""The operating system, as the agent uses it: programs, files, addresses, systemd, the log."""
