"""The Container Network Model: Controller, Network, Endpoint, Sandbox, IPAM, drivers."""
