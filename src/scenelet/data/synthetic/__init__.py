"""Synthetic acoustic scenes, for the demo and for tests that need no download.

- `dataset`: write a data set of recordings and its table.
- `scenes`: the three classes of locations: indoor, outdoor, transportation.
- `background`: the background noise of a location, and the recorder.
- `sounds`: sound sources, rooms and movement.
"""
