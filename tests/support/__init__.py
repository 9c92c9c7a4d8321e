"""What the tests share: namespaces, engines, inventories, probes of the machine."""
