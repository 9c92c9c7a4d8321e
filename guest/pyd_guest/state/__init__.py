"""The state database: what should be."""
