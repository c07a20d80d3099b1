//! What a plain scalar means: the rules of Ruby's Psych, which differ from YAML 1.2 (and from 1.1) in places.

use super::Value;

/// The value of a scalar that is written without quotes.
pub(super) fn resolve(text: &str) -> Value {
    if text.len() <= 5 {
        match text.to_ascii_lowercase().as_str() {
            "" | "~" | "null" => return Value::Null,
            "yes" | "true" | "on" => return Value::Bool(true),
            "no" | "false" | "off" => return Value::Bool(false),
            _ => {}
        }
    }
    if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '.' | '-' | '+')) {
        return Value::Text(text.into());
    }
    special_float(text)
        .map(Value::Float)
        .or_else(|| base_60(text))
        .or_else(|| float(text).map(Value::Float))
        .or_else(|| integer(text))
        .unwrap_or_else(|| Value::Text(text.into()))
}

fn special_float(text: &str) -> Option<f64> {
    match text.to_ascii_lowercase().as_str() {
        ".inf" | "+.inf" => Some(f64::INFINITY),
        "-.inf" => Some(f64::NEG_INFINITY),
        ".nan" => Some(f64::NAN),
        _ => None,
    }
}

/// `190:20:30`. Two parts are hours and minutes, not minutes and seconds: so does Psych.
fn base_60(text: &str) -> Option<Value> {
    let (sign, digits) = signed(text);
    let (whole, fraction) =
        digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
    let parts: Vec<&str> = whole.split(':').collect();
    let (first, rest) = parts.split_first()?;
    let fits = matches!(rest.len(), 1 | 2)
        && first.starts_with(|digit: char| digit.is_ascii_digit())
        && first.chars().all(|digit| digit.is_ascii_digit() || digit == '_')
        && rest.iter().all(|part| part.len() <= 2 && part.parse::<u8>().is_ok_and(|value| value < 60))
        && fraction.is_none_or(|rest| rest.chars().all(|digit| digit.is_ascii_digit() || digit == '_'));
    if !fits {
        return None;
    }
    let mut seconds: i64 = 0;
    for (part, weight) in parts.iter().zip([3600, 60, 1]) {
        let value: i64 = part.replace('_', "").parse().ok()?;
        seconds = seconds.checked_add(value.checked_mul(weight)?)?;
    }
    match fraction {
        None => Some(Value::Int(sign * seconds)),
        Some(fraction) => {
            let fraction: f64 = format!("0.{}0", fraction.replace('_', "")).parse().ok()?;
            let whole: f64 = seconds.to_string().parse().ok()?;
            Some(Value::Float(if sign < 0 { -(whole + fraction) } else { whole + fraction }))
        }
    }
}

/// A number with a point. An exponent must have a sign.
fn float(text: &str) -> Option<f64> {
    let (_, digits) = signed(text);
    let (whole, after) = digits.split_once('.')?;
    let (fraction, exponent) =
        after.split_once(['e', 'E']).map_or((after, None), |(fraction, exponent)| (fraction, Some(exponent)));
    let is_digits = |part: &str| part.chars().all(|digit| digit.is_ascii_digit());
    let whole_fits = whole.is_empty()
        || whole.starts_with(|digit: char| digit.is_ascii_digit())
            && whole.chars().all(|digit| digit.is_ascii_digit() || matches!(digit, '_' | ','));
    let exponent_fits = exponent.is_none_or(|exponent| {
        exponent.strip_prefix(['+', '-']).is_some_and(|digits| !digits.is_empty() && is_digits(digits))
    });
    if !whole_fits || !is_digits(fraction) || !exponent_fits || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    text.replace([',', '_'], "").parse().ok()
}

fn integer(text: &str) -> Option<Value> {
    let (sign, digits) = signed(text);
    if let Some(binary) = digits.strip_prefix("0b") {
        return in_base(binary, 2, sign);
    }
    if let Some(hexadecimal) = digits.strip_prefix("0x") {
        return in_base(hexadecimal, 16, sign);
    }
    if let Some(octal) = digits.strip_prefix('0').filter(|rest| !rest.is_empty()) {
        return in_base(octal, 8, sign);
    }
    let fits = digits.starts_with(|digit: char| digit.is_ascii_digit())
        && !digits.ends_with([',', '_'])
        && !digits.contains(",,")
        && digits.chars().all(|digit| digit.is_ascii_digit() || matches!(digit, '_' | ','));
    if !fits {
        return None;
    }
    let plain = digits.replace([',', '_'], "");
    let plain = if sign < 0 { format!("-{plain}") } else { plain };
    // A number that is too big for us is as good as its digits.
    Some(plain.parse().map_or_else(|_| Value::Text(plain.as_str().into()), Value::Int))
}

fn in_base(digits: &str, base: u32, sign: i64) -> Option<Value> {
    let plain = digits.replace('_', "");
    if plain.is_empty() || !plain.chars().all(|digit| digit.is_digit(base)) {
        return None;
    }
    i64::from_str_radix(&plain, base).ok().map(|value| Value::Int(sign * value))
}

fn signed(text: &str) -> (i64, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// A number as Ruby writes it: `1.0`, `0.0001`, `1.0e-05`, `1.0e+16`.
pub(super) fn float_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = value.abs();
    if size == 0.0 || (1e-4..1e16).contains(&size) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if digits.contains('.') { "" } else { ".0" };
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    format!("{digits}{point}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match resolve(text) {
            Value::Null => "null".into(),
            Value::Bool(value) => format!("bool {value}"),
            Value::Int(value) => format!("int {value}"),
            Value::Float(value) => format!("float {}", float_text(value)),
            Value::Text(value) => format!("text {value}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn plain_scalars_mean_what_they_mean_to_ruby() {
        let table = [
            ("", "null"),
            ("~", "null"),
            ("null", "null"),
            ("NULL", "null"),
            ("nil", "text nil"),
            ("yes", "bool true"),
            ("On", "bool true"),
            ("TRUE", "bool true"),
            ("no", "bool false"),
            ("off", "bool false"),
            ("False", "bool false"),
            ("y", "text y"),
            ("n", "text n"),
            ("0", "int 0"),
            ("+5", "int 5"),
            ("-12", "int -12"),
            ("1_000", "int 1000"),
            ("1,000", "int 1000"),
            ("0755", "int 493"),
            ("0o14", "text 0o14"),
            ("08", "text 08"),
            ("0x1F", "int 31"),
            ("-0x10", "int -16"),
            ("0b101", "int 5"),
            ("12345678901234567890123", "text 12345678901234567890123"),
            ("1.10", "float 1.1"),
            (".5", "float 0.5"),
            ("1.", "float 1.0"),
            (".", "text ."),
            ("1e3", "text 1e3"),
            ("1.5e3", "text 1.5e3"),
            ("1.5e+3", "float 1500.0"),
            ("1.0e+20", "float 1.0e+20"),
            ("1.0e-10", "float 1.0e-10"),
            ("1.2.3", "text 1.2.3"),
            (".inf", "float Infinity"),
            ("-.INF", "float -Infinity"),
            (".nan", "float NaN"),
            ("12:30", "int 45000"),
            ("1:30:15", "int 5415"),
            ("1:70", "text 1:70"),
            ("2024-01-31", "text 2024-01-31"),
            ("2024-01-31 10:11:12", "text 2024-01-31 10:11:12"),
            ("-", "text -"),
            ("--help", "text --help"),
            ("3.12-slim", "text 3.12-slim"),
            ("1 week", "text 1 week"),
            ("ä", "text ä"),
        ];
        for (text, expected) in table {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}
