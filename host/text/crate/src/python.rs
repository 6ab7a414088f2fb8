//! How Python spells a value: `str`, `repr` and `json.dumps`. Jinja2 prints values with these, so a
//! prompt made from a number, a list or a nothing reads the same here.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};
use unicode_categories::UnicodeCategories;

/// The detail of an error about something undefined inside a list or a map.
pub const PART: &str = "part";

fn undefined_part() -> Error {
    Error::new(ErrorKind::UndefinedError, PART)
}

/// What Python's `str.isspace` calls white space, one character at a time.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// Python's `str(value)`: what Jinja2 writes for `{{ value }}`.
pub fn write_str(out: &mut String, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    match value.as_str() {
        Some(text) => out.push_str(text),
        None => write_repr(out, value)?,
    }
    Ok(())
}

pub fn to_str(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    write_str(&mut out, value)?;
    Ok(out)
}

fn write_repr(out: &mut String, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Undefined => return Err(undefined_part()),
        ValueKind::String => quote(out, value.as_str().unwrap_or_default()),
        ValueKind::Number => out.push_str(&number(value)?),
        ValueKind::Seq | ValueKind::Iterable => {
            out.push('[');
            for (index, item) in value.try_iter()?.enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_repr(out, &item)?;
            }
            out.push(']');
        }
        ValueKind::Map => {
            out.push('{');
            for (index, key) in value.try_iter()?.enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_repr(out, &key)?;
                out.push_str(": ");
                write_repr(out, &value.get_item(&key)?)?;
            }
            out.push('}');
        }
        _ => out.push_str(&value.to_string()),
    }
    Ok(())
}

fn number(value: &Value) -> Result<String, Error> {
    if value.is_integer() {
        return Ok(value.to_string());
    }
    Ok(float(f64::try_from(value.clone())?))
}

/// Python's `repr(float)`: the shortest digits that read back, with an exponent below 1e-4 and from
/// 1e16 on.
pub fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value == 0.0 || (-4..16).contains(&exponent) {
        let mut plain = value.to_string();
        if !plain.contains('.') {
            plain.push_str(".0");
        }
        return plain;
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn is_printable(c: char) -> bool {
    c == ' '
        || !(c.is_other_control()
            || c.is_other_format()
            || c.is_other_private_use()
            || c.is_separator_space()
            || c.is_separator_line()
            || c.is_separator_paragraph())
}

/// Python's `repr(str)`.
fn quote(out: &mut String, text: &str) {
    let mark = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(mark);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == mark => {
                out.push('\\');
                out.push(c);
            }
            c if is_printable(c) => out.push(c),
            c => match c as u32 {
                code @ 0..=0xff => out.push_str(&format!("\\x{code:02x}")),
                code @ 0x100..=0xffff => out.push_str(&format!("\\u{code:04x}")),
                code => out.push_str(&format!("\\U{code:08x}")),
            },
        }
    }
    out.push(mark);
}

/// How JSON is laid out, in the words of Python's `json.dumps`. The default carries a value to the
/// host.
pub struct JsonStyle {
    pub ensure_ascii: bool,
    pub sort_keys: bool,
    /// Escapes what would end a text inside HTML, as the filter `tojson` of Jinja2 does.
    pub html_safe: bool,
    pub indent: Option<usize>,
    pub item_separator: String,
    pub key_separator: String,
}

impl JsonStyle {
    /// `json.dumps` leaves out the space that a new line would follow.
    pub fn indented(indent: Option<usize>) -> JsonStyle {
        JsonStyle {
            ensure_ascii: false,
            sort_keys: false,
            html_safe: false,
            indent,
            item_separator: if indent.is_some() { "," } else { ", " }.into(),
            key_separator: ": ".into(),
        }
    }
}

impl Default for JsonStyle {
    fn default() -> JsonStyle {
        JsonStyle::indented(None)
    }
}

/// Writes a value as JSON. Fails on what JSON does not have: undefined values, numbers that are not
/// finite, functions.
pub fn to_json(value: &Value, style: &JsonStyle) -> Result<String, Error> {
    let mut writer = JsonWriter { out: String::new(), style, depth: 0 };
    writer.value(value)?;
    Ok(writer.out)
}

struct JsonWriter<'a> {
    out: String,
    style: &'a JsonStyle,
    depth: usize,
}

impl JsonWriter<'_> {
    fn value(&mut self, value: &Value) -> Result<(), Error> {
        match value.kind() {
            ValueKind::Undefined if self.depth == 0 => {
                return Err(Error::from(ErrorKind::UndefinedError))
            }
            ValueKind::Undefined => return Err(undefined_part()),
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.number(value)?,
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.list(&items)?;
            }
            ValueKind::Map => self.map(value)?,
            kind => {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    format!("{kind} has no form in JSON"),
                ))
            }
        }
        Ok(())
    }

    fn number(&mut self, value: &Value) -> Result<(), Error> {
        let text = number(value)?;
        if text.ends_with("nan") || text.ends_with("inf") {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                format!("{text} has no form in JSON"),
            ));
        }
        self.out.push_str(&text);
        Ok(())
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\x08' => self.out.push_str("\\b"),
                '\x0c' => self.out.push_str("\\f"),
                c if (c as u32) < 0x20
                    || (self.style.ensure_ascii && !c.is_ascii())
                    || (self.style.html_safe && "<>&'".contains(c)) =>
                {
                    self.escape(c)
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn escape(&mut self, c: char) {
        for unit in c.encode_utf16(&mut [0; 2]) {
            self.out.push_str(&format!("\\u{unit:04x}"));
        }
    }

    fn list(&mut self, items: &[Value]) -> Result<(), Error> {
        self.open('[');
        for (index, item) in items.iter().enumerate() {
            self.separate(index);
            self.value(item)?;
        }
        self.close(']', items.is_empty());
        Ok(())
    }

    fn map(&mut self, value: &Value) -> Result<(), Error> {
        let mut keys: Vec<Value> = value.try_iter()?.collect();
        if self.style.sort_keys {
            keys.sort();
        }
        self.open('{');
        for (index, key) in keys.iter().enumerate() {
            self.separate(index);
            let name = match key.kind() {
                ValueKind::String => key.as_str().unwrap_or_default().to_owned(),
                _ => to_json(key, &JsonStyle::default())?,
            };
            self.string(&name);
            self.out.push_str(&self.style.key_separator);
            self.value(&value.get_item(key)?)?;
        }
        self.close('}', keys.is_empty());
        Ok(())
    }

    fn open(&mut self, mark: char) {
        self.out.push(mark);
        self.depth += 1;
    }

    fn separate(&mut self, index: usize) {
        if index > 0 {
            self.out.push_str(&self.style.item_separator);
        }
        self.new_line();
    }

    fn close(&mut self, mark: char, empty: bool) {
        self.depth -= 1;
        if !empty {
            self.new_line();
        }
        self.out.push(mark);
    }

    fn new_line(&mut self) {
        if let Some(width) = self.style.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat(' ').take(width * self.depth));
        }
    }
}
