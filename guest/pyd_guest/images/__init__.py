"""Images: manifests, configs, tags; load, import and pull."""
