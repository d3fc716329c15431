"""Auto-scaling: the instances of a Heat stack are members of its fact space.

Events and notifications only state where something changed.  The controller reads what exists now,
plans the difference and carries it out, so it does not matter if they are late, repeated, out of
order or lost.
"""
