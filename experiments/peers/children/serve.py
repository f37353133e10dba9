"""Main loop of every peer process: answers requests, or predicts one galaxy and exits.

Input: requests as JSON lines on standard input (`load`, `measure`, `answers`). Output: one JSON line per request on
standard output; the output of libraries goes to standard error. A peer is an object with

    settings                    settings that its documentation recommends, each a dict with `instances`
    load(setting, batch)        → (predictors, facts): one callable per instance, and a dict of facts for the record
    inputs(images, magnitudes, setting)     → the arguments of a predictor, in the layout that the peer prefers
    versions()                  → names and versions

This module does not compare peers. It times the peer only: the inputs are in memory, in the peer's layout, before the
clock starts.
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

SLICE_SECONDS = 0.15  # Or one batch, if that takes longer.
SLICES_MIN = 3


def main(make_peer):
    parser = argparse.ArgumentParser()
    parser.add_argument("variant")
    parser.add_argument("folder", type=pathlib.Path, help="folder of the model and the galaxies")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--first", type=json.loads, metavar="SETTING", help="predict one galaxy and exit")
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
                # Copy, because a peer may return its own buffer.
                answers = [numpy.array(predictors[0](*peer.inputs(*part, setting))).ravel() for part in parts]
                answer({"redshift": numpy.concatenate(answers).astype("float64").tolist()})
            else:
                raise ValueError(f"request `{request['do']}` is unknown: expected load, measure or answers")
        except Exception as error:  # A peer that fails is left out; the others are still measured.
            text = str(error).strip() or type(error).__name__
            print(f"{type(error).__name__}: {text}", file=sys.stderr, flush=True)
            answer({"error": text.splitlines()[0][:300]})


def rate(predictors, arguments, batch, seconds):
    """Returns images per second, measured like `cosmicai bench`: the median over time slices, which ignores short
    disturbances. Instances run concurrently in their own threads, and their rates are added.
    """
    barrier = threading.Barrier(len(predictors))

    def loop(predict):
        predict(*arguments)
        barrier.wait()
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
