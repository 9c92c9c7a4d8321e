"""The part of pyd that runs where the user types: the CLI, its client and the host agent."""
