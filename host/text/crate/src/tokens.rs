//! A tokenizer.json as HF `tokenizers` understands it, nothing rebuilt from other files. Which ids
//! are special for a model is the caller's business.

use tokenizers::models::ModelWrapper;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::Tokenizer;

/// assay_text_token of assay_text.h.
#[repr(C)]
pub struct Token {
    end_byte: u64,
    id: i32,
    reserved: i32,
}

pub struct Tokens {
    tokenizer: Tokenizer,
    vocabulary: u64,
}

/// Byte ends should add up to the text, so no post-processor may cut white space off them. Ids do
/// not depend on it.
fn keep_white_space(processor: &mut PostProcessorWrapper) {
    match processor {
        PostProcessorWrapper::ByteLevel(bytes) => bytes.trim_offsets = false,
        PostProcessorWrapper::Roberta(roberta) => roberta.trim_offsets = false,
        PostProcessorWrapper::Sequence(sequence) => {
            sequence.as_mut().iter_mut().for_each(keep_white_space)
        }
        PostProcessorWrapper::Bert(_) | PostProcessorWrapper::Template(_) => {}
    }
}

/// Dropout is for training: it would make every encoding a draw.
fn without_dropout(model: &ModelWrapper) -> Option<ModelWrapper> {
    match model {
        ModelWrapper::BPE(bpe) if bpe.dropout.is_some() => {
            let mut plain = bpe.clone();
            plain.dropout = None;
            Some(ModelWrapper::BPE(plain))
        }
        _ => None,
    }
}

fn id_of_host(id: u32) -> Result<i32, String> {
    i32::try_from(id).map_err(|_| format!("token id {id} is above 2147483647"))
}

impl Tokens {
    pub fn open(json: &[u8]) -> Result<Tokens, String> {
        let mut tokenizer = Tokenizer::from_bytes(json).map_err(|reason| reason.to_string())?;
        tokenizer.with_truncation(None).map_err(|reason| reason.to_string())?;
        tokenizer.with_padding(None);
        if let Some(mut processor) = tokenizer.get_post_processor().cloned() {
            keep_white_space(&mut processor);
            tokenizer.with_post_processor(Some(processor));
        }
        if let Some(model) = without_dropout(tokenizer.get_model()) {
            tokenizer.with_model(model);
        }
        let highest = tokenizer.get_vocab(true).into_values().max();
        let vocabulary = highest.map_or(0, |id| u64::from(id) + 1);
        Ok(Tokens { tokenizer, vocabulary })
    }

    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<Token>, String> {
        let encoding =
            self.tokenizer.encode(text, add_special).map_err(|reason| reason.to_string())?;
        let tokens = encoding.get_ids().iter().zip(encoding.get_offsets());
        tokens
            .map(|(&id, &(_, end))| {
                Ok(Token { end_byte: end as u64, id: id_of_host(id)?, reserved: 0 })
            })
            .collect()
    }

    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, String> {
        self.tokenizer.decode(ids, skip_special).map_err(|reason| reason.to_string())
    }

    /// One more than the highest id.
    pub fn vocabulary(&self) -> u64 {
        self.vocabulary
    }

    pub fn id_of(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    pub fn text_of(&self, id: u32) -> Option<String> {
        self.tokenizer.id_to_token(id)
    }
}
