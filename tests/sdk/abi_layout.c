/* Made by make_abi_layout.py; not to be changed by hand.
   The layout of the ABI, field by field and value by value: what every plugin ever built relies on.
   Compiling it is the test, as C and as C++, with GCC and Clang. Lines are added for what is
   appended, and none is ever changed. */
#include <assay/abi.h>
#include <assay/arrow_c.h>
#include <assay/ext.h>

/* clang-format off */
#ifdef __cplusplus
#include <string_view>
#include <type_traits>
#define IS_TYPE(T, f, type) std::is_same<decltype(T::f), type>::value
#define IS_TEXT(constant, text) std::string_view(constant) == text
#else
#define IS_TYPE(T, f, type) _Generic(&((T*)0)->f, type*: 1, default: 0)
#define IS_TEXT(constant, text) sizeof(constant) == sizeof(text)
#endif
/* FIELD(struct, field, offset, width, type) */
#define FIELD(T, f, offset, width, type) \
  ASSAY_ASSERT(offsetof(T, f) == (offset) && sizeof(((T*)0)->f) == (width) && IS_TYPE(T, f, type))
#define VALUE(constant, value) ASSAY_ASSERT((constant) == (value))
#define TEXT(constant, text) ASSAY_ASSERT(IS_TEXT(constant, text))
#define SIGNED32(T) ASSAY_ASSERT(sizeof(T) == 4 && (T)-1 < 0)

typedef const char * assay_str_ptr_type;
FIELD(assay_str, ptr, 0, 8, assay_str_ptr_type);
typedef uint64_t assay_str_len_type;
FIELD(assay_str, len, 8, 8, assay_str_len_type);

typedef uint32_t assay_error_struct_size_type;
FIELD(assay_error, struct_size, 0, 4, assay_error_struct_size_type);
typedef assay_status assay_error_code_type;
FIELD(assay_error, code, 4, 4, assay_error_code_type);
typedef char assay_error_where_type[120];
FIELD(assay_error, where, 8, 120, assay_error_where_type);
typedef char assay_error_text_type[896];
FIELD(assay_error, text, 128, 896, assay_error_text_type);

typedef int32_t assay_device_type_type;
FIELD(assay_device, type, 0, 4, assay_device_type_type);
typedef int32_t assay_device_id_type;
FIELD(assay_device, id, 4, 4, assay_device_id_type);

typedef void * assay_tensor_data_type;
FIELD(assay_tensor, data, 0, 8, assay_tensor_data_type);
typedef assay_device assay_tensor_device_type;
FIELD(assay_tensor, device, 8, 8, assay_tensor_device_type);
typedef int32_t assay_tensor_ndim_type;
FIELD(assay_tensor, ndim, 16, 4, assay_tensor_ndim_type);
typedef uint8_t assay_tensor_code_type;
FIELD(assay_tensor, code, 20, 1, assay_tensor_code_type);
typedef uint8_t assay_tensor_bits_type;
FIELD(assay_tensor, bits, 21, 1, assay_tensor_bits_type);
typedef uint16_t assay_tensor_lanes_type;
FIELD(assay_tensor, lanes, 22, 2, assay_tensor_lanes_type);
typedef const int64_t *assay_tensor_shape_type;
FIELD(assay_tensor, shape, 24, 8, assay_tensor_shape_type);
typedef const int64_t *assay_tensor_strides_type;
FIELD(assay_tensor, strides, 32, 8, assay_tensor_strides_type);
typedef uint64_t assay_tensor_byte_offset_type;
FIELD(assay_tensor, byte_offset, 40, 8, assay_tensor_byte_offset_type);

typedef uint32_t assay_option_struct_size_type;
FIELD(assay_option, struct_size, 0, 4, assay_option_struct_size_type);
typedef assay_type assay_option_type_type;
FIELD(assay_option, type, 4, 4, assay_option_type_type);
typedef uint64_t assay_option_flags_type;
FIELD(assay_option, flags, 8, 8, assay_option_flags_type);
typedef const char * assay_option_name_type;
FIELD(assay_option, name, 16, 8, assay_option_name_type);
typedef const char * assay_option_help_type;
FIELD(assay_option, help, 24, 8, assay_option_help_type);
typedef const char * assay_option_fallback_type;
FIELD(assay_option, fallback, 32, 8, assay_option_fallback_type);
typedef const char * const* assay_option_choices_type;
FIELD(assay_option, choices, 40, 8, assay_option_choices_type);
typedef double assay_option_lo_type;
FIELD(assay_option, lo, 48, 8, assay_option_lo_type);
typedef double assay_option_hi_type;
FIELD(assay_option, hi, 56, 8, assay_option_hi_type);

typedef uint32_t assay_column_struct_size_type;
FIELD(assay_column, struct_size, 0, 4, assay_column_struct_size_type);
typedef assay_type assay_column_type_type;
FIELD(assay_column, type, 4, 4, assay_column_type_type);
typedef uint64_t assay_column_flags_type;
FIELD(assay_column, flags, 8, 8, assay_column_flags_type);
typedef const char * assay_column_name_type;
FIELD(assay_column, name, 16, 8, assay_column_name_type);
typedef const char * assay_column_help_type;
FIELD(assay_column, help, 24, 8, assay_column_help_type);
typedef const char * assay_column_unit_type;
FIELD(assay_column, unit, 32, 8, assay_column_unit_type);
typedef double assay_column_lo_type;
FIELD(assay_column, lo, 40, 8, assay_column_lo_type);
typedef double assay_column_hi_type;
FIELD(assay_column, hi, 48, 8, assay_column_hi_type);

typedef const char * assay_extension_id_type;
FIELD(assay_extension, id, 0, 8, assay_extension_id_type);
typedef const void * assay_extension_api_type;
FIELD(assay_extension, api, 8, 8, assay_extension_api_type);

