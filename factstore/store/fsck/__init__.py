"""An offline check of the store: undecodable records, orphans, missing keys, and their repair."""
