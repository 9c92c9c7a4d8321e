"""The kernel's interfaces, one family of system calls per module."""