typedef uint32_t assay_component_struct_size_type;
FIELD(assay_component, struct_size, 0, 4, assay_component_struct_size_type);
typedef assay_kind assay_component_kind_type;
FIELD(assay_component, kind, 4, 4, assay_component_kind_type);
typedef const char *assay_component_id_type;
FIELD(assay_component, id, 8, 8, assay_component_id_type);
typedef const char *assay_component_version_type;
FIELD(assay_component, version, 16, 8, assay_component_version_type);
typedef const char *assay_component_summary_type;
FIELD(assay_component, summary, 24, 8, assay_component_summary_type);
typedef uint64_t assay_component_caps_type;
FIELD(assay_component, caps, 32, 8, assay_component_caps_type);
typedef const struct assay_option * const* assay_component_options_type;
FIELD(assay_component, options, 40, 8, assay_component_options_type);
typedef uint64_t assay_component_n_options_type;
FIELD(assay_component, n_options, 48, 8, assay_component_n_options_type);
typedef const struct assay_column * const* assay_component_columns_type;
FIELD(assay_component, columns, 56, 8, assay_component_columns_type);
typedef uint64_t assay_component_n_columns_type;
FIELD(assay_component, n_columns, 64, 8, assay_component_n_columns_type);
typedef const struct assay_column * const* assay_component_outputs_type;
FIELD(assay_component, outputs, 72, 8, assay_component_outputs_type);
typedef uint64_t assay_component_n_outputs_type;
FIELD(assay_component, n_outputs, 80, 8, assay_component_n_outputs_type);
typedef assay_status (*assay_component_create_type)(const struct assay_host*, const struct assay_config*, const struct assay_resources*, void** self, assay_error* err) ASSAY_NX;
FIELD(assay_component, create, 88, 8, assay_component_create_type);
typedef void (*assay_component_destroy_type)(void* self) ASSAY_NX;
FIELD(assay_component, destroy, 96, 8, assay_component_destroy_type);
typedef const void * assay_component_api_type;
FIELD(assay_component, api, 104, 8, assay_component_api_type);
typedef const assay_extension * assay_component_extensions_type;
FIELD(assay_component, extensions, 112, 8, assay_component_extensions_type);
typedef uint64_t assay_component_n_extensions_type;
FIELD(assay_component, n_extensions, 120, 8, assay_component_n_extensions_type);

typedef uint32_t assay_plugin_struct_size_type;
FIELD(assay_plugin, struct_size, 0, 4, assay_plugin_struct_size_type);
typedef uint16_t assay_plugin_abi_major_type;
FIELD(assay_plugin, abi_major, 4, 2, assay_plugin_abi_major_type);
typedef uint16_t assay_plugin_abi_minor_type;
FIELD(assay_plugin, abi_minor, 6, 2, assay_plugin_abi_minor_type);
typedef const char *assay_plugin_id_type;
FIELD(assay_plugin, id, 8, 8, assay_plugin_id_type);
typedef const char *assay_plugin_version_type;
FIELD(assay_plugin, version, 16, 8, assay_plugin_version_type);
typedef const char *assay_plugin_vendor_type;
FIELD(assay_plugin, vendor, 24, 8, assay_plugin_vendor_type);
typedef const char *assay_plugin_license_type;
FIELD(assay_plugin, license, 32, 8, assay_plugin_license_type);
typedef const char *assay_plugin_built_with_type;
FIELD(assay_plugin, built_with, 40, 8, assay_plugin_built_with_type);
typedef const assay_component * const* assay_plugin_components_type;
FIELD(assay_plugin, components, 48, 8, assay_plugin_components_type);
typedef uint64_t assay_plugin_n_components_type;
FIELD(assay_plugin, n_components, 56, 8, assay_plugin_n_components_type);

typedef uint32_t assay_host_struct_size_type;
FIELD(assay_host, struct_size, 0, 4, assay_host_struct_size_type);
typedef uint32_t assay_host_abi_minor_type;
FIELD(assay_host, abi_minor, 4, 4, assay_host_abi_minor_type);
typedef void * assay_host_ctx_type;
FIELD(assay_host, ctx, 8, 8, assay_host_ctx_type);
typedef const char *assay_host_name_type;
FIELD(assay_host, name, 16, 8, assay_host_name_type);
typedef const char *assay_host_version_type;
FIELD(assay_host, version, 24, 8, assay_host_version_type);
typedef void (*assay_host_log_type)(const struct assay_host*, assay_level, assay_str) ASSAY_NX;
FIELD(assay_host, log, 32, 8, assay_host_log_type);
typedef int32_t (*assay_host_cancelled_type)(const struct assay_host*) ASSAY_NX;
FIELD(assay_host, cancelled, 40, 8, assay_host_cancelled_type);
typedef void (*assay_host_progress_type)(const struct assay_host*, double fraction, assay_str what) ASSAY_NX;
FIELD(assay_host, progress, 48, 8, assay_host_progress_type);
typedef assay_status (*assay_host_get_bool_type)(const struct assay_config*, const char* key, int32_t* out) ASSAY_NX;
FIELD(assay_host, get_bool, 56, 8, assay_host_get_bool_type);
typedef assay_status (*assay_host_get_int_type)(const struct assay_config*, const char* key, int64_t* out) ASSAY_NX;
FIELD(assay_host, get_int, 64, 8, assay_host_get_int_type);
typedef assay_status (*assay_host_get_float_type)(const struct assay_config*, const char* key, double* out) ASSAY_NX;
FIELD(assay_host, get_float, 72, 8, assay_host_get_float_type);
typedef assay_status (*assay_host_get_text_type)(const struct assay_config*, const char* key, assay_str* out) ASSAY_NX;
FIELD(assay_host, get_text, 80, 8, assay_host_get_text_type);
typedef assay_status (*assay_host_get_json_type)(const struct assay_config*, const char* key, assay_str* out) ASSAY_NX;
FIELD(assay_host, get_json, 88, 8, assay_host_get_json_type);
typedef assay_status (*assay_host_get_count_type)(const struct assay_config*, const char* key, uint64_t* out) ASSAY_NX;
FIELD(assay_host, get_count, 96, 8, assay_host_get_count_type);
typedef const void* (*assay_host_extension_type)(const struct assay_host*, const char* id)ASSAY_NX;
FIELD(assay_host, extension, 104, 8, assay_host_extension_type);

