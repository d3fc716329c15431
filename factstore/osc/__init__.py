"""The commands ``openstack fact ...`` of OpenStackClient.

Each command parses its arguments, makes a few calls of :mod:`factstore.client` and returns rows.
OpenStackClient reads the configuration, gets tokens and formats the rows.  Errors are those of the
client, with the texts of the service.
"""
