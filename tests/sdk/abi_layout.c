/* The layout of ABI 1.0, field by field and value by value: what every plugin ever built relies on.
   Compiling it is the test, as C11 and as C++20, with GCC and Clang. A line is added for what is
   appended, and none is ever changed.

   Source: taken down from the header of 1.0; sizes and function slots are also asserted in abi.h
   itself. */
#include <assay/abi.h>

/* clang-format off */
#define FIELD(T, f, offset, width) ASSAY_ASSERT(offsetof(T, f) == (offset) && sizeof(((T*)0)->f) == (width))
#define VALUE(constant, value) ASSAY_ASSERT((constant) == (value))
#define SIGNED32(T) ASSAY_ASSERT(sizeof(T) == 4 && (T)-1 < 0)

FIELD(assay_str, ptr, 0, 8);
FIELD(assay_str, len, 8, 8);

FIELD(assay_error, struct_size, 0, 4);
FIELD(assay_error, code, 4, 4);
FIELD(assay_error, where, 8, 120);
FIELD(assay_error, text, 128, 896);

FIELD(assay_device, type, 0, 4);
FIELD(assay_device, id, 4, 4);

FIELD(assay_tensor, data, 0, 8);
FIELD(assay_tensor, device, 8, 8);
FIELD(assay_tensor, ndim, 16, 4);
FIELD(assay_tensor, code, 20, 1);
FIELD(assay_tensor, bits, 21, 1);
FIELD(assay_tensor, lanes, 22, 2);
FIELD(assay_tensor, shape, 24, 8);
FIELD(assay_tensor, strides, 32, 8);
FIELD(assay_tensor, byte_offset, 40, 8);

FIELD(assay_option, struct_size, 0, 4);
FIELD(assay_option, type, 4, 4);
FIELD(assay_option, flags, 8, 8);
FIELD(assay_option, name, 16, 8);
FIELD(assay_option, help, 24, 8);
FIELD(assay_option, fallback, 32, 8);
FIELD(assay_option, choices, 40, 8);
FIELD(assay_option, lo, 48, 8);
FIELD(assay_option, hi, 56, 8);

FIELD(assay_column, struct_size, 0, 4);
FIELD(assay_column, type, 4, 4);
FIELD(assay_column, flags, 8, 8);
FIELD(assay_column, name, 16, 8);
FIELD(assay_column, help, 24, 8);
FIELD(assay_column, unit, 32, 8);
FIELD(assay_column, lo, 40, 8);
FIELD(assay_column, hi, 48, 8);

FIELD(assay_extension, id, 0, 8);
FIELD(assay_extension, api, 8, 8);

FIELD(assay_component, struct_size, 0, 4);
FIELD(assay_component, kind, 4, 4);
FIELD(assay_component, id, 8, 8);
FIELD(assay_component, version, 16, 8);
FIELD(assay_component, summary, 24, 8);
FIELD(assay_component, caps, 32, 8);
FIELD(assay_component, options, 40, 8);
FIELD(assay_component, n_options, 48, 8);
FIELD(assay_component, columns, 56, 8);
FIELD(assay_component, n_columns, 64, 8);
FIELD(assay_component, outputs, 72, 8);
FIELD(assay_component, n_outputs, 80, 8);
FIELD(assay_component, create, 88, 8);
FIELD(assay_component, destroy, 96, 8);
FIELD(assay_component, api, 104, 8);
FIELD(assay_component, extensions, 112, 8);
FIELD(assay_component, n_extensions, 120, 8);

FIELD(assay_plugin, struct_size, 0, 4);
FIELD(assay_plugin, abi_major, 4, 2);
FIELD(assay_plugin, abi_minor, 6, 2);
FIELD(assay_plugin, id, 8, 8);
FIELD(assay_plugin, version, 16, 8);
FIELD(assay_plugin, vendor, 24, 8);
FIELD(assay_plugin, license, 32, 8);
FIELD(assay_plugin, built_with, 40, 8);
FIELD(assay_plugin, components, 48, 8);
FIELD(assay_plugin, n_components, 56, 8);

FIELD(assay_host, struct_size, 0, 4);
FIELD(assay_host, abi_minor, 4, 4);
FIELD(assay_host, ctx, 8, 8);
FIELD(assay_host, name, 16, 8);
FIELD(assay_host, version, 24, 8);
FIELD(assay_host, log, 32, 8);
FIELD(assay_host, cancelled, 40, 8);
FIELD(assay_host, progress, 48, 8);
FIELD(assay_host, get_bool, 56, 8);
FIELD(assay_host, get_int, 64, 8);
FIELD(assay_host, get_float, 72, 8);
FIELD(assay_host, get_text, 80, 8);
FIELD(assay_host, get_json, 88, 8);
FIELD(assay_host, get_count, 96, 8);
FIELD(assay_host, extension, 104, 8);

