//! Jinja templates over JSON records: undefined names fail, the trailing newline stays, values print
//! as Python prints them. The language itself is minijinja's.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::OnceLock;

use minijinja::machinery::{tokenize, Span, Token, WhitespaceConfig};
use minijinja::syntax::SyntaxConfig;
use minijinja::tests::{is_filter, is_test};
use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Expression, UndefinedBehavior};

use crate::{python, python_methods};

const NAME: &str = "template";
const SHOWN_COLUMNS: usize = 20;

fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_keep_trailing_newline(true);
        env.set_auto_escape_callback(|_| AutoEscape::None);
        env.set_formatter(|out, _, value| {
            // A missing `else` gives an undefined that prints as nothing, in Jinja2 as well.
            if value.is_undefined() {
                return Ok(());
            }
            if let Some(text) = value.as_str() {
                return out.write_str(text).map_err(Error::from);
            }
            out.write_str(&python::to_str(value)?).map_err(Error::from)
        });
        env.remove_global("debug");
        python_methods::add_to(&mut env);
        env
    })
}

pub struct Template {
    env: Environment<'static>,
    source: String,
    /// The whole source is `{{ expression }}`; with the byte at which the expression starts.
    expression: Option<(Expression<'static, 'static>, usize)>,
}

/// The parts of a template that parses, with their places.
fn tokens(source: &str) -> impl Iterator<Item = (Token<'_>, Span)> {
    let config = WhitespaceConfig { keep_trailing_newline: true, ..Default::default() };
    tokenize(source, false, SyntaxConfig::default(), config).map_while(Result::ok)
}

/// The expression between `{{` and `}}` when there is nothing around it.
fn inside(source: &str) -> Option<Range<usize>> {
    let all: Vec<_> = tokens(source).collect();
    let ends = all.iter().filter(|(token, _)| matches!(token, Token::VariableEnd)).count();
    match (all.first()?, all.last()?) {
        ((Token::VariableStart, open), (Token::VariableEnd, close)) if ends == 1 => {
            Some(open.end_offset as usize..close.start_offset as usize)
        }
        _ => None,
    }
}

/// A name after `|` or `is` that is no filter or test. minijinja asks only when it gets there; a
/// template is to be known good before the first record.
fn unknown_name(env: &Environment, source: &str) -> Option<String> {
    let state = env.empty_state();
    let all: Vec<_> = tokens(source).collect();
    for (index, (token, span)) in all.iter().enumerate() {
        let Token::Ident(name) = token else { continue };
        let before = |back: usize| index.checked_sub(back).map(|at| &all[at].0);
        let kind = match (before(2), before(1)) {
            (_, Some(Token::Pipe)) if !is_filter(&state, name) => "filter",
            (_, Some(Token::Ident("is"))) if *name != "not" && !is_test(&state, name) => "test",
            (Some(Token::Ident("is")), Some(Token::Ident("not"))) if !is_test(&state, name) => {
                "test"
            }
            (Some(Token::BlockStart), Some(Token::Ident("filter"))) if !is_filter(&state, name) => {
                "filter"
            }
            _ => continue,
        };
        let (line, column) = line_and_column(source, span.start_offset as usize);
        return Some(format!(
            "line {line}, column {column} of the template: there is no {kind} \"{name}\""
        ));
    }
    None
}

fn compile_expression(source: &str) -> Option<(Expression<'static, 'static>, usize)> {
    let range = inside(source)?;
    let start = range.start;
    let compiled = environment().compile_expression_owned(source[range].to_owned()).ok()?;
    Some((compiled, start))
}

impl Template {
    pub fn compile(source: &str) -> Result<Template, String> {
        let mut env = environment().clone();
        env.add_template_owned(NAME, source.to_owned())
            .map_err(|reason| sentence(source, 0, &reason, None))?;
        if let Some(reason) = unknown_name(&env, source) {
            return Err(reason);
        }
        Ok(Template { env, source: source.to_owned(), expression: compile_expression(source) })
    }

    /// A JSON array of the names read but not defined, sorted.
    pub fn variables(&self) -> String {
        let globals: BTreeSet<&str> = self.env.globals().map(|(name, _)| name).collect();
        let mut names: Vec<String> = match self.env.get_template(NAME) {
            Ok(template) => template.undeclared_variables(false).into_iter().collect(),
            Err(_) => Vec::new(),
        };
        names.retain(|name| !globals.contains(name.as_str()));
        names.sort();
        serde_json::Value::from(names).to_string()
    }

