"""ONNX Runtime as a peer: float32, all graph optimisations, fixed batch size."""

import onnxruntime
import serve


class OnnxRuntime:
    def __init__(self, variant, folder, threads):
        self.folder, self.threads = folder, threads
        self.settings = [{"instances": instances} for instances in sorted({1, threads})]

    def versions(self):
        return {"onnxruntime": onnxruntime.__version__}

    def load(self, setting, batch):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads = self.threads // setting["instances"]
        options.inter_op_num_threads = 1
        options.add_free_dimension_override_by_name("batch", batch)
        path = str(self.folder / "model.onnx")
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

        def predict(images, magnitudes):
            return session.run(None, {"images": images, "magnitudes": magnitudes})[0]

        return [predict] * setting["instances"], {}

    def inputs(self, images, magnitudes, setting):
        return images, magnitudes


if __name__ == "__main__":
    serve.main(OnnxRuntime)
