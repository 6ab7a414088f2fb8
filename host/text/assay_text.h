/* The C boundary between the host and the Rust crates that tokenize and render. Called from
 * host/text alone; knows nothing of assay but this. */
#ifndef ASSAY_TEXT_H_
#define ASSAY_TEXT_H_
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What every function that can fail returns. On ASSAY_TEXT_BAD_INPUT and ASSAY_TEXT_BUG the out
 * buffer holds the reason as UTF-8 text; a bug is a Rust panic, caught at the boundary. */
enum { ASSAY_TEXT_OK = 0, ASSAY_TEXT_BAD_INPUT = 1, ASSAY_TEXT_BUG = 2 };

typedef struct assay_text_str { /* borrowed for the call; may hold NUL */
  const char* ptr;
  uint64_t len;
} assay_text_str;

typedef struct assay_text_buffer { /* owned by the caller, 8-byte aligned; NULL when empty */
  void* data;
  uint64_t size_bytes;
} assay_text_buffer;

/* Gives a buffer back and empties it. */
void assay_text_free(assay_text_buffer* buffer);

typedef struct assay_text_token {
  uint64_t end_byte; /* end in the text given to encode; 0 for a token that was added */
  int32_t id;
  int32_t reserved; /* 0 */
} assay_text_token;

/* All functions but close may be called from any number of threads at once. */
typedef struct assay_text_tokenizer assay_text_tokenizer;

/* tokenizer_json: the bytes of a tokenizer.json. Truncation, padding and dropout it asks for are
 * switched off, and byte ends keep the white space of their tokens. */
int32_t assay_text_tokenizer_open(assay_text_str tokenizer_json, assay_text_tokenizer** tokenizer,
                                  assay_text_buffer* reason);
void assay_text_tokenizer_close(assay_text_tokenizer* tokenizer);

/* out: an array of assay_text_token. add_special: 0 or 1. */
int32_t assay_text_encode(const assay_text_tokenizer* tokenizer, assay_text_str text,
                          int32_t add_special, assay_text_buffer* out);

/* out: UTF-8 text. Ids without a token decode to nothing. */
int32_t assay_text_decode(const assay_text_tokenizer* tokenizer, const uint32_t* ids,
                          uint64_t id_count, int32_t skip_special, assay_text_buffer* out);

/* The id of a token, or -1. */
int32_t assay_text_token_id(const assay_text_tokenizer* tokenizer, assay_text_str token);

/* out: the token of an id as the vocabulary spells it; bad input where there is none. */
int32_t assay_text_token_text(const assay_text_tokenizer* tokenizer, uint32_t id,
                              assay_text_buffer* out);

/* One more than the highest id. */
uint64_t assay_text_vocabulary(const assay_text_tokenizer* tokenizer);

typedef struct assay_text_template assay_text_template;

/* variables: a JSON array of the names the template reads and does not define; the reason where
 * it does not compile. */
int32_t assay_text_template_open(assay_text_str source, assay_text_template** compiled,
                                 assay_text_buffer* variables);
void assay_text_template_close(assay_text_template* compiled);

/* record_json: an object. out: UTF-8 text. */
int32_t assay_text_render(const assay_text_template* compiled, assay_text_str record_json,
                          assay_text_buffer* out);

/* out: JSON; of the value where the source is one `{{ expression }}`, else of the text. */
int32_t assay_text_evaluate(const assay_text_template* compiled, assay_text_str record_json,
                            assay_text_buffer* out);

/* A chat template, compiled and rendered as transformers does; closed as any template. */
int32_t assay_text_chat_open(assay_text_str source, assay_text_template** compiled,
                             assay_text_buffer* reason);

/* chat_json: an object of all that the template is given. out: UTF-8 text. */
int32_t assay_text_chat_render(const assay_text_template* compiled, assay_text_str chat_json,
                               assay_text_buffer* out);

#ifdef __cplusplus
}
#endif
#endif /* ASSAY_TEXT_H_ */
