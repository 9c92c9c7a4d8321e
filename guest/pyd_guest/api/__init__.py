"""The Docker Engine API: one router module per noun, each over a Protocol of what it calls."""
