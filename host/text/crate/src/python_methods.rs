//! Methods of Python's strings and lists, and filters, where minijinja lacks them or differs from
//! Jinja2 in what it gives. Everything else is left to minijinja and its pycompat.

use minijinja::value::{from_args, Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};
use minijinja_contrib::pycompat;

use crate::python::{self, is_space, JsonStyle};

pub fn add_to(env: &mut Environment<'static>) {
    env.set_unknown_method_callback(method);
    env.add_filter("string", |value: &Value| python::to_str(value));
    env.add_filter("join", join);
    env.add_filter("trim", trim);
    env.add_filter("int", int);
    env.add_filter("float", float);
    env.add_filter("round", round);
    env.add_filter("tojson", tojson);
    env.add_filter("escape", escape);
    env.add_filter("e", escape);
    env.add_filter("center", center);
    env.add_filter("wordcount", wordcount);
}

fn fault(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, text.into())
}

fn method(state: &State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    let own = match (value.kind(), value.as_str()) {
        (_, Some(text)) => string_method(text, name, args)?,
        (ValueKind::Seq, _) if name == "index" => Some(list_index(value, args)?),
        _ => None,
    };
    match own {
        Some(result) => Ok(result),
        None => pycompat::unknown_method_callback(state, value, name, args),
    }
}

fn list_index(list: &Value, args: &[Value]) -> Result<Value, Error> {
    let (wanted,): (&Value,) = from_args(args)?;
    match list.try_iter()?.position(|item| item == *wanted) {
        Some(index) => Ok(Value::from(index)),
        None => Err(fault(format!("{wanted} is not in the list"))),
    }
}

/// None: pycompat's own is as Python's.
fn string_method(text: &str, name: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    let value = match name {
        "strip" => Value::from(strip(text, chars(args)?, true, true)),
        "lstrip" => Value::from(strip(text, chars(args)?, true, false)),
        "rstrip" => Value::from(strip(text, chars(args)?, false, true)),
        "find" => Value::from(find(text, args, Side::Left)?),
        "rfind" => Value::from(find(text, args, Side::Right)?),
        "index" => index(text, args, Side::Left)?,
        "rindex" => index(text, args, Side::Right)?,
        "count" => count(text, args)?,
        "split" => Value::from(split(text, args, Side::Left)?),
        "rsplit" => Value::from(split(text, args, Side::Right)?),
        "splitlines" => Value::from(split_lines(text, args)?),
        "partition" => partition(text, args, Side::Left)?,
        "rpartition" => partition(text, args, Side::Right)?,
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "join" => join_method(text, args)?,
        "capitalize" => {
            let () = from_args(args)?;
            Value::from(capitalize(text))
        }
        "title" => {
            let () = from_args(args)?;
            Value::from(title(text))
        }
        "swapcase" => {
            let () = from_args(args)?;
            Value::from(swap_case(text))
        }
        "isspace" => all(text, args, is_space)?,
        "isdigit" | "isnumeric" => all(text, args, char::is_numeric)?,
        "isdecimal" => all(text, args, |c| c.is_ascii_digit())?,
        "isalpha" => all(text, args, char::is_alphabetic)?,
        "isalnum" => all(text, args, char::is_alphanumeric)?,
        "islower" => cased(text, args, char::is_lowercase, char::is_uppercase)?,
        "isupper" => cased(text, args, char::is_uppercase, char::is_lowercase)?,
        "zfill" => {
            let (width,): (usize,) = from_args(args)?;
            Value::from(zero_fill(text, width))
        }
        "ljust" => pad(text, args, |missing| (0, missing))?,
        "rjust" => pad(text, args, |missing| (missing, 0))?,
        _ => return Ok(None),
    };
    Ok(Some(value))
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Left,
    Right,
}

fn chars(args: &[Value]) -> Result<Option<String>, Error> {
    let (set,): (Option<Value>,) = from_args(args)?;
    match set {
        None => Ok(None),
        Some(set) if set.is_none() => Ok(None),
        Some(set) => match set.as_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(fault(format!("expected characters to strip, got {set}"))),
        },
    }
}

fn strip(text: &str, set: Option<String>, left: bool, right: bool) -> &str {
    let goes = |c: char| set.as_ref().map_or_else(|| is_space(c), |set| set.contains(c));
    let text = if left { text.trim_start_matches(goes) } else { text };
    if right {
        text.trim_end_matches(goes)
    } else {
        text
    }
}

