"""`make bench`: pyd and a dockerd side by side on one machine, with the same client and image."""
