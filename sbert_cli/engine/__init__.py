"""The engine: device and precision, packing, the encode loop."""
