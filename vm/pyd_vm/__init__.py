"""A booted guest and a byte stream to it."""
