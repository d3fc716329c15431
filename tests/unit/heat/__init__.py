"""Tests of the parts of the Heat plugins that do not import Heat."""