/// The byte range that Python's optional start and end arguments, in characters, pick.
fn window(text: &str, start: Option<i64>, end: Option<i64>) -> Option<(usize, usize)> {
    if start.is_none() && end.is_none() {
        return Some((0, text.len()));
    }
    let length = text.chars().count() as i64;
    let from_end = |at: i64| if at < 0 { (at + length).max(0) } else { at };
    let start = from_end(start.unwrap_or(0));
    let end = from_end(end.unwrap_or(length)).min(length);
    if start > end {
        return None;
    }
    let byte_of =
        |at: i64| text.char_indices().nth(at as usize).map_or(text.len(), |(byte, _)| byte);
    Some((byte_of(start), byte_of(end)))
}

/// The position in characters, or -1.
fn find(text: &str, args: &[Value], side: Side) -> Result<i64, Error> {
    let (what, start, end): (&str, Option<i64>, Option<i64>) = from_args(args)?;
    let Some((start, end)) = window(text, start, end) else { return Ok(-1) };
    let found = match side {
        Side::Left => text[start..end].find(what),
        Side::Right => text[start..end].rfind(what),
    };
    Ok(found.map_or(-1, |at| text[..start + at].chars().count() as i64))
}

fn index(text: &str, args: &[Value], side: Side) -> Result<Value, Error> {
    match find(text, args, side)? {
        -1 => Err(fault(format!("{} is not in the text", args[0]))),
        at => Ok(Value::from(at)),
    }
}

fn count(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (what, start, end): (&str, Option<i64>, Option<i64>) = from_args(args)?;
    Ok(Value::from(match window(text, start, end) {
        None => 0,
        Some((start, end)) if what.is_empty() => text[start..end].chars().count() + 1,
        Some((start, end)) => text[start..end].matches(what).count(),
    }))
}

/// Separator (None: runs of white space) and the most cuts to make (None: any number).
fn split_args(args: &[Value]) -> Result<(Option<String>, Option<usize>), Error> {
    let (separator, most, named): (Option<Value>, Option<i64>, Kwargs) = from_args(args)?;
    let separator = match separator {
        Some(given) => Some(given),
        None => named.get("sep")?,
    };
    let most = match most {
        Some(given) => Some(given),
        None => named.get("maxsplit")?,
    };
    named.assert_all_used()?;
    let separator = match separator {
        None => None,
        Some(given) if given.is_none() => None,
        Some(given) => match given.as_str() {
            Some("") => return Err(fault("the separator is empty")),
            Some(text) => Some(text.to_owned()),
            None => return Err(fault(format!("expected a separator text, got {given}"))),
        },
    };
    Ok((separator, most.and_then(|most| usize::try_from(most).ok())))
}

fn split(text: &str, args: &[Value], side: Side) -> Result<Vec<String>, Error> {
    let (separator, most) = split_args(args)?;
    let mut parts: Vec<&str> = match (separator.as_deref(), side, most) {
        (Some(mark), _, None) => text.split(mark).collect(),
        (Some(mark), Side::Left, Some(most)) => text.splitn(most + 1, mark).collect(),
        (Some(mark), Side::Right, Some(most)) => text.rsplitn(most + 1, mark).collect(),
        (None, Side::Left, most) => split_space(text, most.unwrap_or(usize::MAX)),
        (None, Side::Right, most) => rsplit_space(text, most.unwrap_or(usize::MAX)),
    };
    if side == Side::Right && (separator.is_none() || most.is_some()) {
        parts.reverse();
    }
    Ok(parts.into_iter().map(str::to_owned).collect())
}

fn split_space(text: &str, most: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        if parts.len() == most {
            parts.push(rest);
            break;
        }
        let end = rest.find(is_space).unwrap_or(rest.len());
        parts.push(&rest[..end]);
        rest = rest[end..].trim_start_matches(is_space);
    }
    parts
}

/// Last part first.
fn rsplit_space(text: &str, most: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_end_matches(is_space);
    while !rest.is_empty() {
        if parts.len() == most {
            parts.push(rest);
            break;
        }
        let last_space = rest.char_indices().rev().find(|(_, c)| is_space(*c));
        let start = last_space.map_or(0, |(at, c)| at + c.len_utf8());
        parts.push(&rest[start..]);
        rest = rest[..start].trim_end_matches(is_space);
    }
    parts
}

