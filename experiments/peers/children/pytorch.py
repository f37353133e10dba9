"""PyTorch as a peer. Variants: eager, torchscript, compile (float32) and bf16 (bfloat16, eager or compiled)."""

import contextlib

import definition
import serve
import torch

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def settings(variant, threads):
    """Returns the forms, casts, layouts and numbers of instances to try. The instances share the threads equally."""
    # Try few batch sizes, because each is compiled for a minute or more. Try one instance, because compiled code holds
    # Python's global lock and several instances would wait for each other.
    compiled = {"form": "compile", "instances": 1, "batches": (32, 128, 256)}
    ways = [{"layout": layout, "instances": count} for layout in LAYOUTS for count in sorted({1, threads})]
    if variant == "compile":
        return [{**compiled, "cast": "none", "layout": layout} for layout in LAYOUTS]
    if variant == "bf16":
        eager = [{"form": "eager", "cast": cast, **way} for cast in ("autocast", "whole") for way in ways]
        return [*eager, {**compiled, "cast": "autocast", "layout": "contiguous"}]
    return [{"form": variant, "cast": "none", **way} for way in ways]


class PyTorch:
    def __init__(self, variant, folder, threads):
        self.variant, self.folder, self.threads = variant, folder, threads
        self.settings = settings(variant, threads)

    def versions(self):
        return {"torch": torch.__version__}

    def load(self, setting, batch):
        instances = setting["instances"]
        threads = self.threads // instances
        torch.set_num_threads(threads)
        if setting["form"] == "torchscript":
            model = torch.jit.optimize_for_inference(torch.jit.load(str(self.folder / "frozen.ts")))
        else:
            model = definition.load(self.folder / "model.safetensors").to(memory_format=LAYOUTS[setting["layout"]])
        if setting["cast"] == "whole":
            model = model.bfloat16()
        if setting["form"] == "compile":
            from torch._inductor import config  # Import here: it takes half a second, which other forms do not need.

            config.freezing = True
            torch._dynamo.reset()
            model = torch.compile(model)
        cast = setting["cast"]

        def predict(images, magnitudes):
            if instances > 1:
                torch.set_num_threads(threads)  # The setting is per thread.
            autocast = torch.autocast("cpu", torch.bfloat16) if cast == "autocast" else contextlib.nullcontext()
            # Inductor freezes weights only under no_grad.
            with torch.no_grad() if setting["form"] == "compile" else torch.inference_mode(), autocast:
                return model(images, magnitudes).float()

        facts = {"bf16_instructions": bf16_instructions()} if self.variant == "bf16" else {}
        return [predict] * instances, facts

    def inputs(self, images, magnitudes, setting):
        images, magnitudes = torch.from_numpy(images), torch.from_numpy(magnitudes)
        images = images.to(memory_format=LAYOUTS[setting["layout"]])
        return (images.bfloat16(), magnitudes.bfloat16()) if setting["cast"] == "whole" else (images, magnitudes)


def bf16_instructions():
    """Returns true if oneDNN, the matrix library of PyTorch, supports bfloat16 on this CPU."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


if __name__ == "__main__":
    serve.main(PyTorch)
