//! Jinja templates over JSON records: undefined names fail, the trailing newline stays, values print
//! as Python prints them. The language itself is minijinja's. What chats need beside it is in `chat`.

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
/// Operators and `elif`s in a row become as many stack frames. minijinja overflows 8 MiB of stack at
/// about 10000 of either, and itself bounds brackets and blocks only.
const MAX_PARTS_OF_A_TAG: usize = 4000;
const MAX_ELIFS: usize = 1000;
/// Instructions of minijinja that would read another file.
const OF_OTHER_FILES: [&str; 4] = ["extends", "from", "import", "include"];

/// What templates of records and of chats have in common.
pub fn environment() -> Environment<'static> {
    let mut env = Environment::new();
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
}

fn record_environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut env = environment();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_keep_trailing_newline(true);
        env
    })
}

pub struct Template {
    env: Environment<'static>,
    source: String,
    /// What it is rendered from: "record" or "chat".
    given: &'static str,
    /// The whole source is `{{ expression }}`; with the byte at which the expression starts.
    expression: Option<(Expression<'static, 'static>, usize)>,
}

/// The parts of a template that parses, with their places.
pub fn tokens(source: &str) -> impl Iterator<Item = (Token<'_>, Span)> {
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

/// What must not reach the parser: a tag or a chain of them too long for its stack, a statement that
/// would read another file.
fn refused(source: &str) -> Option<String> {
    let (mut parts, mut elifs, mut opens) = (0, 0, false);
    for (token, span) in tokens(source) {
        parts = match token {
            Token::BlockStart | Token::VariableStart => 0,
            _ => parts + 1,
        };
        elifs += usize::from(opens && matches!(token, Token::Ident("elif")));
        let what = match token {
            Token::Ident(name) if opens && OF_OTHER_FILES.contains(&name) => {
                format!("unknown statement {name}")
            }
            _ if parts > MAX_PARTS_OF_A_TAG => {
                format!("a tag of more than {MAX_PARTS_OF_A_TAG} parts; split it with set")
            }
            _ if elifs > MAX_ELIFS => format!("more than {MAX_ELIFS} elif"),
            _ => {
                opens = matches!(token, Token::BlockStart);
                continue;
            }
        };
        let (line, column) = line_and_column(source, span.start_offset as usize);
        return Some(format!("line {line}, column {column} of the template: {what}"));
    }
    None
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
    let compiled = record_environment().compile_expression_owned(source[range].to_owned()).ok()?;
    Some((compiled, start))
}

impl Template {
    pub fn compile(source: &str) -> Result<Template, String> {
        let plain = Template::compile_in(record_environment(), source.to_owned(), "record")?;
        Ok(Template { expression: compile_expression(source), ..plain })
    }

    pub fn compile_in(
        base: &Environment<'static>,
        source: String,
        given: &'static str,
    ) -> Result<Template, String> {
        if let Some(reason) = refused(&source) {
            return Err(reason);
        }
        let mut env = base.clone();
        env.add_template_owned(NAME, source.clone())
            .map_err(|reason| sentence(&source, 0, &reason, None))?;
        if let Some(reason) = unknown_name(&env, &source) {
            return Err(reason);
        }
        Ok(Template { env, source, given, expression: None })
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
            .map_err(|reason| sentence(&self.source, 0, &reason, Some((self.given, &record))))
    }

    pub fn evaluate(&self, record_json: &[u8]) -> Result<String, String> {
        let Some((expression, start)) = &self.expression else {
            return Ok(serde_json::Value::from(self.render(record_json)?).to_string());
        };
        let record = parse(record_json)?;
        expression
            .eval(&record)
            .and_then(|value| python::to_json(&value, &python::JsonStyle::default()))
            .map_err(|reason| sentence(&self.source, *start, &reason, Some((self.given, &record))))
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

/// What a template was rendered from, and its name.
type Given<'a> = Option<(&'static str, &'a Value)>;

/// The source of an error that a template raises itself: its detail is all there is to say.
#[derive(Debug)]
pub struct Raised;

impl std::fmt::Display for Raised {
    fn fmt(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
        out.write_str("raised by the template")
    }
}

impl std::error::Error for Raised {}

fn is_raised(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.is::<Raised>())
}

/// Where, what and what to do, for an error at a span of `source[start..]`. An error without a place
/// is about the whole expression when there is one.
fn sentence(source: &str, start: usize, error: &Error, given: Given) -> String {
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
        _ if is_raised(error) => format!("it raises \"{}\"", words(error)),
        (ErrorKind::OutOfFuel, _) => "it does not end within its limit of steps".into(),
        (ErrorKind::UnknownFunction, Some(text)) if text.starts_with("strftime_now") => {
            "it asks for today's date with strftime_now, which would give another prompt every \
             day; write a fixed date into the template"
                .into()
        }
        (ErrorKind::UndefinedError, Some(text)) => undefined(text, error, given),
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

fn undefined(text: &str, error: &Error, given: Given) -> String {
    if error.detail() == Some(python::PART) {
        return format!("a part of \"{text}\" is undefined{}", columns(given));
    }
    let name_end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let value_of = |values: &Value| values.get_attr(&text[..name_end]).ok();
    match given {
        Some((name, values)) if value_of(values).is_some_and(|value| !value.is_undefined()) => {
            format!(
                "\"{text}\" is undefined for this {name}; correct the template, or ask first \
                 whether it \"is defined\""
            )
        }
        _ => format!("\"{text}\" is undefined{}", columns(given)),
    }
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

fn columns(given: Given) -> String {
    let Some((given, values)) = given else { return String::new() };
    let keys = values.try_iter().into_iter().flatten();
    let names: Vec<String> = keys.map(|key| format!("\"{key}\"")).collect();
    match names.len() {
        0 => format!("; the {given} has no columns"),
        count if count <= SHOWN_COLUMNS => format!("; the {given} has {}", names.join(", ")),
        count => format!(
            "; the {given} has {} and {} more",
            names[..SHOWN_COLUMNS].join(", "),
            count - SHOWN_COLUMNS
        ),
    }
}
