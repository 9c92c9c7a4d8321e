"""Blobs by digest: ingested, verified, then visible."""
