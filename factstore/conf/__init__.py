"""oslo.config options, one module per group.  Only the composition root reads their values."""
