"""What the numbers of a depth file mean: one module for each kind, all give inverse depth.

`lidar` makes sparse ones smaller, whatever their kind.
"""
