//! Jinja templates over JSON records: undefined names fail, the trailing newline stays, values print
//! as Python prints them. The language itself is minijinja's.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::OnceLock;

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

/// The expression between `{{` and `}}` when there is nothing around it.
fn inside(source: &str) -> Option<Range<usize>> {
    let inner = source.strip_prefix("{{")?.strip_suffix("}}")?;
    let start = 2 + usize::from(inner.starts_with('-'));
    let end = 2 + inner.len() - usize::from(inner.ends_with('-'));
    (start < end).then_some(start..end)
}

fn compile_expression(source: &str) -> Option<(Expression<'static, 'static>, usize)> {
    let range = inside(source)?;
    let start = range.start;
    // What is not one expression, such as `{{ a }} {{ b }}`, does not compile as one.
    let compiled = environment().compile_expression_owned(source[range].to_owned()).ok()?;
    Some((compiled, start))
}

impl Template {
    pub fn compile(source: &str) -> Result<Template, String> {
        let mut env = environment().clone();
        env.add_template_owned(NAME, source.to_owned())
            .map_err(|reason| sentence(source, 0, &reason, None))?;
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

/// Where, what and what to do, for an error at a span of `source[start..]`.
fn sentence(source: &str, start: usize, error: &Error, record: Option<&Value>) -> String {
    let span = error.range().map(|range| start + range.start..start + range.end);
    let span = span.filter(|range| source.get(range.clone()).is_some());
    let place = match &span {
        Some(range) => {
            let (line, column) = line_and_column(source, range.start);
            format!("line {line}, column {column} of the template: ")
        }
        None => match error.line() {
            Some(line) => format!("line {line} of the template: "),
            None => String::new(),
        },
    };
    let quoted = span.map(|range| source[range].trim().to_owned());
    let quoted = quoted.filter(|text| !text.is_empty());
    let reason = match (error.kind(), &quoted) {
        (ErrorKind::UndefinedError, Some(text)) => {
            format!("\"{text}\" is undefined{}", columns(record))
        }
        (ErrorKind::UndefinedError, None) => format!("undefined value{}", columns(record)),
        (ErrorKind::SyntaxError, _) => chain(error),
        (_, Some(text)) => format!("{} in \"{text}\"", chain(error)),
        (_, None) => chain(error),
    };
    place + &reason
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
