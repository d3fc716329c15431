"""From the stack to this instance: files are written, then hooks run."""
