"""Authentication: Keystone tokens, grants, or none; each sets the request's identity."""
