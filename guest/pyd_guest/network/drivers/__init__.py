"""The kinds of network: one module per driver of the Container Network Model."""
