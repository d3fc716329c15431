"""The parts of the Heat plugins that do not need Heat."""
