"""Export: ONNX, C header, model card."""
