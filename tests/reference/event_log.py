#!/usr/bin/env python3
"""Event files of TensorBoard: read by its own package, and written by it.

    event_log.py compare --program build/dev/tests/write_events
    event_log.py sample > tests/reference/event_log.hpp

`compare` lets the program write event files and reads them as TensorBoard does: scalars,
histograms, texts, what a resumed run purges, and a last record that is cut off at every
byte. `sample` writes the records of the test that always runs, made by the package's own
protocol buffers and writer.

Needs tensorboard (`pip install tensorboard`) and numpy; without them `compare` says
"SKIPPED:" and ends well.
"""
import argparse
import math
import pathlib
import struct
import subprocess
import sys
import tempfile
import textwrap

try:
    import numpy as np
    import tensorboard.version
    from tensorboard.backend.event_processing import event_accumulator
    from tensorboard.backend.event_processing import event_file_loader
    from tensorboard.backend.event_processing import plugin_event_accumulator
    from tensorboard.compat.proto import event_pb2, histogram_pb2, summary_pb2, tensor_pb2
    from tensorboard.compat.proto import tensor_shape_pb2, types_pb2
    from tensorboard.summary.writer.record_writer import RecordWriter
    from tensorboard.util import tensor_util
    MISSING = None
except ImportError as error:
    MISSING = error

BUCKETS = 30


# ------------------------------------------------------------ compare


def loss(epoch):
    """What the resumed run wrote from epoch 4 on, what the first run wrote before."""
    return 1 / (1 + epoch) + (10 if epoch >= 4 else 0)


def weights(epoch):
    return np.float32([(i * 37 % 1000) / 1000 * (1 + epoch) for i in range(1000)])


def check(what, holds):
    if not holds:
        sys.exit(f"event_log.py: {what}: TensorBoard reads something else")


def check_scalars(found):
    """`found`: tag -> list of (step, value), as TensorBoard shows them."""
    check("steps of loss/total", [s for s, _ in found["loss/total"]] == list(range(9)))
    for step, value in found["loss/total"]:
        check(f"loss at {step}", value == np.float32(30 if step == 8 else loss(step)))
    check("zeros", found["zero"] == [(e, 0.0) for e in range(8)])
    for step, value in found["held-out/mAP"]:
        expected = math.nan if step == 1 else np.float32(0.5 + 0.01 * step)
        check(f"mAP at {step}", value == expected or math.isnan(value) and step == 1)


def check_old_reader(folder):
    reader = event_accumulator.EventAccumulator(
        str(folder), size_guidance={name: 0 for name in event_accumulator.DEFAULT_SIZE_GUIDANCE})
    reader.Reload()
    # It drops later steps only, not the step of the restart itself.
    losses = [(e.step, e.value) for e in reader.Scalars("loss/total")]
    check("restart in the old reader", [s for s, _ in losses].count(5) == 1)
    for event in reader.Histograms("weights"):
        histo, values = event.histogram_value, weights(event.step).astype(float)
        counts, edges = np.histogram(values, BUCKETS)
        check("count", histo.num == 1000 and sum(histo.bucket) == 1000)
        check("range", (histo.min, histo.max) == (values.min(), values.max()))
        check("sum", np.isclose(histo.sum, values.sum(), rtol=1e-12))
        check("squares", np.isclose(histo.sum_squares, (values**2).sum(), rtol=1e-12))
        check("limits", np.allclose(histo.bucket_limit, edges[1:], rtol=1e-12))
        check("buckets", np.abs(np.float64(histo.bucket) - counts).max() <= 1)  # at edges
    constant = reader.Histograms("constant")[0].histogram_value
    check("constant", (constant.bucket_limit, constant.bucket) == ([2.0], [5.0]))
    check("nothing", reader.Histograms("nothing")[0].histogram_value.num == 0)


