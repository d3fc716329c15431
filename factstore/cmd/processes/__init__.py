"""Server processes run for a while under a supervisor: etcd, Keystone, the API.

``factstore standalone`` and the test-suite share this package, so that what a newcomer starts on a
laptop is what the tests exercise. It guarantees that every child listens on the loopback interface
only, that a child outlives neither ``terminate`` nor the death of its supervisor, and that a child
which fails to start says why. It knows nothing about facts. Linux only.
"""
