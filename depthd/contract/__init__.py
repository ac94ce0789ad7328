"""What users and other programs rely on, each declared once: errors, events, states, names, files.

The docs and the tests are made from here. Knows the standard library and pydantic, no other room.
"""
