"""Models as files for ONNX Runtime and OpenVINO, written and run."""
