"""The verbs: `fit`, `compress`, `evaluate`, `reproduce`, `submit` and `demo`, a file each. They join the rooms below.

Nothing is imported here: `evaluate` and `submit` work without PyTorch, the others do not.
"""
