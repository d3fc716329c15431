"""A description of etcd's messages, which can take the place of the package ``etcd3``."""
