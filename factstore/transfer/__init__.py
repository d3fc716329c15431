"""Moves facts between stacks, files and Heat: formats in both directions, and what differs.

Readers of files do not trust them: a path that is not valid is left out and reported. This room does
not know the command line.
"""
