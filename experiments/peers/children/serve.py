"""What every peer's process does, whatever the peer: it answers requests, or it predicts one galaxy and ends.

In: requests as JSON lines on standard input (`load`, `measure`, `answers`). Out: one JSON line for each on standard
output; whatever a library prints goes to standard error. A peer is an object with

    settings                    ways to run it that its documentation recommends, each a dict with `instances`
    load(setting, batch)        → (predictors, facts): a callable for each instance, and what the peer says of itself
    inputs(images, magnitudes, setting)     → the arguments of a predictor, in the layout that the peer likes
    versions()                  → names and versions

Nothing here knows how the peer is compared, and nothing is timed that is not the peer's: inputs lie in memory, in the
peer's own layout, before the clock starts.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import statistics
import sys
import threading
import time

import numpy

SLICE_SECONDS = 0.15  # Or one batch, where that takes longer.
SLICES_MIN = 3


def main(make_peer):
    parser = argparse.ArgumentParser()
    parser.add_argument("variant")
    parser.add_argument("folder", type=pathlib.Path, help="that holds the model and the galaxies")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--first", type=json.loads, metavar="SETTING", help="predict one galaxy and end")
    options = parser.parse_args()
    peer = make_peer(options.variant, options.folder, options.threads)
    images, magnitudes = (
        numpy.load(options.folder / f"{name}.npy", mmap_mode="r" if options.first else None)
        for name in ("images", "magnitudes")
    )
    if options.first:
        (predict, *_), _ = peer.load(options.first, 1)
        arguments = peer.inputs(numpy.array(images[:1]), numpy.array(magnitudes[:1]), options.first)
        print(*numpy.asarray(predict(*arguments)).ravel(), flush=True)
    else:
        serve(peer, images, magnitudes)


def serve(peer, images, magnitudes):
    answer_to = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(reply):
        answer_to.write(json.dumps(reply) + "\n")
        answer_to.flush()

    answer({"settings": peer.settings, "versions": peer.versions()})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "load":
                setting, batch = request["setting"], request["batch"]
                predictors, facts = peer.load(setting, batch)
                arguments = peer.inputs(images[:batch], magnitudes[:batch], setting)
                for predict in predictors:
                    predict(*arguments)
                answer({"facts": facts})
            elif request["do"] == "measure":
                answer({"images_per_s": rate(predictors, arguments, batch, request["seconds"])})
            elif request["do"] == "answers":
                pieces = range(0, len(images), batch)
                parts = [(images[start : start + batch], magnitudes[start : start + batch]) for start in pieces]
                # Copied, since a peer may answer with its own buffer.
                answers = [numpy.array(predictors[0](*peer.inputs(*part, setting))).ravel() for part in parts]
                answer({"redshift": numpy.concatenate(answers).astype("float64").tolist()})
            else:
                raise ValueError(f"request `{request['do']}` is not known: load, measure or answers")
        except Exception as error:  # A peer that cannot do it is left out; the others are measured all the same.
            text = str(error).strip() or type(error).__name__
            print(f"{type(error).__name__}: {text}", file=sys.stderr, flush=True)
            answer({"error": text.splitlines()[0][:300]})


def rate(predictors, arguments, batch, seconds):
    """Images per second, as `cosmicai bench` counts them: the median over slices, so that a moment in which the machine
    did something else does not count. Instances run at once, each in a thread of its own, and their rates add up.
    """
    together = threading.Barrier(len(predictors))

    def loop(predict):
        predict(*arguments)
        together.wait()
        rates = []
        end = time.perf_counter() + seconds
        while len(rates) < SLICES_MIN or time.perf_counter() < end:
            start, elapsed, done = time.perf_counter(), 0.0, 0
            while elapsed < SLICE_SECONDS:
                predict(*arguments)
                done += batch
                elapsed = time.perf_counter() - start
            rates.append(done / elapsed)
        return statistics.median(rates)

    if len(predictors) == 1:
        return loop(predictors[0])
    with concurrent.futures.ThreadPoolExecutor(len(predictors)) as pool:
        return sum(pool.map(loop, predictors))
