"""From a photo's bytes to its depth; the public Python interface."""
