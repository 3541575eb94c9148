"""The verbs: `fit`, `compress`, `evaluate` and `demo`, a file each. They join the rooms below.

Nothing is imported here: `evaluate` works without PyTorch, the others do not.
"""
