"""Bundles, the OCI runtime (crun, runc) and the monitor (conmon)."""
