"""Commands about the engine itself."""