fn split_lines(text: &str, args: &[Value]) -> Result<Vec<String>, Error> {
    let (keep, named): (Option<bool>, Kwargs) = from_args(args)?;
    let keep = match keep {
        Some(keep) => keep,
        None => named.get::<Option<bool>>("keepends")?.unwrap_or(false),
    };
    named.assert_all_used()?;
    let ends = |c: char| "\n\r\x0b\x0c\x1c\x1d\x1e\u{85}\u{2028}\u{2029}".contains(c);
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(ends) {
        let mark = rest[at..].chars().next().map_or(1, char::len_utf8);
        let mark = if rest[at..].starts_with("\r\n") { 2 } else { mark };
        lines.push(rest[..if keep { at + mark } else { at }].to_owned());
        rest = &rest[at + mark..];
    }
    if !rest.is_empty() {
        lines.push(rest.to_owned());
    }
    Ok(lines)
}

fn partition(text: &str, args: &[Value], side: Side) -> Result<Value, Error> {
    let (mark,): (&str,) = from_args(args)?;
    if mark.is_empty() {
        return Err(fault("the separator is empty"));
    }
    let parts = match side {
        Side::Left => text.split_once(mark),
        Side::Right => text.rsplit_once(mark),
    };
    let parts = match (parts, side) {
        (Some((before, after)), _) => [before, mark, after],
        (None, Side::Left) => [text, "", ""],
        (None, Side::Right) => ["", "", text],
    };
    Ok(Value::from(parts.map(Value::from).to_vec()))
}

fn join_method(mark: &str, args: &[Value]) -> Result<Value, Error> {
    let (values,): (&Value,) = from_args(args)?;
    let mut out = String::new();
    for (index, value) in items_of(values)?.iter().enumerate() {
        let Some(text) = value.as_str() else {
            return Err(fault(format!("item {index} to join is not a text but {value}")));
        };
        if index > 0 {
            out.push_str(mark);
        }
        out.push_str(text);
    }
    Ok(Value::from(out))
}

/// The items of a list, or the characters of a text.
fn items_of(value: &Value) -> Result<Vec<Value>, Error> {
    match value.as_str() {
        Some(text) => Ok(text.chars().map(Value::from).collect()),
        None => Ok(value.try_iter()?.collect()),
    }
}

fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().collect::<String>() + &chars.as_str().to_lowercase(),
        None => String::new(),
    }
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_uppercase() || c.is_lowercase();
    }
    out
}

fn swap_case(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_uppercase() {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
    }
    out
}

fn all(text: &str, args: &[Value], is: fn(char) -> bool) -> Result<Value, Error> {
    let () = from_args(args)?;
    Ok(Value::from(!text.is_empty() && text.chars().all(is)))
}

fn cased(
    text: &str,
    args: &[Value],
    is: fn(char) -> bool,
    is_not: fn(char) -> bool,
) -> Result<Value, Error> {
    let () = from_args(args)?;
    Ok(Value::from(text.chars().any(is) && !text.chars().any(is_not)))
}

fn zero_fill(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(text.chars().count());
    let sign = text.len() - text.trim_start_matches(['+', '-']).len();
    let sign = sign.min(1);
    format!("{}{}{}", &text[..sign], "0".repeat(missing), &text[sign..])
}

fn pad(text: &str, args: &[Value], sides: fn(usize) -> (usize, usize)) -> Result<Value, Error> {
    let (width, fill): (usize, Option<&str>) = from_args(args)?;
    let fill = fill.unwrap_or(" ");
    let (left, right) = sides(width.saturating_sub(text.chars().count()));
    Ok(Value::from(format!("{}{text}{}", fill.repeat(left), fill.repeat(right))))
}

fn join(values: &Value, mark: Option<&str>, named: Kwargs) -> Result<String, Error> {
    let mark = match mark {
        Some(mark) => mark,
        None => named.get::<Option<&str>>("d")?.unwrap_or_default(),
    };
    let attribute: Option<Value> = named.get("attribute")?;
    named.assert_all_used()?;
    let mut out = String::new();
    for (index, value) in items_of(values)?.iter().enumerate() {
        if index > 0 {
            out.push_str(mark);
        }
        match &attribute {
            Some(attribute) => python::write_str(&mut out, &value.get_item(attribute)?)?,
            None => python::write_str(&mut out, value)?,
        }
    }
    Ok(out)
}

pub fn trim(value: &Value, args: Rest<Value>) -> Result<String, Error> {
    let text = python::to_str(value)?;
    Ok(strip(&text, chars(&args)?, true, true).to_owned())
}

