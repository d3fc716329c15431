"""The agent's session with the service: its credential, its grant and its membership."""
