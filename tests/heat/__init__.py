"""Tests of factstore's Heat plugins with a real Heat, Keystone, service and etcd."""
