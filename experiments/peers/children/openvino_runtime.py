"""OpenVINO as a peer. Variants: f32 and bf16 (precision hints for one model), and int8 (quantised by `quantize.py`)."""

import os

import openvino
import serve


class OpenVino:
    def __init__(self, variant, folder, threads):
        self.variant, self.folder, self.threads = variant, folder, threads
        hints = {1: "LATENCY", threads: "THROUGHPUT"} if threads > 1 else {1: "LATENCY"}
        self.settings = [{"hint": hint, "instances": instances} for instances, hint in hints.items()]
        self.core = openvino.Core()
        # Cache compiled models, as the documentation recommends for a fast start.
        self.core.set_property({"CACHE_DIR": os.environ["OPENVINO_CACHE_DIR"]})

    def versions(self):
        return {"openvino": openvino.__version__}

    def load(self, setting, batch):
        model = self.core.read_model(self.folder / ("int8.xml" if self.variant == "int8" else "model.onnx"))
        model.reshape({port: [batch, *port.get_partial_shape()[1:]] for port in model.inputs})
        options = {
            "PERFORMANCE_HINT": setting["hint"],
            "NUM_STREAMS": setting["instances"],
            "INFERENCE_NUM_THREADS": self.threads,
        }
        if self.variant != "int8":  # Layers of an int8 model that are not quantised run in the fastest precision.
            options["INFERENCE_PRECISION_HINT"] = self.variant
        compiled = self.core.compile_model(model, "CPU", options)

        def predictor(request):
            def predict(images, magnitudes):
                inputs = {"images": images, "magnitudes": magnitudes}
                return request.infer(inputs, share_inputs=True, share_outputs=True)[0]

            return predict

        predictors = [predictor(compiled.create_infer_request()) for _ in range(setting["instances"])]
        # Without bfloat16 instructions, OpenVINO silently ignores the hint `bf16`: record the precision that it uses.
        return predictors, {
            "inference_precision": compiled.get_property("INFERENCE_PRECISION_HINT").to_string(),
            "streams": compiled.get_property("NUM_STREAMS"),
            "threads": compiled.get_property("INFERENCE_NUM_THREADS"),
            "cpu_capabilities": self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
        }

    def inputs(self, images, magnitudes, setting):
        return images, magnitudes


if __name__ == "__main__":
    serve.main(OpenVino)
