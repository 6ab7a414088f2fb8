//! A model's own chat template, as transformers renders it: undefined names are empty, blocks are
//! trimmed, the template may raise. It never learns the date of the day.

use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::thread;

use minijinja::machinery::Token;
use minijinja::value::{Kwargs, Rest, Value};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};

use crate::python::{self, JsonStyle};
use crate::python_methods;
use crate::template::{self, Raised, Template};

/// Instructions of one rendering; a turn takes about a hundred.
const FUEL: u64 = 500_000;
/// Each instruction may nest a list once more, and 8 MiB are too few to print one of 40000 levels.
const STACK_BYTES: usize = 256 << 20;

fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut env = template::environment();
        env.set_undefined_behavior(UndefinedBehavior::Lenient);
        env.set_trim_blocks(true);
        env.set_lstrip_blocks(true);
        env.set_fuel(Some(FUEL));
        env.add_function("raise_exception", raise_exception);
        env.add_filter("tojson", tojson);
        env.add_filter("trim", trim);
        env.add_filter("string", |value: &Value| python::to_str(&or_empty(value)));
        env.add_filter("length", length);
        env.add_filter("count", length);
        env
    })
}

pub fn compile(source: &str) -> Result<Template, String> {
    Template::compile_in(environment(), without_generation(&one_line_end(source)), "chat")
}

pub fn render(template: &Template, chat_json: &[u8]) -> Result<String, String> {
    thread::scope(|scope| {
        thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || template.render(chat_json))
            .map_err(|reason| format!("no thread can be started: {reason}"))?
            .join()
            .unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Jinja2 turns every line end of a template into one newline.
fn one_line_end(source: &str) -> String {
    source.replace("\r\n", "\n").replace('\r', "\n")
}

/// transformers marks what the assistant says with `{% generation %}`, which leaves the text alone
/// and opens a scope, as `with` does. Of the same length, so that places in the source stay.
fn without_generation(source: &str) -> String {
    let mut out = source.to_owned();
    let mut opens = false;
    for (token, span) in template::tokens(source) {
        let with = match token {
            Token::Ident("generation") if opens => "with      ",
            Token::Ident("endgeneration") if opens => "endwith      ",
            _ => {
                opens = matches!(token, Token::BlockStart);
                continue;
            }
        };
        out.replace_range(span.start_offset as usize..span.end_offset as usize, with);
        opens = false;
    }
    out
}

fn raise_exception(message: &Value) -> Result<Value, Error> {
    let words = python::to_str(&or_empty(message))?;
    Err(Error::new(ErrorKind::InvalidOperation, words).with_source(Raised))
}

/// Jinja2's lenient undefined prints and counts as nothing.
fn or_empty(value: &Value) -> Value {
    if value.is_undefined() {
        Value::from("")
    } else {
        value.clone()
    }
}

fn trim(value: &Value, args: Rest<Value>) -> Result<String, Error> {
    python_methods::trim(&or_empty(value), args)
}

fn length(value: &Value) -> Result<usize, Error> {
    minijinja::filters::length(&or_empty(value))
}

/// transformers' own: `json.dumps` with its arguments, nothing escaped for HTML.
fn tojson(value: &Value, named: Kwargs) -> Result<String, Error> {
    let mut style = JsonStyle::indented(named.get("indent")?);
    style.ensure_ascii = named.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false);
    style.sort_keys = named.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    if let Some(separators) = named.get::<Option<Vec<String>>>("separators")? {
        let [item, key] = <[String; 2]>::try_from(separators).map_err(|_| {
            Error::new(ErrorKind::InvalidOperation, "separators must be a pair of texts")
        })?;
        (style.item_separator, style.key_separator) = (item, key);
    }
    named.assert_all_used()?;
    python::to_json(value, &style)
}
