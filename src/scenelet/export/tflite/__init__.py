"""Export of a model to a TensorFlow Lite file (`.tflite`), and its comparison with the model in two interpreters."""
