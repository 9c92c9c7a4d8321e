"""Commands about containers: one module per verb."""
