"""A fast path to the services for the requests that a cluster sends most often.

The server reads such a request, calls the service and sends the response without gunicorn's parser,
the middlewares and Flask.  The fast path knows few operations, few headers and nothing odd: a request
that it does not know completely is passed on as it arrived, before anything is done.  So Flask stays
the only description of the API, and the fast path gives the answers that the views would give.
"""
