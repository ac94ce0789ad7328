"""The network: what it is, where its weights come from, and the engines that run it."""
