"""Programs an operator runs. Only this room and ``factstore.wsgi`` compose the others."""
