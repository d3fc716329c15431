"""The parts of ``factstore-notify`` that the room ``notify`` gets from outside."""