/// The default stands for what is not a number, as in Jinja2.
fn int(value: &Value, default: Option<Value>, base: Option<u32>) -> Result<Value, Error> {
    let otherwise = || default.clone().unwrap_or_else(|| Value::from(0));
    if let Some(text) = value.as_str() {
        return Ok(int_of(text, base.unwrap_or(10)).map_or_else(otherwise, Value::from));
    }
    match value.kind() {
        ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::Bool => Ok(Value::from(i64::from(value.is_true()))),
        ValueKind::Number if value.is_integer() => Ok(value.clone()),
        ValueKind::Number => match f64::try_from(value.clone())? {
            number if number.is_finite() => Ok(Value::from(number as i128)),
            _ => Ok(otherwise()),
        },
        _ => Ok(otherwise()),
    }
}

fn int_of(text: &str, base: u32) -> Option<i128> {
    let digits = text.trim_matches(is_space).replace('_', "");
    if (2..=36).contains(&base) {
        if let Ok(number) = i128::from_str_radix(&digits, base) {
            return Some(number);
        }
    }
    float_of(text).filter(|number| number.is_finite()).map(|number| number as i128)
}

fn float_of(text: &str) -> Option<f64> {
    text.trim_matches(is_space).replace('_', "").parse().ok()
}

fn float(value: &Value, default: Option<Value>) -> Result<Value, Error> {
    let otherwise = || default.clone().unwrap_or_else(|| Value::from(0.0));
    if let Some(text) = value.as_str() {
        return Ok(float_of(text).map_or_else(otherwise, Value::from));
    }
    match value.kind() {
        ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::Bool => Ok(Value::from(f64::from(u8::from(value.is_true())))),
        ValueKind::Number => Ok(Value::from(f64::try_from(value.clone())?)),
        _ => Ok(otherwise()),
    }
}

/// Jinja2's, which is Python's `round`: halves go to the even neighbour ("common"), or up or down. An
/// integer stays one.
fn round(
    value: &Value,
    precision: Option<i32>,
    how: Option<&str>,
    named: Kwargs,
) -> Result<Value, Error> {
    let precision = match precision {
        Some(precision) => precision,
        None => named.get::<Option<i32>>("precision")?.unwrap_or(0),
    };
    let how = match how {
        Some(how) => how,
        None => named.get::<Option<&str>>("method")?.unwrap_or("common"),
    };
    named.assert_all_used()?;
    if value.kind() != ValueKind::Number {
        return Err(fault(format!("expected a number to round, got {value}")));
    }
    let number = f64::try_from(value.clone())?;
    let scale = 10f64.powi(precision);
    match how {
        "common" if value.is_integer() && precision >= 0 => Ok(value.clone()),
        "common" if value.is_integer() => {
            let step = 10f64.powi(-precision);
            Ok(Value::from(((number / step).round_ties_even() * step) as i128))
        }
        // Correct rounding of the decimal digits, as Python's round: 2.675 is below its half.
        "common" if precision >= 0 => {
            let digits = usize::try_from(precision).unwrap_or(0);
            Ok(Value::from(format!("{number:.digits$}").parse().unwrap_or(number)))
        }
        "common" => Ok(Value::from((number * scale).round_ties_even() / scale)),
        "ceil" => Ok(Value::from((number * scale).ceil() / scale)),
        "floor" => Ok(Value::from((number * scale).floor() / scale)),
        other => Err(fault(format!("round knows common, ceil and floor, not {other}"))),
    }
}

/// markupsafe's, on a text that is not yet marked safe.
fn escape(value: &Value) -> Result<Value, Error> {
    if value.is_safe() {
        return Ok(value.clone());
    }
    let text = python::to_str(value)?;
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Ok(Value::from_safe_string(text.replace('\'', "&#39;").replace('"', "&#34;")))
}

/// Python's `str.center`, which puts the odd one of the missing spaces on the left of an odd width.
fn center(value: &Value, width: Option<usize>) -> Result<String, Error> {
    let text = python::to_str(value)?;
    let width = width.unwrap_or(80);
    let missing = width.saturating_sub(text.chars().count());
    let left = missing / 2 + (missing & width & 1);
    Ok(format!("{}{text}{}", " ".repeat(left), " ".repeat(missing - left)))
}

fn wordcount(value: &Value) -> Result<usize, Error> {
    let text = python::to_str(value)?;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    Ok(text.split(|c| !is_word(c)).filter(|word| !word.is_empty()).count())
}

fn tojson(value: &Value, indent: Option<usize>, named: Kwargs) -> Result<String, Error> {
    let indent = match indent {
        Some(indent) => Some(indent),
        None => named.get("indent")?,
    };
    named.assert_all_used()?;
    let style = JsonStyle {
        ensure_ascii: true,
        sort_keys: true,
        html_safe: true,
        ..JsonStyle::indented(indent)
    };
    python::to_json(value, &style)
}
