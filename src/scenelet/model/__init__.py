"""The `.scn` model file: its operations, header, weights, sizes and costs.

A model is a `scene_model.SceneModel`. Read and write one with `file.read_model` and `file.write_model`.
"""
