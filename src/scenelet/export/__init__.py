"""Export of a model to an ONNX file, a C header, or a model card."""
