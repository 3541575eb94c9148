"""Network with norms and ReLUs fused into convolutions, from which `.tflite` files and C sources are written."""
