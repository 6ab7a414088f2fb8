//! The functions of assay_text.h: pointers in, buffers out, no panic across. What they do is in
//! `tokens`, `template` and `chat`.

mod chat;
mod python;
mod python_methods;
mod template;
mod tokens;

use std::alloc::{alloc, dealloc, handle_alloc_error, Layout};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Once;

const OK: i32 = 0;
const BAD_INPUT: i32 = 1;
const BUG: i32 = 2;

#[repr(C)]
pub struct Str {
    ptr: *const u8,
    len: u64,
}

impl Str {
    /// Safety: ptr and len describe readable memory for as long as the entry runs.
    unsafe fn bytes<'a>(&self) -> &'a [u8] {
        if self.len == 0 {
            return &[];
        }
        std::slice::from_raw_parts(self.ptr, self.len as usize)
    }

    unsafe fn text<'a>(&self) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes())
            .map_err(|reason| format!("not UTF-8 at byte {}", reason.valid_up_to()))
    }
}

#[repr(C)]
pub struct Buffer {
    data: *mut u8,
    size_bytes: u64,
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("a size that memory can hold")
}

impl Buffer {
    fn of(bytes: &[u8]) -> Buffer {
        if bytes.is_empty() {
            return Buffer { data: std::ptr::null_mut(), size_bytes: 0 };
        }
        let data = unsafe { alloc(layout(bytes.len())) };
        if data.is_null() {
            handle_alloc_error(layout(bytes.len()));
        }
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), data, bytes.len()) };
        Buffer { data, size_bytes: bytes.len() as u64 }
    }
}

/// Runs body and lets no panic out. Its buffer, or the reason why there is none, becomes `out`.
fn entry(out: *mut Buffer, body: impl FnOnce() -> Result<Buffer, String>) -> i32 {
    static QUIET: Once = Once::new();
    // A panic becomes a returned reason; the default hook would print it as well.
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let (status, buffer) = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(buffer)) => (OK, buffer),
        Ok(Err(reason)) => (BAD_INPUT, Buffer::of(reason.as_bytes())),
        Err(payload) => {
            let reason = payload
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| payload.downcast_ref::<&str>().copied())
                .unwrap_or("a panic without a text");
            (BUG, Buffer::of(reason.as_bytes()))
        }
    };
    unsafe { out.write(buffer) };
    status
}

/// # Safety
/// `buffer` was filled by this library, or is empty.
#[no_mangle]
pub unsafe extern "C" fn assay_text_free(buffer: *mut Buffer) {
    let buffer = &mut *buffer;
    if !buffer.data.is_null() {
        dealloc(buffer.data, layout(buffer.size_bytes as usize));
    }
    *buffer = Buffer { data: std::ptr::null_mut(), size_bytes: 0 };
}

/// # Safety
/// As assay_text.h says.
#[no_mangle]
pub unsafe extern "C" fn assay_text_tokenizer_open(
    tokenizer_json: Str,
    tokenizer: *mut *mut tokens::Tokens,
    reason: *mut Buffer,
) -> i32 {
    entry(reason, || {
        let opened = tokens::Tokens::open(tokenizer_json.bytes())?;
        *tokenizer = Box::into_raw(Box::new(opened));
        Ok(Buffer::of(&[]))
    })
}

/// # Safety
/// `tokenizer` came from open and is not used again.
#[no_mangle]
pub unsafe extern "C" fn assay_text_tokenizer_close(tokenizer: *mut tokens::Tokens) {
    if !tokenizer.is_null() {
        drop(Box::from_raw(tokenizer));
    }
}

/// # Safety
/// As assay_text.h says.
#[no_mangle]
pub unsafe extern "C" fn assay_text_encode(
    tokenizer: *const tokens::Tokens,
    text: Str,
    add_special: i32,
    out: *mut Buffer,
) -> i32 {
    entry(out, || {
        let tokens = (*tokenizer).encode(text.text()?, add_special != 0)?;
        let bytes = std::mem::size_of_val(tokens.as_slice());
        Ok(Buffer::of(std::slice::from_raw_parts(tokens.as_ptr().cast(), bytes)))
    })
}

