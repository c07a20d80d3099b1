//! Tables after the specification of GitLab's own evaluation.

use super::{Expression, Patterns};

fn variable(name: &str) -> Option<&'static str> {
    match name {
        "PRESENT" => Some("my variable"),
        "PATH" => Some("a/path/variable/value"),
        "FULL_PATH" => Some("/a/full/path/variable/value"),
        "EMPTY" => Some(""),
        "BLANK" => Some("  "),
        "TEXT" => Some("abcde"),
        "REGEX" => Some("/^ab.*/"),
        "OTHER_REGEX" => Some("/^at.*/"),
        "SLASHED" => Some(r"/^\/a\/full/"),
        "DIGITS" => Some("/^٣$/"),
        "UNICODE" => Some("٣"),
        _ => None,
    }
}

fn holds(text: &str) -> bool {
    Expression::parse(text, &Patterns::default())
        .unwrap()
        .holds(&|name: &str| variable(name), &Patterns::default())
}

/// Expressions, and whether they hold.
const TABLE: &[(&str, bool)] = &[
    (r#"$PRESENT == "my variable""#, true),
    (r#""my variable" == $PRESENT"#, true),
    ("$PRESENT == 'no match'", false),
    ("$PRESENT == null", false),
    ("$EMPTY == null", false),
    (r#""" == $EMPTY"#, true),
    ("$EMPTY", false),
    ("$BLANK", false),
    ("$UNDEFINED == null", true),
    ("null == $UNDEFINED", true),
    ("$UNDEFINED == ''", false),
    ("$PRESENT", true),
    ("$UNDEFINED", false),
    ("$PRESENT =~ /var.*e$/", true),
    ("$PRESENT =~ /^var.*/", false),
    ("$EMPTY =~ /var.*/", false),
    ("$UNDEFINED =~ /var.*/", false),
    ("$UNDEFINED =~ /^$/", true),
    ("$PRESENT =~ /VAR.*/", false),
    ("$PRESENT =~ /VAR.*/i", true),
    (r"$PATH =~ /path\/variable/", true),
    (r"$FULL_PATH =~ /^\/a\/full\/path\/variable\/value$/", true),
    (r#"$PRESENT != "my variable""#, false),
    ("$PRESENT != null", true),
    ("$UNDEFINED != null", false),
    ("$PRESENT !~ /var.*e$/", false),
    ("$PRESENT !~ /^var.*/", true),
    ("$UNDEFINED !~ /var.*/", true),
    (r#"$PRESENT && "string""#, true),
    ("$PRESENT && $EMPTY", false),
    ("$EMPTY && $PRESENT", true),
    ("$EMPTY || $PRESENT", false),
    ("null && $PRESENT", false),
    ("$UNDEFINED || $PRESENT", true),
    ("$PRESENT =~ /my var/ && $EMPTY =~ /nope/", false),
    ("$PRESENT =~ /my var/ || $EMPTY =~ /nope/", true),
    (r#"$PRESENT && null || $EMPTY == """#, true),
    (r#"($PRESENT) && (null || $EMPTY == "")"#, true),
    (r#"("string" || "test") == "string""#, true),
    (r#"(null || ("test" == "string"))"#, false),
    (r#"("string" == ("test" || "string"))"#, false),
    (r#"("string" == "test" || "string")"#, true),
    (r#"("string" == ("string" || (("1" == "1") && ("2" == "3"))))"#, true),
    ("$TEXT =~ $REGEX", true),
    ("$TEXT =~ $OTHER_REGEX", false),
    ("$TEXT =~ \"abcde\"", true),
    ("$TEXT =~ $TEXT", true),
    ("$FULL_PATH =~ $SLASHED", true),
    ("$TEXT =~ $UNDEFINED", false),
    ("$TEXT !~ $UNDEFINED", true),
    ("!$UNDEFINED", true),
    ("!$PRESENT", false),
    ("!($PRESENT == null)", true),
    ("$UNICODE =~ /\\d/", false),
    ("$UNICODE =~ $DIGITS", true),
    ("$TEXT =~ /^[[:alpha:]]+$/", true),
    ("$TEXT =~ /[a[]bc/", true),
    ("$TEXT =~ /^{foo}$/", false),
    ("$TEXT =~ /^[a-e]{5}$/", true),
    ("$TEXT =~ /^a.\\w+$/", true),
    ("$PRESENT=='my variable'&&$TEXT", true),
];

#[test]
fn expressions_hold_as_they_do_in_gitlab() {
    for (text, expected) in TABLE {
        assert_eq!(holds(text), *expected, "{text}");
    }
}

#[test]
fn a_fault_knows_its_place() {
    let table = [
        ("", 0, 1, "an empty expression"),
        ("   ", 0, 3, "an empty expression"),
        ("$A = 1", 3, 1, "unknown operator `=`"),
        ("$A == b", 6, 1, "`b` is not understood here"),
        ("$A == 'b", 6, 2, "a string without its closing '"),
        ("$A =~ /b", 6, 2, "a regular expression without its closing /"),
        ("$A =~ /b(/", 6, 4, "invalid regular expression: unclosed group"),
        ("$A =~ /b/x", 9, 1, "unknown flag `x` of a regular expression"),
        ("$A $B", 3, 2, "an operator is missing before this"),
        ("($A", 0, 1, "a `(` without its `)`"),
        ("$A)", 2, 1, "a `)` without its `(`"),
        ("$A &&", 4, 1, "something is missing at the end"),
        ("&& $A", 0, 2, "something is missing before this"),
        ("()", 1, 1, "something is missing before this"),
        ("${A}", 0, 2, "`${…}` is not understood here"),
        ("$ä", 0, 1, "a `$` without a name"),
        ("$A and $B", 3, 3, "unknown operator `and`"),
        ("$[[ inputs.a ]]", 0, 2, "not supported yet: `$[[ … ]]`"),
        ("$A == ü", 6, 1, "`ü` is not understood here"),
    ];
    for (text, offset, length, message) in table {
        let fault = Expression::parse(text, &Patterns::default()).unwrap_err();
        assert_eq!((fault.offset, fault.length, fault.message.as_str()), (offset, length, message), "{text}");
    }
}

#[test]
fn many_parts_and_deep_parentheses_are_refused() {
    let deep = format!("{}$A{}", "(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(Expression::parse(&deep, &Patterns::default()).unwrap_err().message, "more than 100 parts");
    assert_eq!(
        Expression::parse(&"!".repeat(10_000), &Patterns::default()).unwrap_err().message,
        "more than 100 parts"
    );
}
