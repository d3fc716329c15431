"""What of factstore's part in Heat needs no Heat."""
