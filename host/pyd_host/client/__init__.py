"""The Docker Engine API as a client: HTTP over a unix socket or TCP, and streams."""
