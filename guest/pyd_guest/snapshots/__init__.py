"""Unpacked layers and writable container layers, joined by overlayfs."""