typedef uint32_t assay_resources_struct_size_type;
FIELD(assay_resources, struct_size, 0, 4, assay_resources_struct_size_type);
typedef uint32_t assay_resources_threads_type;
FIELD(assay_resources, threads, 4, 4, assay_resources_threads_type);
typedef uint64_t assay_resources_host_bytes_type;
FIELD(assay_resources, host_bytes, 8, 8, assay_resources_host_bytes_type);
typedef uint64_t assay_resources_device_bytes_type;
FIELD(assay_resources, device_bytes, 16, 8, assay_resources_device_bytes_type);
typedef assay_device assay_resources_device_type;
FIELD(assay_resources, device, 24, 8, assay_resources_device_type);
typedef uint64_t assay_resources_seed_type;
FIELD(assay_resources, seed, 32, 8, assay_resources_seed_type);
typedef assay_str assay_resources_scratch_dir_type;
FIELD(assay_resources, scratch_dir, 40, 16, assay_resources_scratch_dir_type);
typedef const assay_device * assay_resources_devices_type;
FIELD(assay_resources, devices, 56, 8, assay_resources_devices_type);
typedef uint64_t assay_resources_n_devices_type;
FIELD(assay_resources, n_devices, 64, 8, assay_resources_n_devices_type);

typedef uint32_t assay_dataset_v1_struct_size_type;
FIELD(assay_dataset_v1, struct_size, 0, 4, assay_dataset_v1_struct_size_type);
typedef uint32_t assay_dataset_v1_reserved_type;
FIELD(assay_dataset_v1, reserved, 4, 4, assay_dataset_v1_reserved_type);
typedef assay_status (*assay_dataset_v1_open_type)(void* self, assay_str split, struct ArrowArrayStream* out, assay_error*) ASSAY_NX;
FIELD(assay_dataset_v1, open, 8, 8, assay_dataset_v1_open_type);

typedef uint32_t assay_value_sink_struct_size_type;
FIELD(assay_value_sink, struct_size, 0, 4, assay_value_sink_struct_size_type);
typedef uint32_t assay_value_sink_reserved_type;
FIELD(assay_value_sink, reserved, 4, 4, assay_value_sink_reserved_type);
typedef void * assay_value_sink_ctx_type;
FIELD(assay_value_sink, ctx, 8, 8, assay_value_sink_ctx_type);
typedef void (*assay_value_sink_sample_type)(void* ctx, uint64_t row, const char* name, double value) ASSAY_NX;
FIELD(assay_value_sink, sample, 16, 8, assay_value_sink_sample_type);
typedef void (*assay_value_sink_total_type)(void* ctx, const char* name, double value, double std_error, uint64_t n) ASSAY_NX;
FIELD(assay_value_sink, total, 24, 8, assay_value_sink_total_type);

typedef uint32_t assay_metric_v1_struct_size_type;
FIELD(assay_metric_v1, struct_size, 0, 4, assay_metric_v1_struct_size_type);
typedef uint32_t assay_metric_v1_reserved_type;
FIELD(assay_metric_v1, reserved, 4, 4, assay_metric_v1_reserved_type);
typedef assay_status (*assay_metric_v1_update_type)(void* self, const struct ArrowSchema*, const struct ArrowArray* rows, const assay_value_sink*, assay_error*) ASSAY_NX;
FIELD(assay_metric_v1, update, 8, 8, assay_metric_v1_update_type);
typedef assay_status (*assay_metric_v1_finish_type)(void* self, const assay_value_sink*, assay_error*) ASSAY_NX;
FIELD(assay_metric_v1, finish, 16, 8, assay_metric_v1_finish_type);

typedef uint32_t assay_report_struct_size_type;
FIELD(assay_report, struct_size, 0, 4, assay_report_struct_size_type);
typedef uint32_t assay_report_reserved_type;
FIELD(assay_report, reserved, 4, 4, assay_report_reserved_type);
typedef void * assay_report_ctx_type;
FIELD(assay_report, ctx, 8, 8, assay_report_ctx_type);
typedef assay_str assay_report_run_json_type;
FIELD(assay_report, run_json, 16, 16, assay_report_run_json_type);
typedef assay_status (*assay_report_table_type)(void* ctx, assay_str name, struct ArrowArrayStream* out, assay_error*) ASSAY_NX;
FIELD(assay_report, table, 32, 8, assay_report_table_type);

typedef uint32_t assay_reporter_v1_struct_size_type;
FIELD(assay_reporter_v1, struct_size, 0, 4, assay_reporter_v1_struct_size_type);
typedef uint32_t assay_reporter_v1_reserved_type;
FIELD(assay_reporter_v1, reserved, 4, 4, assay_reporter_v1_reserved_type);
typedef assay_status (*assay_reporter_v1_write_type)(void* self, const assay_report*, assay_error*) ASSAY_NX;
FIELD(assay_reporter_v1, write, 8, 8, assay_reporter_v1_write_type);