/// # Safety
/// As assay_text.h says.
#[no_mangle]
pub unsafe extern "C" fn assay_text_decode(
    tokenizer: *const tokens::Tokens,
    ids: *const u32,
    id_count: u64,
    skip_special: i32,
    out: *mut Buffer,
) -> i32 {
    entry(out, || {
        let ids = match id_count {
            0 => &[],
            count => std::slice::from_raw_parts(ids, count as usize),
        };
        let text = (*tokenizer).decode(ids, skip_special != 0)?;
        Ok(Buffer::of(text.as_bytes()))
    })
}

/// # Safety
/// As assay_text.h says.
#[no_mangle]
pub unsafe extern "C" fn assay_text_token_id(tokenizer: *const tokens::Tokens, token: Str) -> i32 {
    let Ok(token) = token.text() else { return -1 };
    catch_unwind(AssertUnwindSafe(|| (*tokenizer).id_of(token)))
        .ok()
        .flatten()
        .and_then(|id| i32::try_from(id).ok())
        .unwrap_or(-1)
}

/// # Safety
/// As assay_text.h says.
#[no_mangle]
pub unsafe extern "C" fn assay_text_token_text(
    tokenizer: *const tokens::Tokens,
    id: u32,
    out: *mut Buffer,
) -> i32 {
    entry(out, || {
        let text = (*tokenizer).text_of(id).ok_or("no such token")?;
        Ok(Buffer::of(text.as_bytes()))
    })
}

/// # Safety
/// As assay_text.h says.
#[no_mangle]
pub unsafe extern "C" fn assay_text_vocabulary(tokenizer: *const tokens::Tokens) -> u64 {
    (*tokenizer).vocabulary()
}

/// # Safety
/// As assay_text.h says.
#[no_mangle]
pub unsafe extern "C" fn assay_text_template_open(
    source: Str,
    compiled: *mut *mut template::Template,
    variables: *mut Buffer,
) -> i32 {
    entry(variables, || {
        let opened = template::Template::compile(source.text()?)?;
        let names = opened.variables();
        *compiled = Box::into_raw(Box::new(opened));
        Ok(Buffer::of(names.as_bytes()))
    })
}

/// # Safety
/// As assay_text.h says.
#[no_mangle]
pub unsafe extern "C" fn assay_text_chat_open(
    source: Str,
    compiled: *mut *mut template::Template,
    reason: *mut Buffer,
) -> i32 {
    entry(reason, || {
        let opened = chat::compile(source.text()?)?;
        *compiled = Box::into_raw(Box::new(opened));
        Ok(Buffer::of(&[]))
    })
}

/// # Safety
/// As assay_text.h says.
#[no_mangle]
pub unsafe extern "C" fn assay_text_chat_render(
    compiled: *const template::Template,
    chat_json: Str,
    out: *mut Buffer,
) -> i32 {
    entry(out, || {
        let text = chat::render(&*compiled, chat_json.bytes())?;
        Ok(Buffer::of(text.as_bytes()))
    })
}

/// # Safety
/// `compiled` came from open and is not used again.
#[no_mangle]
pub unsafe extern "C" fn assay_text_template_close(compiled: *mut template::Template) {
    if !compiled.is_null() {
        drop(Box::from_raw(compiled));
    }
}

/// # Safety
/// As assay_text.h says.
#[no_mangle]
pub unsafe extern "C" fn assay_text_render(
    compiled: *const template::Template,
    record_json: Str,
    out: *mut Buffer,
) -> i32 {
    entry(out, || {
        let text = (*compiled).render(record_json.bytes())?;
        Ok(Buffer::of(text.as_bytes()))
    })
}

/// # Safety
/// As assay_text.h says.
#[no_mangle]
pub unsafe extern "C" fn assay_text_evaluate(
    compiled: *const template::Template,
    record_json: Str,
    out: *mut Buffer,
) -> i32 {
    entry(out, || {
        let json = (*compiled).evaluate(record_json.bytes())?;
        Ok(Buffer::of(json.as_bytes()))
    })
}
