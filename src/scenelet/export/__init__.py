"""Export of a model to ONNX and TensorFlow Lite, a C program, a web page, or a model card."""
