"""Commands about images: one module per verb."""
