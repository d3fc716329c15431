"""The WSGI application: it reads the configuration, connects the packages and orders the middleware."""