def check_reader(folder):
    reader = plugin_event_accumulator.EventAccumulator(str(folder), size_guidance={"tensors": 0})
    reader.Reload()
    found = {}
    for tag in ("loss/total", "zero", "held-out/mAP"):
        found[tag] = [
            (e.step, tensor_util.make_ndarray(e.tensor_proto).item()) for e in reader.Tensors(tag)]
    check_scalars(found)
    check("the plugin of texts", set(reader.PluginTagToContent("text")) == {"options", "note"})
    for tag, expected in (("options", "**seed** 3, grüß"), ("note", "not UTF-8: \ufffd!")):
        (event,) = reader.Tensors(tag)
        check(tag, tensor_util.make_ndarray(event.tensor_proto).item() == expected.encode())
    check("histograms", [e.step for e in reader.Tensors("weights")] == list(range(8)))
    rows = tensor_util.make_ndarray(reader.Tensors("weights")[0].tensor_proto)
    check("rows of a histogram", rows.shape == (BUCKETS, 3) and rows[:, 2].sum() == 1000)


def check_cut_off(path, scratch):
    """Whatever of the last record is missing, all the others are there."""
    bytes_ = path.read_bytes()
    cut = scratch / path.name
    events = list(event_file_loader.LegacyEventFileLoader(str(path)).Load())
    (length,) = struct.unpack("<Q", bytes_[:8])
    check("the first record", length + 16 < len(bytes_) and events[0].file_version)
    begin = len(bytes_) - len(events[-1].SerializeToString()) - 16
    for size in range(begin, len(bytes_)):
        cut.write_bytes(bytes_[:size])
        left = list(event_file_loader.LegacyEventFileLoader(str(cut)).Load())
        check(f"a file cut off at {size}", left == events[:-1])
    return len(bytes_) - begin


def compare(program):
    if MISSING:
        print(f"SKIPPED: {MISSING}")
        return
    with tempfile.TemporaryDirectory() as name:
        folder, scratch = pathlib.Path(name) / "run", pathlib.Path(name) / "cut"
        folder.mkdir()
        scratch.mkdir()
        names = subprocess.run(
            [program, str(folder)], check=True, capture_output=True, text=True).stdout.split()
        check("names in order", len(names) == 3 and names == sorted(names))
        check_old_reader(folder)
        check_reader(folder)
        cuts = check_cut_off(pathlib.Path(names[0]), scratch)
    print(f"TensorBoard {tensorboard.version.VERSION} reads the same; {cuts} ways to cut a record")


# ------------------------------------------------------------ sample


def sample_events():
    def value(tag, **what):
        return summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=tag, **what)])

    data = np.array([0, 2, 2, 15.5, 30])
    counts, edges = np.histogram(data, BUCKETS)
    histogram = histogram_pb2.HistogramProto(
        min=data.min(), max=data.max(), num=data.size, sum=data.sum(),
        sum_squares=(data**2).sum(), bucket_limit=edges[1:], bucket=counts)
    metadata = summary_pb2.SummaryMetadata()
    metadata.plugin_data.plugin_name = "text"
    text = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_STRING, tensor_shape=tensor_shape_pb2.TensorShapeProto(),
        string_val=["| a | gr\u00fc\u00df |".encode()])
    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    return [
        dict(file_version="brain.Event:2"),
        dict(session_log=start, step=7),
        dict(summary=value("loss/total", simple_value=0.1), step=7),
        dict(summary=value("zero", simple_value=0.0), step=0),
        dict(summary=value("weights", histo=histogram), step=300),
        dict(summary=value("options", tensor=text, metadata=metadata), step=2**40),
    ]


def sample():
    if MISSING:
        sys.exit(f"event_log.py: {MISSING}")
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name) / "events"
        with open(path, "wb") as file:
            writer = RecordWriter(file)
            for i, content in enumerate(sample_events()):
                event = event_pb2.Event(wall_time=1700000000.25 + 0.5 * i, **content)
                writer.write(event.SerializeToString(deterministic=True))
        data = path.read_bytes()
    numbers = textwrap.fill(", ".join(str(byte) for byte in data), 88)
    print("#pragma once\n")
    print(f"// Written by event_log.py: TensorBoard {tensorboard.version.VERSION}.\n")
    print("// clang-format off\nnamespace reference {\n")
    print("// Records of a log with purge_step 7; the clock starts at 1700000000.25 and goes in")
    print("// steps of half a second.")
    print(f"inline constexpr unsigned char kEvents[] = {{\n{textwrap.indent(numbers, '    ')}}};\n")
    print("}  // namespace reference\n// clang-format on")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("compare").add_argument("--program", required=True)
    commands.add_parser("sample")
    arguments = parser.parse_args()
    if arguments.command == "compare":
        compare(arguments.program)
    else:
        sample()


if __name__ == "__main__":
    main()
