"""factstore's part in Heat, tried on a real Heat with a real Keystone, service and etcd."""
