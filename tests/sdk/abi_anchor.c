/* Made by make_abi_layout.py; not to be changed by hand.
   Mentions every type of the ABI, so that the debug information of this library holds all of it. */
#include <assay/abi.h>
#include <assay/arrow_c.h>
#include <assay/ext.h>

ASSAY_EXPORT void anchor_assay_str(assay_str* value);
void anchor_assay_str(assay_str* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_error(assay_error* value);
void anchor_assay_error(assay_error* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_device(assay_device* value);
void anchor_assay_device(assay_device* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_tensor(assay_tensor* value);
void anchor_assay_tensor(assay_tensor* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_option(assay_option* value);
void anchor_assay_option(assay_option* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_column(assay_column* value);
void anchor_assay_column(assay_column* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_extension(assay_extension* value);
void anchor_assay_extension(assay_extension* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_component(assay_component* value);
void anchor_assay_component(assay_component* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_plugin(assay_plugin* value);
void anchor_assay_plugin(assay_plugin* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_host(assay_host* value);
void anchor_assay_host(assay_host* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_resources(assay_resources* value);
void anchor_assay_resources(assay_resources* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_dataset_v1(assay_dataset_v1* value);
void anchor_assay_dataset_v1(assay_dataset_v1* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_value_sink(assay_value_sink* value);
void anchor_assay_value_sink(assay_value_sink* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_metric_v1(assay_metric_v1* value);
void anchor_assay_metric_v1(assay_metric_v1* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_report(assay_report* value);
void anchor_assay_report(assay_report* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_reporter_v1(assay_reporter_v1* value);
void anchor_assay_reporter_v1(assay_reporter_v1* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_model_info(assay_model_info* value);
void anchor_assay_model_info(assay_model_info* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_sampling(assay_sampling* value);
void anchor_assay_sampling(assay_sampling* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_request(assay_request* value);
void anchor_assay_request(assay_request* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_batch(assay_batch* value);
void anchor_assay_batch(assay_batch* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_usage(assay_usage* value);
void anchor_assay_usage(assay_usage* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_result_sink(assay_result_sink* value);
void anchor_assay_result_sink(assay_result_sink* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_layer_sink(assay_layer_sink* value);
void anchor_assay_layer_sink(assay_layer_sink* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_job(assay_job* value);
void anchor_assay_job(assay_job* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_backend_v1(assay_backend_v1* value);
void anchor_assay_backend_v1(assay_backend_v1* value) { (void)value; }
ASSAY_EXPORT void anchor_ArrowSchema(struct ArrowSchema* value);
void anchor_ArrowSchema(struct ArrowSchema* value) { (void)value; }
ASSAY_EXPORT void anchor_ArrowArray(struct ArrowArray* value);
void anchor_ArrowArray(struct ArrowArray* value) { (void)value; }
ASSAY_EXPORT void anchor_ArrowArrayStream(struct ArrowArrayStream* value);
void anchor_ArrowArrayStream(struct ArrowArrayStream* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_diagnostic_sink(assay_diagnostic_sink* value);
void anchor_assay_diagnostic_sink(assay_diagnostic_sink* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_config_check_v1(assay_config_check_v1* value);
void anchor_assay_config_check_v1(assay_config_check_v1* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_memory(assay_memory* value);
void anchor_assay_memory(assay_memory* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_backend_memory_v1(assay_backend_memory_v1* value);
void anchor_assay_backend_memory_v1(assay_backend_memory_v1* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_backend_tokenizer_v1(assay_backend_tokenizer_v1* value);
void anchor_assay_backend_tokenizer_v1(assay_backend_tokenizer_v1* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_message(assay_message* value);
void anchor_assay_message(assay_message* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_messages(assay_messages* value);
void anchor_assay_messages(assay_messages* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_backend_template_v1(assay_backend_template_v1* value);
void anchor_assay_backend_template_v1(assay_backend_template_v1* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_text_request(assay_text_request* value);
void anchor_assay_text_request(assay_text_request* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_text_batch(assay_text_batch* value);
void anchor_assay_text_batch(assay_text_batch* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_text_sink(assay_text_sink* value);
void anchor_assay_text_sink(assay_text_sink* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_backend_text_v1(assay_backend_text_v1* value);
void anchor_assay_backend_text_v1(assay_backend_text_v1* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_split_sink(assay_split_sink* value);
void anchor_assay_split_sink(assay_split_sink* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_dataset_rows_v1(assay_dataset_rows_v1* value);
void anchor_assay_dataset_rows_v1(assay_dataset_rows_v1* value) { (void)value; }
ASSAY_EXPORT void anchor_assay_metric_sums_v1(assay_metric_sums_v1* value);
void anchor_assay_metric_sums_v1(assay_metric_sums_v1* value) { (void)value; }