FIELD(assay_resources, struct_size, 0, 4);
FIELD(assay_resources, threads, 4, 4);
FIELD(assay_resources, host_bytes, 8, 8);
FIELD(assay_resources, device_bytes, 16, 8);
FIELD(assay_resources, device, 24, 8);
FIELD(assay_resources, seed, 32, 8);
FIELD(assay_resources, scratch_dir, 40, 16);
FIELD(assay_resources, devices, 56, 8);
FIELD(assay_resources, n_devices, 64, 8);

FIELD(assay_dataset_v1, struct_size, 0, 4);
FIELD(assay_dataset_v1, reserved, 4, 4);
FIELD(assay_dataset_v1, open, 8, 8);

FIELD(assay_value_sink, struct_size, 0, 4);
FIELD(assay_value_sink, reserved, 4, 4);
FIELD(assay_value_sink, ctx, 8, 8);
FIELD(assay_value_sink, sample, 16, 8);
FIELD(assay_value_sink, total, 24, 8);

FIELD(assay_metric_v1, struct_size, 0, 4);
FIELD(assay_metric_v1, reserved, 4, 4);
FIELD(assay_metric_v1, update, 8, 8);
FIELD(assay_metric_v1, finish, 16, 8);

FIELD(assay_report, struct_size, 0, 4);
FIELD(assay_report, reserved, 4, 4);
FIELD(assay_report, ctx, 8, 8);
FIELD(assay_report, run_json, 16, 16);
FIELD(assay_report, table, 32, 8);

FIELD(assay_reporter_v1, struct_size, 0, 4);
FIELD(assay_reporter_v1, reserved, 4, 4);
FIELD(assay_reporter_v1, write, 8, 8);

FIELD(assay_model_info, struct_size, 0, 4);
FIELD(assay_model_info, vocab, 4, 4);
FIELD(assay_model_info, max_context, 8, 8);
FIELD(assay_model_info, weight_bytes, 16, 8);
FIELD(assay_model_info, bits_per_weight, 24, 8);
FIELD(assay_model_info, bos, 32, 4);
FIELD(assay_model_info, eos, 36, 4);

FIELD(assay_sampling, struct_size, 0, 4);
FIELD(assay_sampling, max_new, 4, 4);
FIELD(assay_sampling, min_new, 8, 4);
FIELD(assay_sampling, top_k, 12, 4);
FIELD(assay_sampling, temperature, 16, 4);
FIELD(assay_sampling, top_p, 20, 4);
FIELD(assay_sampling, seed, 24, 8);
FIELD(assay_sampling, stops, 32, 8);

FIELD(assay_request, id, 0, 8);
FIELD(assay_request, kind, 8, 4);
FIELD(assay_request, want, 12, 4);
FIELD(assay_request, tokens, 16, 8);
FIELD(assay_request, n_tokens, 24, 8);
FIELD(assay_request, first, 32, 8);
FIELD(assay_request, prefix_group, 40, 8);
FIELD(assay_request, prefix_len, 48, 8);
FIELD(assay_request, sampling, 56, 8);

FIELD(assay_batch, struct_size, 0, 4);
FIELD(assay_batch, flags, 4, 4);
FIELD(assay_batch, n, 8, 8);
FIELD(assay_batch, stride, 16, 8);
FIELD(assay_batch, requests, 24, 8);

FIELD(assay_usage, struct_size, 0, 4);
FIELD(assay_usage, finish, 4, 4);
FIELD(assay_usage, prompt_tokens, 8, 8);
FIELD(assay_usage, cached_tokens, 16, 8);
FIELD(assay_usage, new_tokens, 24, 8);
FIELD(assay_usage, seconds, 32, 8);

FIELD(assay_result_sink, struct_size, 0, 4);
FIELD(assay_result_sink, reserved, 4, 4);
FIELD(assay_result_sink, ctx, 8, 8);
FIELD(assay_result_sink, scores, 16, 8);
FIELD(assay_result_sink, logits, 24, 8);
FIELD(assay_result_sink, tokens, 32, 8);
FIELD(assay_result_sink, done, 40, 8);

