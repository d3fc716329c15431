"""Bodies that are refused, each with its answer: a module for each noun."""
