"""A trained agent's step as a graph, for programs without this package: ONNX, and torch.export's programs."""
