"""The directory that ``plugin_dirs`` in Heat's configuration names."""
