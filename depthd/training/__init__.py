"""How the built-in network is made; never imported by the service.

One command does it all: `pip install -e ".[train]"`, then `python -m depthd.training`.
`scenes/` builds and renders places with exact depth, `doom` draws frames of game levels, `dataset`
turns them into batches, `train` learns, `evaluate` measures, `card` writes down what came out.
"""
