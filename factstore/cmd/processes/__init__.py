"""Server processes under a supervisor: etcd, Keystone and the API.

``factstore standalone`` and the test suite share this package, so that tests exercise the same
processes that users start. Every child listens on the loopback interface only. A child never outlives
``terminate`` or the death of its supervisor, and a child that fails to start reports the cause. The
package knows nothing about facts and needs Linux.
"""
