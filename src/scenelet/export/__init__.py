"""A model for other programs: ONNX files, a C header, a card in Markdown. Without PyTorch."""
