"""oslo.config options, one module for each group.  Only the composition root reads their values."""
