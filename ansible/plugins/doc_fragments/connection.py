"""The documentation of the options that all plugins have."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of a connection."""

    DOCUMENTATION = """
options:
  url:
    description:
      - The URL of the service, such as C(http://127.0.0.1:8796).
      - Without O(url) and O(cloud), the C(OS_*) variables of the environment are used.
    type: str
  grant:
    description:
      - The grant to authenticate with at O(url), in the form C(ID.SECRET).
    type: str
  cloud:
    description:
      - The cloud in C(clouds.yaml) to authenticate with. This needs openstacksdk.
    type: str
requirements:
  - openstack-factstore
"""