typedef uint32_t assay_model_info_struct_size_type;
FIELD(assay_model_info, struct_size, 0, 4, assay_model_info_struct_size_type);
typedef uint32_t assay_model_info_vocab_type;
FIELD(assay_model_info, vocab, 4, 4, assay_model_info_vocab_type);
typedef uint64_t assay_model_info_max_context_type;
FIELD(assay_model_info, max_context, 8, 8, assay_model_info_max_context_type);
typedef uint64_t assay_model_info_weight_bytes_type;
FIELD(assay_model_info, weight_bytes, 16, 8, assay_model_info_weight_bytes_type);
typedef double assay_model_info_bits_per_weight_type;
FIELD(assay_model_info, bits_per_weight, 24, 8, assay_model_info_bits_per_weight_type);
typedef int32_t assay_model_info_bos_type;
FIELD(assay_model_info, bos, 32, 4, assay_model_info_bos_type);
typedef int32_t assay_model_info_eos_type;
FIELD(assay_model_info, eos, 36, 4, assay_model_info_eos_type);

typedef uint32_t assay_sampling_struct_size_type;
FIELD(assay_sampling, struct_size, 0, 4, assay_sampling_struct_size_type);
typedef uint32_t assay_sampling_max_new_type;
FIELD(assay_sampling, max_new, 4, 4, assay_sampling_max_new_type);
typedef uint32_t assay_sampling_min_new_type;
FIELD(assay_sampling, min_new, 8, 4, assay_sampling_min_new_type);
typedef uint32_t assay_sampling_top_k_type;
FIELD(assay_sampling, top_k, 12, 4, assay_sampling_top_k_type);
typedef float assay_sampling_temperature_type;
FIELD(assay_sampling, temperature, 16, 4, assay_sampling_temperature_type);
typedef float assay_sampling_top_p_type;
FIELD(assay_sampling, top_p, 20, 4, assay_sampling_top_p_type);
typedef uint64_t assay_sampling_seed_type;
FIELD(assay_sampling, seed, 24, 8, assay_sampling_seed_type);
typedef const int32_t * const* assay_sampling_stops_type;
FIELD(assay_sampling, stops, 32, 8, assay_sampling_stops_type);

typedef uint64_t assay_request_id_type;
FIELD(assay_request, id, 0, 8, assay_request_id_type);
typedef int32_t assay_request_kind_type;
FIELD(assay_request, kind, 8, 4, assay_request_kind_type);
typedef uint32_t assay_request_want_type;
FIELD(assay_request, want, 12, 4, assay_request_want_type);
typedef const int32_t * assay_request_tokens_type;
FIELD(assay_request, tokens, 16, 8, assay_request_tokens_type);
typedef uint64_t assay_request_n_tokens_type;
FIELD(assay_request, n_tokens, 24, 8, assay_request_n_tokens_type);
typedef uint64_t assay_request_first_type;
FIELD(assay_request, first, 32, 8, assay_request_first_type);
typedef uint64_t assay_request_prefix_group_type;
FIELD(assay_request, prefix_group, 40, 8, assay_request_prefix_group_type);
typedef uint64_t assay_request_prefix_len_type;
FIELD(assay_request, prefix_len, 48, 8, assay_request_prefix_len_type);
typedef const assay_sampling * assay_request_sampling_type;
FIELD(assay_request, sampling, 56, 8, assay_request_sampling_type);

typedef uint32_t assay_batch_struct_size_type;
FIELD(assay_batch, struct_size, 0, 4, assay_batch_struct_size_type);
typedef uint32_t assay_batch_flags_type;
FIELD(assay_batch, flags, 4, 4, assay_batch_flags_type);
typedef uint64_t assay_batch_n_type;
FIELD(assay_batch, n, 8, 8, assay_batch_n_type);
typedef uint64_t assay_batch_stride_type;
FIELD(assay_batch, stride, 16, 8, assay_batch_stride_type);
typedef const assay_request * assay_batch_requests_type;
FIELD(assay_batch, requests, 24, 8, assay_batch_requests_type);

typedef uint32_t assay_usage_struct_size_type;
FIELD(assay_usage, struct_size, 0, 4, assay_usage_struct_size_type);
typedef uint32_t assay_usage_finish_type;
FIELD(assay_usage, finish, 4, 4, assay_usage_finish_type);
typedef uint64_t assay_usage_prompt_tokens_type;
FIELD(assay_usage, prompt_tokens, 8, 8, assay_usage_prompt_tokens_type);
typedef uint64_t assay_usage_cached_tokens_type;
FIELD(assay_usage, cached_tokens, 16, 8, assay_usage_cached_tokens_type);
typedef uint64_t assay_usage_new_tokens_type;
FIELD(assay_usage, new_tokens, 24, 8, assay_usage_new_tokens_type);
typedef double assay_usage_seconds_type;
FIELD(assay_usage, seconds, 32, 8, assay_usage_seconds_type);

typedef uint32_t assay_result_sink_struct_size_type;
FIELD(assay_result_sink, struct_size, 0, 4, assay_result_sink_struct_size_type);
typedef uint32_t assay_result_sink_reserved_type;
FIELD(assay_result_sink, reserved, 4, 4, assay_result_sink_reserved_type);
typedef void * assay_result_sink_ctx_type;
FIELD(assay_result_sink, ctx, 8, 8, assay_result_sink_ctx_type);
typedef int32_t (*assay_result_sink_scores_type)(void* ctx, uint64_t id, uint64_t first, const float* logprobs, const uint8_t* greedy, uint64_t n) ASSAY_NX;
FIELD(assay_result_sink, scores, 16, 8, assay_result_sink_scores_type);
typedef int32_t (*assay_result_sink_logits_type)(void* ctx, uint64_t id, uint64_t first, const assay_tensor* rows) ASSAY_NX;
FIELD(assay_result_sink, logits, 24, 8, assay_result_sink_logits_type);
typedef int32_t (*assay_result_sink_tokens_type)(void* ctx, uint64_t id, const int32_t* tokens, const float* logprobs, uint64_t n) ASSAY_NX;
FIELD(assay_result_sink, tokens, 32, 8, assay_result_sink_tokens_type);
typedef void (*assay_result_sink_done_type)(void* ctx, uint64_t id, const assay_error* failure, const assay_usage*) ASSAY_NX;
FIELD(assay_result_sink, done, 40, 8, assay_result_sink_done_type);

