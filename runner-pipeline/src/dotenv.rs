//! Variables that a job hands to later jobs with `artifacts:reports:dotenv`, by GitLab's rules: neither empty lines nor
//! comments, quotes are part of a value, and of a repeated name the last value counts.

use runner_core::job::Variable;

/// From this size on GitLab refuses the file as it is sent, in bytes.
pub const SIZE_LIMIT: usize = 5 * 1024;

/// So many variables GitLab takes, on its largest plan and on an instance of one's own.
pub const VARIABLE_LIMIT: usize = 150;

/// Why a dotenv report is refused. Lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DotenvError {
    /// It is too long.
    #[error("the file has {0} bytes, and must have less than {SIZE_LIMIT}")]
    TooLarge(usize),
    /// It is not packed as it should be.
    #[error("the file cannot be unpacked")]
    Packing,
    /// A line does not set a variable.
    #[error("line {0} is not NAME=VALUE; empty lines and comments are not allowed in a dotenv report")]
    Line(usize),
    /// A name has other letters than it may have.
    #[error("line {line}: {name:?} is no name; it may have letters, digits and underscores")]
    Name {
        /// The line.
        line: usize,
        /// What stands there.
        name: String,
    },
    /// It sets too many.
    #[error("the file sets {0} variables, and may set {VARIABLE_LIMIT}")]
    TooMany(usize),
}

/// The variables that a dotenv report sets. Their values may refer to other variables.
///
/// # Errors
/// Where GitLab would refuse the file.
pub fn parse(bytes: &[u8]) -> Result<Vec<Variable>, DotenvError> {
    let text = decode(bytes);
    let mut variables: Vec<Variable> = Vec::new();
    for (index, line) in text.strip_suffix('\n').unwrap_or(&text).split('\n').enumerate() {
        if text.is_empty() {
            break;
        }
        let line_number = index + 1;
        let (name, value) = line.split_once('=').ok_or(DotenvError::Line(line_number))?;
        let (name, value) = (name.trim(), value.trim());
        if !is_name(name) {
            return Err(DotenvError::Name { line: line_number, name: name.to_owned() });
        }
        variables.retain(|variable| variable.key != name);
        variables.push(Variable { public: false, ..Variable::new(name, value) });
    }
    if variables.len() > VARIABLE_LIMIT {
        return Err(DotenvError::TooMany(variables.len()));
    }
    Ok(variables)
}

/// Whether `name` may be the name of a variable in GitLab.
fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=255).contains(&name.len()) && name.bytes().all(is_part)
}

/// The text without a mark of the byte order. PowerShell writes UTF-16.
fn decode(bytes: &[u8]) -> String {
    if let Some(units) = bytes.strip_prefix(&[0xff, 0xfe]) {
        let units = units.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        return char::decode_utf16(units)
            .map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
    }
    let text = String::from_utf8_lossy(bytes);
    text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let variables = parse(text.as_bytes()).unwrap();
        let found: Vec<_> = variables.iter().map(|variable| (&*variable.key, &*variable.value)).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn lines_become_variables() {
        check("A=1\nB=a=b\n", &[("A", "1"), ("B", "a=b")]);
        check(" A = x y \r\nB=", &[("A", "x y"), ("B", "")]);
        check("A=\"1\"\nA='2'", &[("A", "'2'")]);
        check("\u{feff}A=ä", &[("A", "ä")]);
        check("", &[]);
    }

    #[test]
    fn utf_16_is_understood() {
        let bytes: Vec<u8> = "\u{feff}A=ä\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(parse(&bytes).unwrap(), [Variable { public: false, ..Variable::new("A", "ä") }]);
    }

    #[test]
    fn what_gitlab_refuses_is_refused_with_its_line() {
        assert_eq!(parse(b"A=1\n\nB=2"), Err(DotenvError::Line(2)));
        assert_eq!(parse(b"\n"), Err(DotenvError::Line(1)));
        assert_eq!(parse(b"A=1\n# remark"), Err(DotenvError::Line(2)));
        assert_eq!(parse(b"export A=1"), Err(DotenvError::Name { line: 1, name: "export A".into() }));
        assert_eq!(parse(b"=1"), Err(DotenvError::Name { line: 1, name: String::new() }));
        let lines: Vec<_> = (0..=VARIABLE_LIMIT).map(|number| format!("A{number}=1")).collect();
        assert_eq!(parse(lines.join("\n").as_bytes()), Err(DotenvError::TooMany(VARIABLE_LIMIT + 1)));
    }
}
