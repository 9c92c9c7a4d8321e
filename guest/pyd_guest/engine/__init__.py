"""Containers, execs and events: what the API asks for, done step by step."""
