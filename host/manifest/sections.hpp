// The tables of a manifest, one function each: values in, nodes out. Files and merging are not
// known here.
#pragma once

#include <string>
#include <vector>

#include "host/manifest/fields.hpp"
#include "host/manifest/manifest.hpp"

namespace assay::host {

/// The keys of a dataset, under [dataset.x] or in the braces of a task's `dataset`.
DatasetNode read_dataset(Fields& fields, std::string name);

/// The keys of a calibration.
CalibrationNode read_calibration(Fields& fields, std::string name, std::vector<Diagnostic>& errors);

/// Takes the tables `quantize` and `simulate` of a model apart: the host's key `calibration` in
/// them goes to the node; what is left are options. `options` are the keys no one has taken.
void read_quantization(Fields& fields, ModelNode& model, std::vector<Diagnostic>& errors);

/// A task; a dataset written in its braces is added to `datasets` under the task's name.
TaskNode read_task(Fields& fields, std::string name, std::vector<DatasetNode>& datasets,
                   std::vector<Diagnostic>& errors);

/// The keys of a task that only the protocol generate has.
void read_generate(Fields& fields, TaskNode& task, std::vector<Diagnostic>& errors);

CompareNode read_compare(Fields& fields);
GateNode read_gate(Fields& fields);

/// An input path as written, made absolute relative to the file it stands in.
std::filesystem::path resolved(const std::vector<Source>& sources, const Place& place,
                               const std::string& path);

}  // namespace assay::host
