"""The `pyd` command: one module per noun."""