typedef uint32_t assay_layer_sink_struct_size_type;
FIELD(assay_layer_sink, struct_size, 0, 4, assay_layer_sink_struct_size_type);
typedef uint32_t assay_layer_sink_reserved_type;
FIELD(assay_layer_sink, reserved, 4, 4, assay_layer_sink_reserved_type);
typedef void * assay_layer_sink_ctx_type;
FIELD(assay_layer_sink, ctx, 8, 8, assay_layer_sink_ctx_type);
typedef void (*assay_layer_sink_value_type)(void* ctx, assay_str layer, const char* name, double value) ASSAY_NX;
FIELD(assay_layer_sink, value, 16, 8, assay_layer_sink_value_type);

typedef uint32_t assay_job_struct_size_type;
FIELD(assay_job, struct_size, 0, 4, assay_job_struct_size_type);
typedef uint32_t assay_job_want_type;
FIELD(assay_job, want, 4, 4, assay_job_want_type);
typedef assay_str assay_job_model_dir_type;
FIELD(assay_job, model_dir, 8, 16, assay_job_model_dir_type);
typedef uint64_t assay_job_batch_type;
FIELD(assay_job, batch, 24, 8, assay_job_batch_type);
typedef uint64_t assay_job_context_type;
FIELD(assay_job, context, 32, 8, assay_job_context_type);
typedef assay_str assay_job_out_dir_type;
FIELD(assay_job, out_dir, 40, 16, assay_job_out_dir_type);
typedef const assay_batch * assay_job_calibration_type;
FIELD(assay_job, calibration, 56, 8, assay_job_calibration_type);
typedef const assay_layer_sink * assay_job_layers_type;
FIELD(assay_job, layers, 64, 8, assay_job_layers_type);

typedef uint32_t assay_backend_v1_struct_size_type;
FIELD(assay_backend_v1, struct_size, 0, 4, assay_backend_v1_struct_size_type);
typedef uint32_t assay_backend_v1_reserved_type;
FIELD(assay_backend_v1, reserved, 4, 4, assay_backend_v1_reserved_type);
typedef assay_status (*assay_backend_v1_estimate_type)(const assay_host*, const struct assay_config*, const assay_job*, assay_resources* need, assay_error*) ASSAY_NX;
FIELD(assay_backend_v1, estimate, 8, 8, assay_backend_v1_estimate_type);
typedef assay_status (*assay_backend_v1_load_type)(void* self, const assay_job*, assay_model_info* out, assay_error*) ASSAY_NX;
FIELD(assay_backend_v1, load, 16, 8, assay_backend_v1_load_type);
typedef assay_status (*assay_backend_v1_quantize_type)(void* self, const assay_job*, assay_error*) ASSAY_NX;
FIELD(assay_backend_v1, quantize, 24, 8, assay_backend_v1_quantize_type);
typedef assay_status (*assay_backend_v1_run_type)(void* self, const assay_batch*, const assay_result_sink*, assay_error*) ASSAY_NX;
FIELD(assay_backend_v1, run, 32, 8, assay_backend_v1_run_type);

typedef struct ArrowSchema ArrowSchema_struct;
typedef const char * ArrowSchema_format_type;
FIELD(ArrowSchema_struct, format, 0, 8, ArrowSchema_format_type);
typedef const char * ArrowSchema_name_type;
FIELD(ArrowSchema_struct, name, 8, 8, ArrowSchema_name_type);
typedef const char * ArrowSchema_metadata_type;
FIELD(ArrowSchema_struct, metadata, 16, 8, ArrowSchema_metadata_type);
typedef int64_t ArrowSchema_flags_type;
FIELD(ArrowSchema_struct, flags, 24, 8, ArrowSchema_flags_type);
typedef int64_t ArrowSchema_n_children_type;
FIELD(ArrowSchema_struct, n_children, 32, 8, ArrowSchema_n_children_type);
typedef struct ArrowSchema ** ArrowSchema_children_type;
FIELD(ArrowSchema_struct, children, 40, 8, ArrowSchema_children_type);
typedef struct ArrowSchema * ArrowSchema_dictionary_type;
FIELD(ArrowSchema_struct, dictionary, 48, 8, ArrowSchema_dictionary_type);
typedef void (*ArrowSchema_release_type)(struct ArrowSchema*);
FIELD(ArrowSchema_struct, release, 56, 8, ArrowSchema_release_type);
typedef void * ArrowSchema_private_data_type;
FIELD(ArrowSchema_struct, private_data, 64, 8, ArrowSchema_private_data_type);

