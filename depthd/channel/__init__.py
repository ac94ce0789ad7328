"""Between supervisor and worker: what they say, and the socket pair that carries it.

The only room that both of them share beside `contract`, `config` and `system`.
"""
