"""WSGI middleware: request ids, rates, metrics."""