typedef struct ArrowArray ArrowArray_struct;
typedef int64_t ArrowArray_length_type;
FIELD(ArrowArray_struct, length, 0, 8, ArrowArray_length_type);
typedef int64_t ArrowArray_null_count_type;
FIELD(ArrowArray_struct, null_count, 8, 8, ArrowArray_null_count_type);
typedef int64_t ArrowArray_offset_type;
FIELD(ArrowArray_struct, offset, 16, 8, ArrowArray_offset_type);
typedef int64_t ArrowArray_n_buffers_type;
FIELD(ArrowArray_struct, n_buffers, 24, 8, ArrowArray_n_buffers_type);
typedef int64_t ArrowArray_n_children_type;
FIELD(ArrowArray_struct, n_children, 32, 8, ArrowArray_n_children_type);
typedef const void ** ArrowArray_buffers_type;
FIELD(ArrowArray_struct, buffers, 40, 8, ArrowArray_buffers_type);
typedef struct ArrowArray ** ArrowArray_children_type;
FIELD(ArrowArray_struct, children, 48, 8, ArrowArray_children_type);
typedef struct ArrowArray * ArrowArray_dictionary_type;
FIELD(ArrowArray_struct, dictionary, 56, 8, ArrowArray_dictionary_type);
typedef void (*ArrowArray_release_type)(struct ArrowArray*);
FIELD(ArrowArray_struct, release, 64, 8, ArrowArray_release_type);
typedef void * ArrowArray_private_data_type;
FIELD(ArrowArray_struct, private_data, 72, 8, ArrowArray_private_data_type);

typedef struct ArrowArrayStream ArrowArrayStream_struct;
typedef int (*ArrowArrayStream_get_schema_type)(struct ArrowArrayStream*, struct ArrowSchema* out);
FIELD(ArrowArrayStream_struct, get_schema, 0, 8, ArrowArrayStream_get_schema_type);
typedef int (*ArrowArrayStream_get_next_type)(struct ArrowArrayStream*, struct ArrowArray* out);
FIELD(ArrowArrayStream_struct, get_next, 8, 8, ArrowArrayStream_get_next_type);
typedef const char* (*ArrowArrayStream_get_last_error_type)(struct ArrowArrayStream*);
FIELD(ArrowArrayStream_struct, get_last_error, 16, 8, ArrowArrayStream_get_last_error_type);
typedef void (*ArrowArrayStream_release_type)(struct ArrowArrayStream*);
FIELD(ArrowArrayStream_struct, release, 24, 8, ArrowArrayStream_release_type);
typedef void * ArrowArrayStream_private_data_type;
FIELD(ArrowArrayStream_struct, private_data, 32, 8, ArrowArrayStream_private_data_type);

typedef uint32_t assay_diagnostic_sink_struct_size_type;
FIELD(assay_diagnostic_sink, struct_size, 0, 4, assay_diagnostic_sink_struct_size_type);
typedef uint32_t assay_diagnostic_sink_reserved_type;
FIELD(assay_diagnostic_sink, reserved, 4, 4, assay_diagnostic_sink_reserved_type);
typedef void * assay_diagnostic_sink_ctx_type;
FIELD(assay_diagnostic_sink, ctx, 8, 8, assay_diagnostic_sink_ctx_type);
typedef void (*assay_diagnostic_sink_add_type)(void* ctx, assay_level level, assay_str key, assay_str text) ASSAY_NX;
FIELD(assay_diagnostic_sink, add, 16, 8, assay_diagnostic_sink_add_type);

typedef uint32_t assay_config_check_v1_struct_size_type;
FIELD(assay_config_check_v1, struct_size, 0, 4, assay_config_check_v1_struct_size_type);
typedef uint32_t assay_config_check_v1_reserved_type;
FIELD(assay_config_check_v1, reserved, 4, 4, assay_config_check_v1_reserved_type);
typedef assay_status (*assay_config_check_v1_check_type)(const assay_host*, const struct assay_config*, const assay_diagnostic_sink*, assay_error*) ASSAY_NX;
FIELD(assay_config_check_v1, check, 8, 8, assay_config_check_v1_check_type);

typedef uint32_t assay_memory_struct_size_type;
FIELD(assay_memory, struct_size, 0, 4, assay_memory_struct_size_type);
typedef uint32_t assay_memory_reserved_type;
FIELD(assay_memory, reserved, 4, 4, assay_memory_reserved_type);
typedef assay_device assay_memory_device_type;
FIELD(assay_memory, device, 8, 8, assay_memory_device_type);
typedef uint64_t assay_memory_weights_type;
FIELD(assay_memory, weights, 16, 8, assay_memory_weights_type);
typedef uint64_t assay_memory_kv_type;
FIELD(assay_memory, kv, 24, 8, assay_memory_kv_type);
typedef uint64_t assay_memory_kv_peak_type;
FIELD(assay_memory, kv_peak, 32, 8, assay_memory_kv_peak_type);
typedef uint64_t assay_memory_allocated_type;
FIELD(assay_memory, allocated, 40, 8, assay_memory_allocated_type);
typedef uint64_t assay_memory_allocated_peak_type;
FIELD(assay_memory, allocated_peak, 48, 8, assay_memory_allocated_peak_type);
typedef uint64_t assay_memory_held_type;
FIELD(assay_memory, held, 56, 8, assay_memory_held_type);
typedef uint64_t assay_memory_held_peak_type;
FIELD(assay_memory, held_peak, 64, 8, assay_memory_held_peak_type);
typedef double assay_memory_kv_per_token_type;
FIELD(assay_memory, kv_per_token, 72, 8, assay_memory_kv_per_token_type);

typedef uint32_t assay_backend_memory_v1_struct_size_type;
FIELD(assay_backend_memory_v1, struct_size, 0, 4, assay_backend_memory_v1_struct_size_type);
typedef uint32_t assay_backend_memory_v1_reserved_type;
FIELD(assay_backend_memory_v1, reserved, 4, 4, assay_backend_memory_v1_reserved_type);
typedef assay_status (*assay_backend_memory_v1_read_type)(void* self, uint64_t nth, assay_memory* out, assay_error*) ASSAY_NX;
FIELD(assay_backend_memory_v1, read, 8, 8, assay_backend_memory_v1_read_type);
typedef assay_status (*assay_backend_memory_v1_reset_peaks_type)(void* self, assay_error*) ASSAY_NX;
FIELD(assay_backend_memory_v1, reset_peaks, 16, 8, assay_backend_memory_v1_reset_peaks_type);

