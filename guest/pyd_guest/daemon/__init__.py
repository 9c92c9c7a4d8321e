"""The composition root: reads the configuration, builds every object, hands them down."""