    pub fn render(&self, record_json: &[u8]) -> Result<String, String> {
        let record = parse(record_json)?;
        self.env
            .get_template(NAME)
            .and_then(|template| template.render(&record))
            .map_err(|reason| sentence(&self.source, 0, &reason, Some(&record)))
    }

    pub fn evaluate(&self, record_json: &[u8]) -> Result<String, String> {
        let Some((expression, start)) = &self.expression else {
            return Ok(serde_json::Value::from(self.render(record_json)?).to_string());
        };
        let record = parse(record_json)?;
        expression
            .eval(&record)
            .and_then(|value| python::to_json(&value, &python::JsonStyle::Value))
            .map_err(|reason| sentence(&self.source, *start, &reason, Some(&record)))
    }
}

fn parse(record_json: &[u8]) -> Result<Value, String> {
    let record: Value = serde_json::from_slice(record_json)
        .map_err(|reason| format!("the record is not JSON: {reason}"))?;
    match record.kind() {
        ValueKind::Map => Ok(record),
        kind => Err(format!("the record is a {kind}, but must be an object of columns")),
    }
}

/// Where, what and what to do, for an error at a span of `source[start..]`. An error without a place
/// is about the whole expression when there is one.
fn sentence(source: &str, start: usize, error: &Error, record: Option<&Value>) -> String {
    let span = match error.range() {
        Some(range) => Some(start + range.start..start + range.end),
        None => inside(source).filter(|_| start > 0),
    };
    let span = span.filter(|range| source.get(range.clone()).is_some());
    let place = match (&span, error.line()) {
        (Some(range), _) => {
            let text = &source[range.clone()];
            let blank = text.len() - text.trim_start().len();
            let (line, column) = line_and_column(source, range.start + blank);
            format!("line {line}, column {column} of the template: ")
        }
        (None, Some(line)) => format!("line {line} of the template: "),
        (None, None) => String::new(),
    };
    let quoted = span.map(|range| quoted(source, range)).filter(|text| !text.is_empty());
    let reason = match (error.kind(), &quoted) {
        (ErrorKind::UndefinedError, Some(text)) => undefined(text, error, record),
        (ErrorKind::SyntaxError, _) | (_, None) => chain(error),
        (_, Some(text)) => format!("{} in \"{text}\"", chain(error)),
    };
    place + &reason
}

/// The source at the span. A method, an attribute or a filter says little without what it applies to:
/// then from the beginning of its tag on.
fn quoted(source: &str, span: Range<usize>) -> String {
    let before = source[..span.start].trim_end();
    let applied = before.ends_with('|') || source[span.clone()].starts_with(['.', '[', '(']);
    let from = match [before.rfind("{{"), before.rfind("{%")].into_iter().max().flatten() {
        Some(tag) if applied => tag + 2,
        _ => span.start,
    };
    source[from..span.end].trim_start_matches('-').trim().to_owned()
}

fn undefined(text: &str, error: &Error, record: Option<&Value>) -> String {
    if error.detail() == Some(python::PART) {
        return format!("a part of \"{text}\" is undefined{}", columns(record));
    }
    let name_end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let known = record.and_then(|record| record.get_attr(&text[..name_end]).ok());
    if known.is_some_and(|value| !value.is_undefined()) {
        return format!(
            "\"{text}\" is undefined for this record; correct the template, or ask first whether \
             it \"is defined\""
        );
    }
    format!("\"{text}\" is undefined{}", columns(record))
}

fn line_and_column(source: &str, byte: usize) -> (usize, usize) {
    let before = &source[..byte];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The error's own words and those of what caused it.
fn chain(error: &Error) -> String {
    let mut text = words(error);
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text += ": ";
        text += &match inner.downcast_ref::<Error>() {
            Some(inner) => words(inner),
            None => inner.to_string(),
        };
        cause = inner.source();
    }
    text
}

fn words(error: &Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

fn columns(record: Option<&Value>) -> String {
    let Some(keys) = record.and_then(|record| record.try_iter().ok()) else {
        return String::new();
    };
    let names: Vec<String> = keys.map(|key| format!("\"{key}\"")).collect();
    match names.len() {
        0 => "; the record has no columns".into(),
        count if count <= SHOWN_COLUMNS => format!("; the record has {}", names.join(", ")),
        count => format!(
            "; the record has {} and {} more",
            names[..SHOWN_COLUMNS].join(", "),
            count - SHOWN_COLUMNS
        ),
    }
}