typedef uint32_t assay_backend_tokenizer_v1_struct_size_type;
FIELD(assay_backend_tokenizer_v1, struct_size, 0, 4, assay_backend_tokenizer_v1_struct_size_type);
typedef uint32_t assay_backend_tokenizer_v1_reserved_type;
FIELD(assay_backend_tokenizer_v1, reserved, 4, 4, assay_backend_tokenizer_v1_reserved_type);
typedef assay_status (*assay_backend_tokenizer_v1_encode_type)(void* self, assay_str text, uint32_t flags, int32_t* out, uint64_t cap, uint64_t* n, assay_error*) ASSAY_NX;
FIELD(assay_backend_tokenizer_v1, encode, 8, 8, assay_backend_tokenizer_v1_encode_type);
typedef assay_status (*assay_backend_tokenizer_v1_decode_type)(void* self, const int32_t* tokens, uint64_t n_tokens, uint32_t flags, char* out, uint64_t cap, uint64_t* n, assay_error*) ASSAY_NX;
FIELD(assay_backend_tokenizer_v1, decode, 16, 8, assay_backend_tokenizer_v1_decode_type);
typedef assay_status (*assay_backend_tokenizer_v1_ends_type)(void* self, int32_t* out, uint64_t cap, uint64_t* n, assay_error*) ASSAY_NX;
FIELD(assay_backend_tokenizer_v1, ends, 24, 8, assay_backend_tokenizer_v1_ends_type);
typedef assay_status (*assay_backend_tokenizer_v1_fingerprint_type)(void* self, uint8_t sha256[32], assay_error*) ASSAY_NX;
FIELD(assay_backend_tokenizer_v1, fingerprint, 32, 8, assay_backend_tokenizer_v1_fingerprint_type);

typedef assay_str assay_message_role_type;
FIELD(assay_message, role, 0, 16, assay_message_role_type);
typedef assay_str assay_message_text_type;
FIELD(assay_message, text, 16, 16, assay_message_text_type);

typedef const assay_message * assay_messages_data_type;
FIELD(assay_messages, data, 0, 8, assay_messages_data_type);
typedef uint64_t assay_messages_n_type;
FIELD(assay_messages, n, 8, 8, assay_messages_n_type);
typedef uint64_t assay_messages_stride_type;
FIELD(assay_messages, stride, 16, 8, assay_messages_stride_type);

typedef uint32_t assay_backend_template_v1_struct_size_type;
FIELD(assay_backend_template_v1, struct_size, 0, 4, assay_backend_template_v1_struct_size_type);
typedef uint32_t assay_backend_template_v1_reserved_type;
FIELD(assay_backend_template_v1, reserved, 4, 4, assay_backend_template_v1_reserved_type);
typedef assay_status (*assay_backend_template_v1_render_type)(void* self, const assay_messages*, assay_str variables_json, uint32_t flags, char* out, uint64_t cap, uint64_t* n, assay_error*) ASSAY_NX;
FIELD(assay_backend_template_v1, render, 8, 8, assay_backend_template_v1_render_type);
typedef assay_status (*assay_backend_template_v1_fingerprint_type)(void* self, uint8_t sha256[32], assay_error*) ASSAY_NX;
FIELD(assay_backend_template_v1, fingerprint, 16, 8, assay_backend_template_v1_fingerprint_type);

typedef uint64_t assay_text_request_id_type;
FIELD(assay_text_request, id, 0, 8, assay_text_request_id_type);
typedef int32_t assay_text_request_kind_type;
FIELD(assay_text_request, kind, 8, 4, assay_text_request_kind_type);
typedef uint32_t assay_text_request_want_type;
FIELD(assay_text_request, want, 12, 4, assay_text_request_want_type);
typedef assay_messages assay_text_request_messages_type;
FIELD(assay_text_request, messages, 16, 24, assay_text_request_messages_type);
typedef assay_str assay_text_request_prompt_type;
FIELD(assay_text_request, prompt, 40, 16, assay_text_request_prompt_type);
typedef assay_str assay_text_request_continuation_type;
FIELD(assay_text_request, continuation, 56, 16, assay_text_request_continuation_type);
typedef const assay_sampling * assay_text_request_sampling_type;
FIELD(assay_text_request, sampling, 72, 8, assay_text_request_sampling_type);
typedef const assay_str * assay_text_request_stops_type;
FIELD(assay_text_request, stops, 80, 8, assay_text_request_stops_type);
typedef uint64_t assay_text_request_n_stops_type;
FIELD(assay_text_request, n_stops, 88, 8, assay_text_request_n_stops_type);

typedef uint32_t assay_text_batch_struct_size_type;
FIELD(assay_text_batch, struct_size, 0, 4, assay_text_batch_struct_size_type);
typedef uint32_t assay_text_batch_flags_type;
FIELD(assay_text_batch, flags, 4, 4, assay_text_batch_flags_type);
typedef uint64_t assay_text_batch_n_type;
FIELD(assay_text_batch, n, 8, 8, assay_text_batch_n_type);
typedef uint64_t assay_text_batch_stride_type;
FIELD(assay_text_batch, stride, 16, 8, assay_text_batch_stride_type);
typedef const assay_text_request * assay_text_batch_requests_type;
FIELD(assay_text_batch, requests, 24, 8, assay_text_batch_requests_type);