FIELD(assay_layer_sink, struct_size, 0, 4);
FIELD(assay_layer_sink, reserved, 4, 4);
FIELD(assay_layer_sink, ctx, 8, 8);
FIELD(assay_layer_sink, value, 16, 8);

FIELD(assay_job, struct_size, 0, 4);
FIELD(assay_job, want, 4, 4);
FIELD(assay_job, model_dir, 8, 16);
FIELD(assay_job, batch, 24, 8);
FIELD(assay_job, context, 32, 8);
FIELD(assay_job, out_dir, 40, 16);
FIELD(assay_job, calibration, 56, 8);
FIELD(assay_job, layers, 64, 8);

FIELD(assay_backend_v1, struct_size, 0, 4);
FIELD(assay_backend_v1, reserved, 4, 4);
FIELD(assay_backend_v1, estimate, 8, 8);
FIELD(assay_backend_v1, load, 16, 8);
FIELD(assay_backend_v1, quantize, 24, 8);
FIELD(assay_backend_v1, run, 32, 8);

VALUE(ASSAY_ABI_MAJOR, 1);
VALUE(ASSAY_ABI_MINOR, 0);
VALUE(ASSAY_TARGET_MINOR, 0);
VALUE(ASSAY_OK, 0);
VALUE(ASSAY_CANCELLED, 1);
VALUE(ASSAY_INVALID_ARGUMENT, 3);
VALUE(ASSAY_DEADLINE_EXCEEDED, 4);
VALUE(ASSAY_NOT_FOUND, 5);
VALUE(ASSAY_RESOURCE_EXHAUSTED, 8);
VALUE(ASSAY_FAILED_PRECONDITION, 9);
VALUE(ASSAY_ABORTED, 10);
VALUE(ASSAY_UNIMPLEMENTED, 12);
VALUE(ASSAY_INTERNAL, 13);
VALUE(ASSAY_UNAVAILABLE, 14);
VALUE(ASSAY_BACKEND, 1);
VALUE(ASSAY_DATASET, 2);
VALUE(ASSAY_METRIC, 3);
VALUE(ASSAY_REPORTER, 4);
VALUE(ASSAY_BOOL, 1);
VALUE(ASSAY_INT, 2);
VALUE(ASSAY_FLOAT, 3);
VALUE(ASSAY_TEXT, 4);
VALUE(ASSAY_CHOICE, 5);
VALUE(ASSAY_PATH_IN, 6);
VALUE(ASSAY_PATH_OUT, 7);
VALUE(ASSAY_SIZE, 8);
VALUE(ASSAY_DURATION, 9);
VALUE(ASSAY_INTS, 10);
VALUE(ASSAY_FLOATS, 11);
VALUE(ASSAY_TEXTS, 12);
VALUE(ASSAY_MODEL, 13);
VALUE(ASSAY_OPT_REQUIRED, 1);
VALUE(ASSAY_OPT_SECRET, 2);
VALUE(ASSAY_OPT_DEPRECATED, 4);
VALUE(ASSAY_COL_OPTIONAL, 1);
VALUE(ASSAY_COL_LESS_IS_BETTER, 2);
VALUE(ASSAY_COL_MEAN, 4);
VALUE(ASSAY_COL_PRIMARY, 8);
VALUE(ASSAY_CAP_CONCURRENT, 1);
VALUE(ASSAY_CAP_DETERMINISTIC, 2);
VALUE(ASSAY_CAP_SCORE, 16);
VALUE(ASSAY_CAP_LOGITS, 32);
VALUE(ASSAY_CAP_GENERATE, 64);
VALUE(ASSAY_CAP_QUANTIZE, 128);
VALUE(ASSAY_CAP_STREAMS, 256);
VALUE(ASSAY_TRACE, 0);
VALUE(ASSAY_DEBUG, 1);
VALUE(ASSAY_INFO, 2);
VALUE(ASSAY_WARN, 3);
VALUE(ASSAY_ERROR, 4);
VALUE(ASSAY_REQ_SCORE, 1);
VALUE(ASSAY_REQ_GENERATE, 2);
VALUE(ASSAY_WANT_LOGPROBS, 1);
VALUE(ASSAY_WANT_GREEDY, 2);
VALUE(ASSAY_WANT_LOGITS, 4);
VALUE(ASSAY_BATCH_LAST_OF_GROUPS, 1);
VALUE(ASSAY_BATCH_ORDERED, 2);
VALUE(ASSAY_BATCH_TOGETHER, 4);

SIGNED32(assay_status);
SIGNED32(assay_kind);
SIGNED32(assay_type);
SIGNED32(assay_level);
