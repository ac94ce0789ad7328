"""The operating system: durable files, the service manager. Knows nothing of photos."""