typedef uint32_t assay_text_sink_struct_size_type;
FIELD(assay_text_sink, struct_size, 0, 4, assay_text_sink_struct_size_type);
typedef uint32_t assay_text_sink_reserved_type;
FIELD(assay_text_sink, reserved, 4, 4, assay_text_sink_reserved_type);
typedef void * assay_text_sink_ctx_type;
FIELD(assay_text_sink, ctx, 8, 8, assay_text_sink_ctx_type);
typedef int32_t (*assay_text_sink_text_type)(void* ctx, uint64_t id, assay_str piece, uint64_t n_tokens) ASSAY_NX;
FIELD(assay_text_sink, text, 16, 8, assay_text_sink_text_type);
typedef int32_t (*assay_text_sink_scores_type)(void* ctx, uint64_t id, int64_t begin, const int64_t* end, const float* logprobs, const uint8_t* greedy, uint64_t n) ASSAY_NX;
FIELD(assay_text_sink, scores, 24, 8, assay_text_sink_scores_type);
typedef void (*assay_text_sink_done_type)(void* ctx, uint64_t id, const assay_error* failure, const assay_usage*) ASSAY_NX;
FIELD(assay_text_sink, done, 32, 8, assay_text_sink_done_type);

typedef uint32_t assay_backend_text_v1_struct_size_type;
FIELD(assay_backend_text_v1, struct_size, 0, 4, assay_backend_text_v1_struct_size_type);
typedef uint32_t assay_backend_text_v1_reserved_type;
FIELD(assay_backend_text_v1, reserved, 4, 4, assay_backend_text_v1_reserved_type);
typedef assay_status (*assay_backend_text_v1_run_type)(void* self, const assay_text_batch*, const assay_text_sink*, assay_error*) ASSAY_NX;
FIELD(assay_backend_text_v1, run, 8, 8, assay_backend_text_v1_run_type);

typedef uint32_t assay_split_sink_struct_size_type;
FIELD(assay_split_sink, struct_size, 0, 4, assay_split_sink_struct_size_type);
typedef uint32_t assay_split_sink_reserved_type;
FIELD(assay_split_sink, reserved, 4, 4, assay_split_sink_reserved_type);
typedef void * assay_split_sink_ctx_type;
FIELD(assay_split_sink, ctx, 8, 8, assay_split_sink_ctx_type);
typedef void (*assay_split_sink_split_type)(void* ctx, assay_str name, uint64_t rows) ASSAY_NX;
FIELD(assay_split_sink, split, 16, 8, assay_split_sink_split_type);

typedef uint32_t assay_dataset_rows_v1_struct_size_type;
FIELD(assay_dataset_rows_v1, struct_size, 0, 4, assay_dataset_rows_v1_struct_size_type);
typedef uint32_t assay_dataset_rows_v1_reserved_type;
FIELD(assay_dataset_rows_v1, reserved, 4, 4, assay_dataset_rows_v1_reserved_type);
typedef assay_status (*assay_dataset_rows_v1_splits_type)(void* self, const assay_split_sink*, assay_error*) ASSAY_NX;
FIELD(assay_dataset_rows_v1, splits, 8, 8, assay_dataset_rows_v1_splits_type);
typedef assay_status (*assay_dataset_rows_v1_take_type)(void* self, assay_str split, const uint64_t* rows, uint64_t n, struct ArrowArrayStream* out, assay_error*) ASSAY_NX;
FIELD(assay_dataset_rows_v1, take, 16, 8, assay_dataset_rows_v1_take_type);

typedef uint32_t assay_metric_sums_v1_struct_size_type;
FIELD(assay_metric_sums_v1, struct_size, 0, 4, assay_metric_sums_v1_struct_size_type);
typedef uint32_t assay_metric_sums_v1_reserved_type;
FIELD(assay_metric_sums_v1, reserved, 4, 4, assay_metric_sums_v1_reserved_type);
typedef const char * const* assay_metric_sums_v1_terms_type;
FIELD(assay_metric_sums_v1, terms, 8, 8, assay_metric_sums_v1_terms_type);
typedef uint64_t assay_metric_sums_v1_n_terms_type;
FIELD(assay_metric_sums_v1, n_terms, 16, 8, assay_metric_sums_v1_n_terms_type);
typedef assay_status (*assay_metric_sums_v1_totals_type)(void* self, const double* sums, const double* items, uint64_t n, double* out, assay_error*) ASSAY_NX;
FIELD(assay_metric_sums_v1, totals, 24, 8, assay_metric_sums_v1_totals_type);

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
VALUE(ARROW_FLAG_DICTIONARY_ORDERED, 1);
VALUE(ARROW_FLAG_NULLABLE, 2);
VALUE(ARROW_FLAG_MAP_KEYS_SORTED, 4);
VALUE(ASSAY_UNKNOWN, 18446744073709551615u);
VALUE(ASSAY_ENCODE_ADD_SPECIAL, 1);
VALUE(ASSAY_ENCODE_PARSE_SPECIAL, 2);
VALUE(ASSAY_RENDER_OPEN_REPLY, 1);

TEXT(ASSAY_CONFIG_CHECK_1, "assay.config.check/1");
TEXT(ASSAY_BACKEND_MEMORY_1, "assay.backend.memory/1");
TEXT(ASSAY_BACKEND_TOKENIZER_1, "assay.backend.tokenizer/1");
TEXT(ASSAY_BACKEND_TEMPLATE_1, "assay.backend.template/1");
TEXT(ASSAY_BACKEND_TEXT_1, "assay.backend.text/1");
TEXT(ASSAY_DATASET_ROWS_1, "assay.dataset.rows/1");
TEXT(ASSAY_METRIC_SUMS_1, "assay.metric.sums/1");

SIGNED32(assay_status);
SIGNED32(assay_kind);
SIGNED32(assay_type);
SIGNED32(assay_level);
